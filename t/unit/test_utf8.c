/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_utf8.c - UTF-8 check */

#include "t/unit/unit.h"

#include "auth/base/utf8.h"

static void test_table(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool valid;
    } rows[] = {
        { "", 0, true },
        { "\0", 1, true },
        { "abc\x7f", 4, true },
        { "\xc2\x80", 2, true },
        { "\xdf\xbf", 2, true },
        { "\xe0\xa0\x80", 3, true },
        { "\xed\x9f\xbf", 3, true },
        { "\xee\x80\x80", 3, true },
        { "\xef\xbf\xbf", 3, true },
        { "\xf0\x90\x80\x80", 4, true },
        { "\xf4\x8f\xbf\xbf", 4, true },
        { "\x80", 1, false },
        { "\xbf", 1, false },
        { "\xc0\x80", 2, false }, /* overlong */
        { "\xc1\xbf", 2, false },
        { "\xe0\x80\xaf", 3, false },
        { "\xe0\x9f\xbf", 3, false },
        { "\xf0\x80\x80\xaf", 4, false },
        { "\xf0\x8f\xbf\xbf", 4, false },
        { "\xed\xa0\x80", 3, false }, /* surrogates */
        { "\xed\xbf\xbf", 3, false },
        { "\xed\xa0\xbd\xed\xb8\x80", 6, false },
        { "\xf4\x90\x80\x80", 4, false }, /* beyond U+10FFFF */
        { "\xf5\x80\x80\x80", 4, false },
        { "\xf8\x88\x80\x80\x80", 5, false },
        { "\xfe", 1, false },
        { "\xff", 1, false },
        { "\xc3", 1, false }, /* cut short */
        { "\xe2\x82", 2, false },
        { "\xf0\x9f\x98", 3, false },
        { "\xc3\x28", 2, false },
        { "\xe2\x28\xa1", 3, false },
        { "\xe2\x82\x28", 3, false },
        { "\xf0\x9f\x98\x28", 4, false },
        { "ok\xc3\xb6\xc3", 5, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_utf8_is_valid(rows[i].bytes, rows[i].len) != rows[i].valid) {
            fail_msg("row %d is %svalid", (int)i, rows[i].valid ? "in" : "");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_sequence_cut_by_the_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
