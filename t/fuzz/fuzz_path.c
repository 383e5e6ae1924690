/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_path.c - fuzz target of auth/base/path: models of httpd and of http.sys */

#include "t/fuzz/fuzz.h"

#include "auth/base/path.h"
#include "auth/base/percent.h"
#include "auth/base/utf8.h"

#include <apr_strings.h>

/* Decodes once; a bad escape stays. */
static char *decoded(apr_pool_t *pool, const char *text)
{
    struct eas_bytes rest = eas_bytes_of_text(text);
    char *out = apr_palloc(pool, rest.len + 1), *at = out, c = '\0';

    while (rest.len > 0) {
        if (!eas_percent_next(&rest, &c)) {
            c = (char)*fuzz_take(&rest, 1).at;
        }
        *at++ = c;
    }
    *at = '\0';
    return out;
}

static void merge_slashes(char *path)
{
    char *to = path;

    for (; *path != '\0'; path++) {
        if (*path != '/' || path[1] != '/') {
            *to++ = *path;
        }
    }
    *to = '\0';
}

/* Resolves dot segments. */
static const char *resolved(apr_pool_t *pool, const char *path)
{
    char *out = apr_palloc(pool, strlen(path) + 2), *end = out;

    while (*path != '\0') {
        size_t len = strcspn(path + 1, "/") + 1;

        if (len == 3 && memcmp(path, "/..", 3) == 0) {
            while (end > out && *--end != '/') {
            }
        }
        else if (!(len == 2 && memcmp(path, "/.", 2) == 0)) {
            memcpy(end, path, len);
            end += len;
        }
        path += len;
    }
    *end = '\0';
    return out;
}

/* httpd: decodes, merges slashes, resolves. */
static const char *as_httpd(apr_pool_t *pool, const char *path)
{
    char *plain = decoded(pool, path);

    merge_slashes(plain);
    return resolved(pool, plain);
}

/* http.sys and .NET: decode twice, without path parameters, backslashes are slashes; resolve. */
static const char *as_iis(apr_pool_t *pool, const char *path)
{
    char *plain = decoded(pool, decoded(pool, path)), *at;
    const char *result;

    for (at = plain; *at != '\0'; at++) {
        *at = *at == '\\' ? '/' : *at;
    }
    result = resolved(pool, plain);
    at = apr_pstrdup(pool, result);
    merge_slashes(at);
    return at;
}

/* The dots of "..;a" resolve where path parameters are removed first. */
static void check_parameters(const char *plain)
{
    const char *dots = plain;

    while ((dots = strstr(dots, "/.")) != NULL) {
        dots += 1 + strspn(dots + 1, ".");
        check(*dots != ';');
    }
}

/* No decoding makes a separator, and a segment of dots and blanks is plain: "." or "..". */
static void check_segments(apr_pool_t *pool, const char *path)
{
    while (*path != '\0') {
        size_t len = strcspn(path + 1, "/");
        const char *raw = apr_pstrmemdup(pool, path + 1, len), *plain = decoded(pool, raw);

        check(strchr(plain, '/') == NULL);
        if (plain[strspn(plain, ". ")] == '\0') {
            check(*raw == '\0' || strcmp(raw, ".") == 0 || strcmp(raw, "..") == 0);
        }
        path += 1 + len;
    }
}

/* A path of plain characters is good, and one with a bad piece is not. */
static void check_plain(apr_pool_t *pool, struct eas_bytes input)
{
    static const char *const good[] = { "a",    "Z",      "0",    "-",     "_",  "~a",
                                        "$",    "=",      "b.c",  "@",     "/d", "%41",
                                        "%20e", "%c3%a4", "/./f", "/../g", ";h" };
    static const char *const bad[] = { "\\",     "%5c", "%2f", "%2F",   "/%2e",    "%u0041",
                                       "%00",    "%0a", "%7f", "%252e", "%255c",   "/..;/",
                                       "%c0%af", "%ff", "%4",  "/...",  "%c2%a5x", "/. /" };
    unsigned which = fuzz_octet(&input) % (sizeof(bad) / sizeof(*bad));
    char *path = apr_pcalloc(pool, 8 * input.len + 32), *at = path;

    for (at += sprintf(at, "/a"); input.len > 0;) {
        at += sprintf(at, "%s", good[fuzz_octet(&input) % (sizeof(good) / sizeof(*good))]);
    }
    check(eas_path_ambiguity(pool, path, strlen(path)) == NULL);
    sprintf(at, "%s/x", bad[which]);
    check(eas_path_ambiguity(pool, path, strlen(path)) != NULL);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_bytes pieces = input;
    const char *path = apr_pstrcat(pool, "/", fuzz_text(pool, &input), NULL), *plain, *at;
    size_t len = strlen(path);

    check_plain(pool, pieces);
    if (eas_path_ambiguity(pool, apr_pmemdup(pool, path, len), len) != NULL) {
        return;
    }
    plain = decoded(pool, path);
    check(eas_utf8_is_valid(plain, strlen(plain)) && strlen(plain) > 0);
    for (at = plain; *at != '\0'; at++) {
        check(!fuzz_is_control(*at) && *at != '\\');
        check(*at != '%' || (at[1] != 'u' && at[1] != 'U'));
    }
    check(strcmp(decoded(pool, plain), plain) == 0);
    check_parameters(plain);
    check_segments(pool, path);
    check(strcmp(as_httpd(pool, path), as_iis(pool, path)) == 0);
}
