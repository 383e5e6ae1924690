/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_destination.c - check of a redirect target; t/test_destination.py has the large corpus */

#include "t/unit/unit.h"

#include "auth/login/destination.h"

#include <string.h>

static void test_paths_of_this_site(void **state)
{
    static const char *const rows[] = {
        "/",
        "/?",
        "/owa",
        "/owa/",
        "/owa/?ae=Folder&id=a%2Bb",
        "/owa/?ae=Item&t=IPM.Note&id=RgAAAAB%2f%2b%5c%0d%0a%00&pspid=_1",
        "/owa/?url=https://elsewhere.example//a/../b",
        "/?//evil.example",
        "/Microsoft-Server-ActiveSync",
        "/Microsoft-Server-ActiveSync?Cmd=Ping&User=EX%5calice&DeviceId=ABC&DeviceType=iPhone",
        "/a%20b",
        "/%20",
        "/%20%2a/",
        "/a%25b",
        "/%c3%a9",
        "/.well-known/x",
        "/...",
        "/a../..b/.c/d./%2ea/a%2e",
        "/%2e%2e%2e",
        "/a;b=c,d/e:f@g!h$i'j(k)l*m+n=o~p_q-r",
        "/a|b^c`d{e}\"<f>[g]",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (!eas_destination_is_local(rows[i])) {
            fail_msg("\"%s\" is refused", rows[i]);
        }
    }
}

static void test_other_sites(void **state)
{
    static const char *const rows[] = {
        NULL,
        "",
        " ",
        "owa",
        "?x",
        "#x",
        "//",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        " /owa",
        "/owa ",
        "/ow a",
        "/\t/evil.example",
        "/\n/evil.example",
        "/owa\r\nSet-Cookie: x=y",
        "/owa\x7f",
        "/owa\x01",
        "/\xc3\xa9",
        "/owa\xff",
        "https://evil.example",
        "https:evil.example",
        "http:/evil.example",
        "javascript:alert(1)",
        "/owa//evil.example",
        "/owa//",
        "/http://",
        "/owa\\x",
        "/owa?\\x",
        "/owa#x",
        "/owa?x#y",
        "/owa?a b",
        "/owa?\xc3\xa9",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_destination_is_local(rows[i])) {
            fail_msg("\"%s\" is accepted", rows[i]);
        }
    }
}

static void test_dot_segments(void **state)
{
    static const char *const rows[] = {
        "/.",        "/..",          "/./",       "/../",    "/owa/.",   "/owa/..",
        "/owa/./x",  "/owa/../x",    "/..?x",     "/.?x",    "/%2e",     "/%2E",
        "/%2e%2e",   "/%2E%2e/",     "/.%2e",     "/%2e.",   "/a/%2e/b", "/a/.%2E/b",
        "/%2e%2e?x", "/.//evil.com", "/..//evil", "/%2e//x",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_destination_is_local(rows[i])) {
            fail_msg("\"%s\" is accepted", rows[i]);
        }
    }
}

static void test_escapes(void **state)
{
    static const char *const rows[] = {
        "/%",     "/%0",    "/%2",    "/%zz",   "/%2g", "/%g2",    "/%%",    "/a%",
        "/?%",    "/?%2",   "/?%zz",  "/?a=%",  "/% 1", "/%u002f", "/%2f",   "/%2F",
        "/%5c",   "/%5C",   "/%09",   "/%0a",   "/%0A", "/%0d",    "/%0D",   "/%00",
        "/%01",   "/%1f",   "/%1F",   "/%7f",   "/%7F", "/a%2fb",  "/a%5Cb", "/%2fevil.example",
        "/a%00b", "/a/%0d", "/%00?x", "/%2f?x",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_destination_is_local(rows[i])) {
            fail_msg("\"%s\" is accepted", rows[i]);
        }
    }
}

static void test_every_character(void **state)
{
    int c;

    (void)state;
    for (c = 1; c <= 0xff; c++) {
        char path[] = { '/', 'a', (char)c, 'b', '\0' }, query[] = { '/', '?', (char)c, '\0' };
        bool printable = c > 0x20 && c < 0x7f && c != '\\' && c != '#' && c != '%';

        assert_int_equal(eas_destination_is_local(path), printable);
        assert_int_equal(eas_destination_is_local(query), printable);
    }
}

static void test_length(void **state)
{
    char path[2050];

    (void)state;
    assert_int_equal(EAS_DESTINATION_MAX, 2048);
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[2048] = '\0';
    assert_true(eas_destination_is_local(path));
    path[2048] = 'a';
    path[2049] = '\0';
    assert_false(eas_destination_is_local(path));
    memcpy(path + 2045, "%20", 4);
    assert_true(eas_destination_is_local(path));
}

static void test_below_a_prefix(void **state)
{
    static const struct {
        const char *destination;
        bool below;
    } rows[] = {
        { "/eas-kcd/", true },
        { "/eas-kcd/logout?everywhere=1", true },
        { "/%65as-kcd/logout?everywhere=1", true },
        { "/eas%2dkcd/logout", true },
        { "/eas%2Dkcd/%6c", true },
        { "/%65%61%73%2d%6b%63%64/", true },
        { "/eas-kcd", false },
        { "/eas-kcd?/", false },
        { "/eas-kcd%3f/", false },
        { "/%2565as-kcd/logout", false },
        { "/Eas-kcd/", false },
        { "/owa/?/eas-kcd/", false },
        { "/owa/eas-kcd/", false },
        { "/", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_destination_is_below(rows[i].destination, "/eas-kcd/") != rows[i].below) {
            fail_msg("\"%s\"", rows[i].destination);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below_a_prefix), cmocka_unit_test(test_paths_of_this_site),
        cmocka_unit_test(test_other_sites),    cmocka_unit_test(test_dot_segments),
        cmocka_unit_test(test_escapes),        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
