/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_path.c - paths that httpd and the backend may read differently */

#include "auth/base/path.h"
#include "t/unit/unit.h"

#include <apr_strings.h>
#include <stdbool.h>
#include <string.h>

static const char *ambiguity(apr_pool_t *pool, const char *path)
{
    return eas_path_ambiguity(pool, path, strlen(path));
}

static void test_paths_of_real_clients(void **state)
{
    static const char *const paths[] = {
        "/",
        "/Microsoft-Server-ActiveSync",
        "/Microsoft-Server-ActiveSync/default.eas",
        "/microsoft-server-activesync",
        "/owa/",
        "/owa/auth/logon.aspx",
        "/owa/service.svc",
        "/owa/service.svc/s/GetFileAttachment",
        "/owa/alice@example.com/",
        "/owa/J%C3%B6rg.M%C3%BCller@example.com/",
        "/owa/15.2.1118.40/scripts/boot.worldwide.0.mouse.js",
        "/owa/calendar/0123abcd@example.com/0123abcd/calendar.html",
        "/ecp/15.2.1118.40/themes/default/clear.gif",
        "/ecp/?rfr=owa",
        "/EWS/Exchange.asmx",
        "/EWS/Exchange.asmx/s/GetUserPhoto",
        "/OAB/9a8b7c6d-0000-1111-2222-333344445555/oab.xml",
        "/OAB/9a8b7c6d-0000-1111-2222-333344445555/oab%20list.lzx",
        "/mapi/emsmdb/",
        "/mapi/nspi/?MailboxId=0123@example.com",
        "/Autodiscover/Autodiscover.xml",
        "/autodiscover/autodiscover.json/v1.0/alice@example.com",
        "/rpc/rpcproxy.dll",
        "/eas-kcd/login",
        "/a/../b",
        "/./a",
        "/a//b",
        "/.well-known/security.txt",
        "/a..b/c",
        "/a(b)/c",
        "/fran%c3%a7ais",
        "/100%25",
    };
    apr_size_t i;

    for (i = 0; i < COUNT_OF(paths); i++) {
        apr_size_t len = strcspn(paths[i], "?");
        const char *cause = eas_path_ambiguity(*state, paths[i], len);

        if (strchr(paths[i], '%') != NULL && strstr(paths[i], "%25") != NULL) {
            assert_string_equal(cause, "an escape within an escape");
        }
        else if (cause != NULL) {
            fail_msg("%s: %s", paths[i], cause);
        }
    }
}

static const struct {
    const char *path, *cause;
} refused[] = {
    { "/owa/..\\PowerShell/", "a backslash" },
    { "/owa/..%5cPowerShell/", "a backslash" },
    { "/owa/..%5CPowerShell/", "a backslash" },
    { "/Autodiscover/metadata/json/..%5c..%5cautodiscover.json", "a backslash" },
    { "/EWS/mrsproxy.svc/..%5c..%5cPowerShell/", "a backslash" },
    { "/Microsoft-Server-ActiveSync/%5c..%5cowa", "a backslash" },
    { "/owa/..%2fPowerShell/", "an escaped slash" },
    { "/owa%2F..%2FPowerShell/", "an escaped slash" },
    { "/Microsoft-Server-ActiveSync/%252e%252e/owa", "an escape within an escape" },
    { "/Microsoft-Server-ActiveSync/..%255cowa", "an escape within an escape" },
    { "/owa/%25", "an escape within an escape" },
    { "/owa/%u002e%u002e/PowerShell", "a malformed escape" },
    { "/owa/%", "a malformed escape" },
    { "/owa/%4", "a malformed escape" },
    { "/owa/%zz", "a malformed escape" },
    { "/owa/%-1", "a malformed escape" },
    { "/Microsoft-Server-ActiveSync/..;/owa", "path parameters in a dot segment" },
    { "/owa/.;x/a", "path parameters in a dot segment" },
    { "/owa/..%3b/PowerShell", "path parameters in a dot segment" },
    { "/owa/%2e%2e/PowerShell", "a dot segment that is not plain" },
    { "/owa/.%2E/PowerShell", "a dot segment that is not plain" },
    { "/owa/.../PowerShell", "a dot segment that is not plain" },
    { "/owa/..%20/PowerShell", "a dot segment that is not plain" },
    { "/owa/%20../PowerShell", "a dot segment that is not plain" },
    { "/owa//../PowerShell", "a dot segment beside an empty segment" },
    { "/owa/./a//b", "a dot segment beside an empty segment" },
    { "//owa/../a", "a dot segment beside an empty segment" },
    { "/Autodiscover/autodiscover.json.", "a segment that ends with a dot or blank" },
    { "/Autodiscover/autodiscover.json%20", "a segment that ends with a dot or blank" },
    { "/owa./a", "a segment that ends with a dot or blank" },
    { "/owa/%00", "a control character" },
    { "/owa/%0d%0aa", "a control character" },
    { "/owa/\x7f", "a control character" },
    { "/owa/\t", "a control character" },
    { "/owa/%c0%af", "octets that are no UTF-8" },
    { "/owa/%e0%80%af", "octets that are no UTF-8" },
    { "/owa/\xff", "octets that are no UTF-8" },
    { "/owa/%e4", "octets that are no UTF-8" },
    { "/owa/%ed%a0%80", "octets that are no UTF-8" },
    { "/owa/%f4%90%80%80", "octets that are no UTF-8" },
    { "/owa/..%ef%bc%8fPowerShell", "a character that Windows may read as another one" },
    { "/owa/%ef%bc%8e%ef%bc%8e/a", "a character that Windows may read as another one" },
    { "/owa/..%e2%88%95PowerShell", "a character that Windows may read as another one" },
    { "/owa/..%c2%a5PowerShell", "a character that Windows may read as another one" },
    { "/owa/..%e2%82%a9PowerShell", "a character that Windows may read as another one" },
    { "/owa/..%e2%83%a5PowerShell", "a character that Windows may read as another one" },
    { "/owa/%d9%aa2e%d9%aa2e/a", "a character that Windows may read as another one" },
    { "/owa/..%cd%bea/b", "a character that Windows may read as another one" },
    { "/owa/a%d6%89%d6%89$DATA", "a character that Windows may read as another one" },
    { "/(S(x))/owa/", "a cookieless session of ASP.NET" },
    { "/owa/(A(x)F(y))/", "a cookieless session of ASP.NET" },
    { "/(%53(x))/owa/", "a cookieless session of ASP.NET" },
    { "/owa:$i30:$INDEX_ALLOCATION/a", "a stream of NTFS" },
    { "/owa/a.aspx::$DATA", "a stream of NTFS" },
    { "/AUTODI~1/a", "a short name of NTFS" },
};

