/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_utf8.c - UTF-8: check, conversion from Windows-1252 */

#include "t/unit/unit.h"

#include "auth/base/utf8.h"

#include <iconv.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *bytes;
    size_t len;
};

static void test_valid(void **state)
{
    static const struct row rows[] = {
        { "", 0 },
        { "\0", 1 },
        { "abc\x7f", 4 },
        { "\xc2\x80", 2 },
        { "\xdf\xbf", 2 },
        { "\xe0\xa0\x80", 3 },
        { "\xed\x9f\xbf", 3 },
        { "\xee\x80\x80", 3 },
        { "\xef\xbf\xbf", 3 },
        { "\xf0\x90\x80\x80", 4 },
        { "\xf4\x8f\xbf\xbf", 4 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (!eas_utf8_is_valid(rows[i].bytes, rows[i].len)) {
            fail_msg("row %d is invalid", (int)i);
        }
    }
}

static void test_invalid(void **state)
{
    static const struct row rows[] = {
        { "\x80", 1 },
        { "\xbf", 1 },
        { "\xc0\x80", 2 }, /* overlong */
        { "\xc1\xbf", 2 },
        { "\xe0\x80\xaf", 3 },
        { "\xe0\x9f\xbf", 3 },
        { "\xf0\x80\x80\xaf", 4 },
        { "\xf0\x8f\xbf\xbf", 4 },
        { "\xed\xa0\x80", 3 }, /* surrogates */
        { "\xed\xbf\xbf", 3 },
        { "\xed\xa0\xbd\xed\xb8\x80", 6 },
        { "\xf4\x90\x80\x80", 4 }, /* beyond U+10FFFF */
        { "\xf5\x80\x80\x80", 4 },
        { "\xf8\x88\x80\x80\x80", 5 },
        { "\xfe", 1 },
        { "\xff", 1 },
        { "\xc3", 1 }, /* cut short */
        { "\xe2\x82", 2 },
        { "\xf0\x9f\x98", 3 },
        { "\xc3\x28", 2 },
        { "\xe2\x28\xa1", 3 },
        { "\xe2\x82\x28", 3 },
        { "\xf0\x9f\x98\x28", 4 },
        { "ok\xc3\xb6\xc3", 5 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_utf8_is_valid(rows[i].bytes, rows[i].len)) {
            fail_msg("row %d is valid", (int)i);
        }
    }
}

/* The octets behind the length would complete the sequence. */
static void test_sequence_cut_by_the_length(void **state)
{
    (void)state;
    assert_false(eas_utf8_is_valid("a\xc3\xb6", 2));
    assert_false(eas_utf8_is_valid("\xf0\x9f\x98\x80", 3));
    assert_true(eas_utf8_is_valid("a\xff", 1));
}

static void assert_blank(const char *c)
{
    char text[9];
    size_t len = strlen(c);

    assert_int_equal(eas_utf8_first_blank(c, len), len);
    assert_int_equal(eas_utf8_last_blank(c, len), len);
    snprintf(text, sizeof(text), "%sa%s", c, c);
    assert_int_equal(eas_utf8_first_blank(text, 2 * len + 1), len);
    assert_int_equal(eas_utf8_last_blank(text, 2 * len + 1), len);
    assert_int_equal(eas_utf8_last_blank(text, len + 1), 0);
    assert_int_equal(eas_utf8_first_blank(text + len, len + 1), 0);
}

static void test_blanks(void **state)
{
    static const char *const blanks[] = {
        " ",
        "\t",
        "\xc2\xa0",     /* no-break space */
        "\xe1\x9a\x80", /* Ogham space mark */
        "\xe2\x80\x80", /* en quad, the first of General Punctuation */
        "\xe2\x80\x8b", /* zero-width space */
        "\xe2\x80\x8f", /* right-to-left mark */
        "\xe2\x80\xac", /* pop directional formatting */
        "\xe2\x80\xaf", /* narrow no-break space */
        "\xe2\x81\x9f", /* mathematical space */
        "\xe2\x81\xa9", /* pop directional isolate */
        "\xe3\x80\x80", /* ideographic space */
        "\xef\xbb\xbf", /* byte order mark */
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        assert_blank(blanks[i]);
    }
}

/* Also where an octet of a blank's number stands in another sequence, or in none. */
static void test_no_blanks(void **state)
{
    static const char *const others[] = {
        "",
        "a",
        "\n",
        "\xa0",
        "\xc2",
        "\xc2\xa1",
        "\xc3\xa0",
        "\x80\x80",
        "\xe2\x80",
        "\xe2\x80\x90", /* hyphen */
        "\xe2\x80\xa7", /* hyphenation point */
        "\xe3\x80\x81", /* ideographic comma */
        "\xf0\xa0\x80\x80",
        "\xf0\x9f\x80\x80",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(eas_utf8_first_blank(others[i], strlen(others[i])), 0);
        assert_int_equal(eas_utf8_last_blank(others[i], strlen(others[i])), 0);
    }
}

/* libc's table is not the module's; it has no character for five octets. */
static void test_every_octet_of_windows_1252(void **state)
{
    iconv_t libc = iconv_open("UTF-8", "CP1252");
    int c, undefined = 0;

    (void)state;
    assert_ptr_not_equal(libc, (iconv_t)-1);
    for (c = 0; c <= 0xff; c++) {
        char octet = (char)c, expected[4], utf8[4], *from = &octet, *to = expected;
        size_t from_len = 1, room = sizeof(expected), len = eas_utf8_from_windows(&octet, 1, utf8);

        assert_true(len <= 3 && eas_utf8_is_valid(utf8, len));
        if (iconv(libc, &from, &from_len, &to, &room) != 0) {
            undefined++;
            assert_true(len == 2 && utf8[0] == '\xc2' && utf8[1] == octet);
            continue;
        }
        assert_int_equal(len, sizeof(expected) - room);
        assert_memory_equal(utf8, expected, len);
    }
    assert_int_equal(undefined, 5);
    assert_int_equal(iconv_close(libc), 0);
}

static void test_windows_1252_text(void **state)
{
    char utf8[3 * 4];

    (void)state;
    assert_int_equal(eas_utf8_from_windows("", 0, utf8), 0);
    assert_int_equal(eas_utf8_from_windows("a\0\xfc\x80", 4, utf8), 7);
    assert_memory_equal(utf8, "a\0\xc3\xbc\xe2\x82\xac", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_sequence_cut_by_the_length),
        cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_no_blanks),
        cmocka_unit_test(test_every_octet_of_windows_1252),
        cmocka_unit_test(test_windows_1252_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
