/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/escape.c - escapes of HTML */

#include "auth/login/escape.h"

#include <apr_strings.h>
#include <string.h>

/* NULL: no escape is needed.  '=' and '`' matter only in an attribute without quotes. */
static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&#34;";
    case '\'':
        return "&#39;";
    case '=':
        return "&#61;";
    case '`':
        return "&#96;";
    default:
        return NULL;
    }
}

const char *eas_escape_html(apr_pool_t *pool, const char *value)
{
    const char *p;
    char *escaped, *end;

    if (value == NULL) {
        return "";
    }
    escaped = end = apr_palloc(pool, 5 * strlen(value) + 1);
    for (p = value; *p != '\0'; p++) {
        const char *entity = entity_of(*p);

        if (entity != NULL) {
            end = apr_cpystrn(end, entity, 6);
        }
        else {
            *end++ = *p;
        }
    }
    *end = '\0';
    return escaped;
}