static void test_each_cause(void **state)
{
    apr_size_t i;

    for (i = 0; i < COUNT_OF(refused); i++) {
        const char *cause = ambiguity(*state, refused[i].path);

        if (cause == NULL || strcmp(cause, refused[i].cause) != 0) {
            fail_msg("%s: %s, not %s", refused[i].path, cause != NULL ? cause : "nothing",
                     refused[i].cause);
        }
    }
}

static void test_a_nul_inside(void **state)
{
    assert_string_equal(eas_path_ambiguity(*state, "/owa/\0/a", 8), "a control character");
    assert_null(eas_path_ambiguity(*state, "/owa/a\\", 6));
    assert_string_equal(eas_path_ambiguity(*state, "/owa/%5c", 7), "a malformed escape");
}

/* --- models of the parsers ---------------------------------------------------------------------- */

/* One way in which a parser may read a path; each bit is one habit of it. */
enum {
    BACKSLASH = 1,
    TWICE = 2,
    MERGE = 4,
    TRIM = 8,
    COOKIELESS = 16,
    PARAMETERS = 32,
    BEST_FIT = 64,
    HABITS = 128
};

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *found;

    c = (char)(c >= 'A' && c <= 'F' ? c | 0x20 : c);
    found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

static char *decode(apr_pool_t *pool, const char *path)
{
    char *out = apr_palloc(pool, strlen(path) + 1), *p = out;

    while (*path != '\0') {
        if (path[0] == '%' && digit(path[1]) >= 0 && digit(path[2]) >= 0) {
            *p++ = (char)(digit(path[1]) << 4 | digit(path[2]));
            path += 3;
        }
        else if (path[0] == '%' && (path[1] | 0x20) == 'u' && digit(path[2]) == 0
                 && digit(path[3]) == 0 && digit(path[4]) >= 0 && digit(path[5]) >= 0) {
            *p++ = (char)(digit(path[4]) << 4 | digit(path[5]));
            path += 6;
        }
        else {
            *p++ = *path++;
        }
    }
    *p = '\0';
    return out;
}

/* Fullwidth ASCII becomes ASCII. */
static char *best_fit(apr_pool_t *pool, const char *path)
{
    char *out = apr_palloc(pool, strlen(path) + 1), *p = out;

    while (*path != '\0') {
        const unsigned char *u = (const unsigned char *)path;

        if (u[0] == 0xef && u[1] == 0xbc && u[2] >= 0x81) {
            *p++ = (char)(u[2] - 0x80 + 0x20);
            path += 3;
        }
        else {
            *p++ = *path++;
        }
    }
    *p = '\0';
    return out;
}

static char *trim(char *segment)
{
    apr_size_t len = strlen(segment);

    while (len > 0 && (segment[len - 1] == '.' || segment[len - 1] == ' ')) {
        segment[--len] = '\0';
    }
    return segment;
}

static bool is_dots_with_parameters(const char *segment)
{
    apr_size_t dots = strspn(segment, ".");

    return (dots == 1 || dots == 2) && segment[dots] == ';';
}

static bool is_cookieless(const char *segment)
{
    return segment[0] == '(' && (segment[1] | 0x20) >= 'a' && (segment[1] | 0x20) <= 'z'
           && segment[2] == '(';
}

/* The text of the path, decoded as by a parser with these habits. */
static char *read_text(apr_pool_t *pool, const char *path, int habits)
{
    char *text = decode(pool, path), *p;

    if (habits & TWICE) {
        text = decode(pool, text);
    }
    if (habits & BEST_FIT) {
        text = best_fit(pool, text);
    }
    for (p = text; *p != '\0' && (habits & BACKSLASH); p++) {
        *p = (char)(*p == '\\' ? '/' : *p);
    }
    return text;
}

