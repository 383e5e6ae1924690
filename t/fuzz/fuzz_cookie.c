/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_cookie.c - fuzz target of auth/base/cookie */

#include "t/fuzz/fuzz.h"

#include "auth/base/cookie.h"

#include <apr_strings.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || fuzz_is_control(c);
}

/* The number of parts that a lenient parser takes for the cookie. */
static int count_lenient(apr_pool_t *pool, const char *header, const char *name)
{
    char *copy = apr_pstrdup(pool, header), *part = copy;
    int n = 0;

    while (part != NULL) {
        char *next = strpbrk(part, ";,"), *end;

        if (next != NULL) {
            *next++ = '\0';
        }
        part[strcspn(part, "=")] = '\0';
        while (is_blank(*part) && *part != '\0') {
            part++;
        }
        for (end = part + strlen(part); end > part && is_blank(end[-1]); end--) {
            end[-1] = '\0';
        }
        n += strcasecmp(part, name) == 0;
        part = next;
    }
    return n;
}

/* The other parts, with the separators before them; NULL without a part that is not blank. */
static const char *without(apr_pool_t *pool, const char *header, const char *name)
{
    char *kept = apr_palloc(pool, strlen(header) + 1), *at = kept;
    const char *part = header, *end;
    bool is_first = true, is_left = false;

    for (;; part = end + 1) {
        end = part + strcspn(part, ";,");
        if (count_lenient(pool, apr_pstrmemdup(pool, part, (size_t)(end - part)), name) == 0) {
            if (!is_first) {
                *at++ = part[-1];
            }
            while (is_first && part != header && part < end && is_blank(*part)) {
                part++; /* blanks behind the separator of the cookie */
            }
            for (is_first = false; part < end; part++) {
                is_left = is_left || !is_blank(*part);
                *at++ = *part;
            }
        }
        if (*end == '\0') {
            break;
        }
    }
    *at = '\0';
    return is_left ? kept : NULL;
}

static void check_strip(apr_pool_t *pool, const char *header, const char *name)
{
    const char *stripped = eas_cookie_strip(pool, header, name), *value = NULL;
    const char *expected = without(pool, header, name);

    check((stripped == NULL) == (expected == NULL));
    if (stripped != NULL) {
        check(strcmp(stripped, expected) == 0);
        check(count_lenient(pool, stripped, name) == 0);
        check(eas_cookie_find(pool, stripped, name, &value) == EAS_COOKIE_NONE);
    }
}

static void check_find(apr_pool_t *pool, const char *header, const char *name)
{
    const char *value = NULL;
    enum eas_cookie_count count = eas_cookie_find(pool, header, name, &value);

    check((count == EAS_COOKIE_ONE) == (value != NULL));
    check(count == EAS_COOKIE_NONE || count_lenient(pool, header, name) > 0);
    if (value != NULL) {
        check(strchr(value, ';') == NULL);
        check(strstr(header, apr_pstrcat(pool, name, "=", value, NULL)) != NULL);
    }
}

/* A cookie that is set can be found, whatever else the header holds. */
static void check_set(apr_pool_t *pool, const char *others, const char *name)
{
    const char *set = eas_cookie_format(pool, name, "v", true), *value = NULL;
    const char *header = apr_pstrcat(pool, others, "; ", name, "=v", NULL);
    enum eas_cookie_count before = eas_cookie_find(pool, others, name, &value);

    check(strstr(set, "; Secure") != NULL && strstr(set, "; HttpOnly") != NULL);
    value = NULL;
    check(eas_cookie_find(pool, header, name, &value)
          == (before == EAS_COOKIE_NONE ? EAS_COOKIE_ONE : EAS_COOKIE_MANY));
    check(value == NULL || strcmp(value, "v") == 0);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    static const char *const names[] = { "__Host-eas", "eas" };
    const char *name = names[fuzz_octet(&input) % 2], *header = fuzz_text(pool, &input);

    check(eas_cookie_strip(pool, NULL, name) == NULL);
    check_find(pool, header, name);
    check_strip(pool, header, name);
    check_set(pool, header, name);
}
