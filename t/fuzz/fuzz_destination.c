/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_destination.c - fuzz target of auth/login: destination, origin */

#include "t/fuzz/fuzz.h"

#include "auth/base/percent.h"
#include "auth/login/destination.h"
#include "auth/login/origin.h"

#include <apr_strings.h>
#include <strings.h>

/* Decodes once, in place; a bad escape stays. */
static void decode(char *text)
{
    struct eas_bytes rest = eas_bytes_of_text(text);
    char c = '\0';

    while (rest.len > 0) {
        if (!eas_percent_next(&rest, &c)) {
            c = (char)*fuzz_take(&rest, 1).at;
        }
        *text++ = c;
    }
    *text = '\0';
}

/* The path of a browser: escaped dots are dots, a backslash is a slash. */
static void check_segments(char *path)
{
    char *segment = path;

    check(path[0] == '/' && path[1] != '/' && path[1] != '\\');
    while (segment != NULL) {
        char *end = strpbrk(++segment, "/\\");
        size_t len = end != NULL ? (size_t)(end - segment) : strlen(segment);

        check(len > 0 || end == NULL);
        check(!(len == 1 && segment[0] == '.') && !(len == 2 && memcmp(segment, "..", 2) == 0));
        segment = end;
    }
}

/* Segments of plain characters and escaped letters, and any query, are a destination. */
static void check_plain(apr_pool_t *pool, struct eas_bytes input)
{
    static const char *const pieces[] = { "a",   "Z",      "0",  "-",    "_",  "~",   "$",
                                          "=",   ";",      ":",  "@",    "b.", "..c", "%41",
                                          "%2d", "%c3%a4", "/x", "/y.z", "%25" };
    char *path = apr_pcalloc(pool, 8 * input.len + 16), *at = path;

    for (at += sprintf(at, "/a"); input.len > 0;) {
        at += sprintf(at, "%s", pieces[fuzz_octet(&input) % (sizeof(pieces) / sizeof(*pieces))]);
    }
    check(eas_destination_is_local(path) == (strlen(path) <= EAS_DESTINATION_MAX));
    strcpy(at, "/?a/../");
    check(eas_destination_is_local(path) == (strlen(path) <= EAS_DESTINATION_MAX));
}

/* The text that the parts of an origin give again is the origin; no other authority is its. */
static void check_origin(apr_pool_t *pool, const char *text, const char *authority)
{
    struct eas_origin origin;
    const char *made;

    if (!eas_origin_parse(text, &origin)) {
        return;
    }
    check(origin.host.len > 0 && origin.port > 0 && origin.port <= 65535);
    made = apr_psprintf(pool, "%.*s:%u", (int)origin.host.len, (const char *)origin.host.at,
                        origin.port);
    check(strpbrk(made, "/\\@?#, ") == NULL && eas_origin_is_at(&origin, made));
    check(!eas_origin_is_at(&origin, apr_pstrcat(pool, made, "0", NULL)));
    check(!eas_origin_is_at(&origin, apr_pstrcat(pool, "x", made, NULL)));
    check(!eas_origin_is_at(&origin, authority)
          || strncasecmp(authority, made, origin.host.len) == 0);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_bytes pieces = input;
    char *destination = fuzz_text(pool, &input), *at;
    size_t slashes = 0;

    check_plain(pool, pieces);
    check_origin(pool, destination, destination);
    check_origin(pool, apr_pstrcat(pool, "https://", destination, NULL), destination);
    if (!eas_destination_is_local(destination)) {
        return;
    }
    check(strlen(destination) <= EAS_DESTINATION_MAX);
    for (at = destination; *at != '\0'; at++) {
        check(*at > ' ' && *at < 0x7f && *at != '\\' && *at != '#');
    }
    destination[strcspn(destination, "?")] = '\0';
    check_segments(destination);
    for (at = destination; *at != '\0'; at++) {
        slashes += *at == '/';
    }
    decode(destination);
    check_segments(destination);
    for (at = destination; *at != '\0'; at++) {
        check(!fuzz_is_control(*at) && *at != '\\');
        slashes -= *at == '/';
    }
    check(slashes == 0);
}
