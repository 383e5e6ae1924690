/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/escape.c - escapes of HTML */

#include "auth/login/escape.h"
#include "auth/base/utf8.h"

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

/* The code point of a well-formed character of that length. */
static unsigned code_point(const char *bytes, apr_size_t len)
{
    static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    unsigned code = (unsigned char)bytes[0] & mask[len];
    apr_size_t i;

    for (i = 1; i < len; i++) {
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    }
    return code;
}

const char *eas_escape_ascii(apr_pool_t *pool, const char *value)
{
    const char *p = eas_escape_html(pool, value);
    apr_size_t left = strlen(p), len;
    char *escaped = apr_palloc(pool, 10 * left + 1), *end = escaped;

    for (; left > 0; p += len, left -= len) {
        len = eas_utf8_length(p, left);
        if (len > 1) {
            end += apr_snprintf(end, 11, "&#%u;", code_point(p, len));
        }
        else {
            *end = *p;
            if (len == 0) {
                *end = '?';
                len = 1;
            }
            end++;
        }
    }
    *end = '\0';
    return escaped;
}
