/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_percent.c - percent-decoding */

#include "t/unit/unit.h"

#include "auth/base/percent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct eas_bytes bytes_of(const char *text)
{
    return (struct eas_bytes){ (const unsigned char *)text, strlen(text) };
}

static void assert_bytes(struct eas_bytes is, const char *expected)
{
    assert_non_null(is.at);
    assert_int_equal(is.len, strlen(expected));
    assert_memory_equal(is.at, expected, is.len);
}

static void test_each_octet_in_each_letter_case(void **state)
{
    static const char *const formats[] = { "%%%02x%%%02x", "%%%02X%%%02X" };
    int c;

    (void)state;
    for (c = 0; c <= 0xff; c++) {
        char text[7], octet = '?';
        struct eas_bytes rest;

        snprintf(text, sizeof(text), formats[c % 2], (unsigned)c, (unsigned)c ^ 0xffu);
        rest = bytes_of(text);
        assert_true(eas_percent_next(&rest, &octet));
        assert_int_equal((unsigned char)octet, c);
        assert_bytes(rest, text + 3);
        assert_true(eas_percent_next(&rest, &octet));
        assert_int_equal((unsigned char)octet, c ^ 0xff);
        assert_bytes(rest, "");
    }
}

static void test_each_plain_octet(void **state)
{
    int c;

    (void)state;
    for (c = 0; c <= 0xff; c++) {
        unsigned char text[] = { (unsigned char)c, 'x' };
        struct eas_bytes rest = { text, sizeof(text) };
        char octet = '?';

        if (c != '%') {
            assert_true(eas_percent_next(&rest, &octet));
            assert_int_equal((unsigned char)octet, c);
            assert_bytes(rest, "x");
        }
    }
}

static void test_one_pass(void **state)
{
    struct eas_bytes rest = bytes_of("%2541");
    char octet;

    (void)state;
    assert_true(eas_percent_next(&rest, &octet));
    assert_int_equal(octet, '%');
    assert_bytes(rest, "41");
}

/* In memory of exactly its size, so that valgrind finds a read behind the end. */
static void test_bad_escapes(void **state)
{
    static const char *const rows[] = { "",    "%",      "%0",    "%4",   "%zz", "%4g",
                                        "%g4", "%%41",   "%4%31", "% 41", "%+1", "%-1",
                                        "%0x", "%u0041", "%4&x=", "%=41" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i]);
        unsigned char *exact = malloc(len > 0 ? len : 1);
        struct eas_bytes rest = { exact, len };
        char octet = '?';

        assert_non_null(exact);
        memcpy(exact, rows[i], len);
        if (eas_percent_next(&rest, &octet)) {
            fail_msg("\"%s\" gives %02x", rows[i], (unsigned)octet);
        }
        assert_ptr_equal(rest.at, exact);
        assert_int_equal(rest.len, len);
        assert_int_equal(octet, '?');
        free(exact);
    }
}

static void test_escape_cut_by_the_length(void **state)
{
    struct eas_bytes rest = { (const unsigned char *)"%41", 2 };
    char octet;

    (void)state;
    assert_false(eas_percent_next(&rest, &octet));
}

static void test_pairs(void **state)
{
    static const struct {
        const char *text, *name, *value, *rest;
    } rows[] = {
        { .text = "a=b", .name = "a", .value = "b", .rest = "" },
        { .text = "a=b&c=d&e", .name = "a", .value = "b", .rest = "c=d&e" },
        { .text = "a=b&", .name = "a", .value = "b", .rest = "" },
        { .text = "a", .name = "a", .value = "", .rest = "" },
        { .text = "a&b=c", .name = "a", .value = "", .rest = "b=c" },
        { .text = "a=&b=c", .name = "a", .value = "", .rest = "b=c" },
        { .text = "=b&c", .name = "", .value = "b", .rest = "c" },
        { .text = "a=b=c==&d", .name = "a", .value = "b=c==", .rest = "d" },
        { .text = "&a=b", .name = "", .value = "", .rest = "a=b" },
        { .text = "%3d=%26", .name = "%3d", .value = "%26", .rest = "" },
        { .text = "a=b;c=d", .name = "a", .value = "b;c=d", .rest = "" },
        { .text = "", .name = "", .value = "", .rest = "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_bytes rest = bytes_of(rows[i].text), name = { NULL, 1 }, value = { NULL, 1 };

        eas_percent_pair(&rest, &name, &value);
        assert_bytes(name, rows[i].name);
        assert_bytes(value, rows[i].value);
        assert_bytes(rest, rows[i].rest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_octet_in_each_letter_case),
        cmocka_unit_test(test_each_plain_octet),
        cmocka_unit_test(test_one_pass),
        cmocka_unit_test(test_bad_escapes),
        cmocka_unit_test(test_escape_cut_by_the_length),
        cmocka_unit_test(test_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
