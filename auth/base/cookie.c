/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/cookie.c - Cookie and Set-Cookie header values (RFC 6265) */

#include "auth/base/cookie.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <string.h>

const char *eas_cookie_format(apr_pool_t *pool, const char *name, const char *value, bool secure)
{
    /* Browsers compare the prefixes without letter case (RFC 6265bis 5.7). */
    bool prefixed =
        apr_cstr_casecmpn(name, "__Host-", 7) == 0 || apr_cstr_casecmpn(name, "__Secure-", 9) == 0;

    return apr_pstrcat(pool, name, "=", value != NULL ? value : "; Max-Age=0", "; Path=/",
                       secure || prefixed ? "; Secure" : "", "; HttpOnly; SameSite=Lax", NULL);
}

struct lines {
    apr_pool_t *pool;
    const char *joined; /* NULL: none yet */
};

static int join_line(void *data, const char *name, const char *value)
{
    struct lines *lines = data;

    (void)name;
    lines->joined =
        lines->joined == NULL ? value : apr_pstrcat(lines->pool, lines->joined, "; ", value, NULL);
    return 1;
}

const char *eas_cookie_header(apr_pool_t *pool, const apr_table_t *headers)
{
    struct lines lines = { pool, NULL };

    if (apr_table_get(headers, "Cookie") != NULL) { /* faster, and phones send none */
        apr_table_do(join_line, &lines, headers, "Cookie", NULL);
    }
    return lines.joined;
}

void eas_cookie_set_header(apr_table_t *headers, const char *header)
{
    if (header != NULL) {
        apr_table_setn(headers, "Cookie", header);
    }
    else {
        apr_table_unset(headers, "Cookie");
    }
}

enum eas_cookie_count eas_cookie_find(apr_pool_t *pool, const char *header, const char *name,
                                      const char **value_out)
{
    apr_size_t len = strlen(name);
    const char *pair = header, *value = NULL;

    while (pair != NULL) {
        pair += strspn(pair, " \t");
        if (strncmp(pair, name, len) == 0 && pair[len] == '=') {
            if (value != NULL) {
                return EAS_COOKIE_MANY;
            }
            value = pair + len + 1;
        }
        pair = strchr(pair, ';');
        pair = pair != NULL ? pair + 1 : NULL;
    }
    if (value == NULL) {
        return EAS_COOKIE_NONE;
    }
    *value_out = apr_pstrmemdup(pool, value, strcspn(value, ";"));
    return EAS_COOKIE_ONE;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

/* Whether a lenient parser behind us could read the part as a cookie of the name. */
static bool may_be_cookie(const char *start, const char *end, const char *name)
{
    const char *equals = memchr(start, '=', (apr_size_t)(end - start));
    apr_size_t len = strlen(name);

    if (equals != NULL) {
        end = equals;
    }
    while (start < end && is_blank(*start)) {
        start++;
    }
    while (start < end && is_blank(end[-1])) {
        end--;
    }
    return (apr_size_t)(end - start) == len && apr_cstr_casecmpn(start, name, len) == 0;
}

/* Each copied part but the first takes the separator before it along. */
static void strip(const char *header, const char *name, char *kept)
{
    const char *part = header, *end;
    bool first = true;

    for (;; part = end + 1) {
        end = part + strcspn(part, ";,");
        if (!may_be_cookie(part, end, name)) {
            const char *from = first ? part : part - 1;

            while (first && part != header && from < end && is_blank(*from)) {
                from++; /* blanks behind the separator of a removed cookie */
            }
            memcpy(kept, from, (apr_size_t)(end - from));
            kept += end - from;
            first = false;
        }
        if (*end == '\0') {
            break;
        }
    }
    *kept = '\0';
}

const char *eas_cookie_strip(apr_pool_t *pool, const char *header, const char *name)
{
    char *kept, *p;

    if (header == NULL) {
        return NULL;
    }
    kept = apr_palloc(pool, strlen(header) + 1);
    strip(header, name, kept);
    for (p = kept; *p != '\0'; p++) {
        if (!is_blank(*p) && *p != ';' && *p != ',') {
            return kept;
        }
    }
    return NULL;
}