static void take_segment(apr_pool_t *pool, apr_array_header_t *stack, char *segment, int habits)
{
    if ((habits & PARAMETERS) && is_dots_with_parameters(segment)) {
        *strchr(segment, ';') = '\0';
    }
    if ((habits & COOKIELESS) && is_cookieless(segment)) {
        return;
    }
    if (strcmp(segment, "..") == 0) {
        apr_array_pop(stack);
    }
    else if (strcmp(segment, ".") != 0 && (*segment != '\0' || !(habits & MERGE))) {
        APR_ARRAY_PUSH(stack, char *) = habits & TRIM ? trim(apr_pstrdup(pool, segment)) : segment;
    }
}

/* The path as a parser with these habits resolves it, its segments joined by slashes. */
static const char *resolve(apr_pool_t *pool, const char *path, int habits)
{
    apr_array_header_t *stack = apr_array_make(pool, 8, sizeof(char *));
    char *segment, *next;

    for (segment = read_text(pool, path, habits); segment != NULL; segment = next) {
        next = strchr(segment, '/');
        if (next != NULL) {
            *next++ = '\0';
        }
        take_segment(pool, stack, segment, habits);
    }
    return apr_array_pstrcat(pool, stack, '/');
}

/* Without empty segments, which lead nowhere else. */
static const char *squeeze(apr_pool_t *pool, const char *path)
{
    char *out = apr_pstrdup(pool, path), *p = out, *q;

    for (q = out; *q != '\0'; q++) {
        if (*q != '/' || (p > out && p[-1] != '/')) {
            *p++ = *q;
        }
    }
    while (p > out && p[-1] == '/') {
        p--;
    }
    *p = '\0';
    return out;
}

static bool same(apr_pool_t *pool, const char *path, int habits)
{
    const char *httpds = squeeze(pool, resolve(pool, path, MERGE));

    return strcmp(httpds, squeeze(pool, resolve(pool, path, habits))) == 0;
}

static unsigned random_below(unsigned n)
{
    static apr_uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % n);
}

static const char *const seeds[] = {
    "/owa/auth/logon.aspx",        "/Microsoft-Server-ActiveSync/default.eas",
    "/EWS/Exchange.asmx/s/a",      "/EWS/mrsproxy.svc/x",
    "/Autodiscover/metadata/json", "/a/../b/./c",
    "/owa//a/b(c)/d;e/f",
};

static const char *const pieces[] = {
    "/",         "\\",     "..",         ".",     "%2e",          "%2E%2e",
    "%5c",       "%2f",    "%25",        "%255c", "%252e",        "%u002e",
    "%u005c",    ";",      ";a=b",       " ",     "%20",          "(S(a))",
    "(",         "(A(",    "::$DATA",    "~1",    "%c0%af",       "%ef%bc%8f",
    "%ef%bc%8e", "%c3%a4", "PowerShell", "/../",  "/..\\",        "/./",
    "//",        "%00",    "%",          "%2",    "\xef\xbc\x8f", "%ef%bc%bc",
};

static const char *mutate(apr_pool_t *pool)
{
    const char *path = seeds[random_below(sizeof(seeds) / sizeof(seeds[0]))];
    unsigned changes = 1 + random_below(4);

    while (changes-- > 0) {
        unsigned at = 1 + random_below((unsigned)strlen(path));
        const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
        unsigned skip = random_below(3) == 0 ? random_below(4) : 0;

        if (random_below(6) == 0) {
            piece = apr_psprintf(pool, "%%%02x", (unsigned char)path[at - 1]);
        }
        if (skip > strlen(path) - at) {
            skip = 0;
        }
        path = apr_pstrcat(pool, apr_pstrmemdup(pool, path, at), piece, path + at + skip, NULL);
    }
    return path;
}

static void test_no_mutated_path_leaves_its_section(void **state)
{
    int i, habits, accepted = 0, ambiguous = 0;

    for (i = 0; i < 60000; i++) {
        apr_pool_t *pool;
        const char *path;
        bool accepts, differs = false;

        apr_pool_create(&pool, *state);
        path = mutate(pool);
        accepts = ambiguity(pool, path) == NULL;
        /* A parser with every habit shows most differences; an accepted path is read by all. */
        differs = !same(pool, path, HABITS - 1);
        for (habits = 0; habits < HABITS && accepts && !differs; habits++) {
            differs = !same(pool, path, habits);
        }
        if (accepts && differs) {
            fail_msg("%s is read as %s by %d", path, resolve(pool, path, habits - 1), habits - 1);
        }
        accepted += accepts;
        ambiguous += differs;
        apr_pool_destroy(pool);
    }
    assert_true(accepted > 3000);
    assert_true(ambiguous > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_paths_of_real_clients),
        POOL_TEST(test_each_cause),
        POOL_TEST(test_a_nul_inside),
        POOL_TEST(test_no_mutated_path_leaves_its_section),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
