/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_error.c - error record */

#include "t/unit/unit.h"

#include "auth/base/error.h"

#include <string.h>

#define TEXT_MAX (sizeof(((struct eas_err *)NULL)->text) - 1)

/* An error and bytes behind it that must not change. */
struct bounded {
    struct eas_err err;
    char margin[64];
};

static void fill(char *text, size_t len)
{
    memset(text, 'x', len);
    text[len] = '\0';
}

static void test_fail_returns_and_describes(void **state)
{
    struct eas_err err;

    (void)state;
    assert_int_equal(eas_fail(&err, EAS_FORBIDDEN, 1234, "user %s has %d", "alice", 7),
                     EAS_FORBIDDEN);
    assert_int_equal(err.rc, EAS_FORBIDDEN);
    assert_int_equal(err.tag, 1234);
    assert_string_equal(err.text, "user alice has 7");
}

static void test_text_that_just_fits_is_whole(void **state)
{
    char text[TEXT_MAX + 1];
    struct eas_err err;

    (void)state;
    fill(text, TEXT_MAX);
    eas_fail(&err, EAS_DENIED, 1001, "%s", text);
    assert_string_equal(err.text, text);
}

static void test_long_text_is_cut_within_the_error(void **state)
{
    char text[3 * TEXT_MAX], margin[64];
    struct bounded g;

    (void)state;
    fill(text, sizeof(text) - 1);
    memset(margin, 0x55, sizeof(margin));
    memcpy(g.margin, margin, sizeof(margin));
    assert_int_equal(eas_fail(&g.err, EAS_BACKEND, 2999, "%s", text), EAS_BACKEND);
    assert_int_equal(strlen(g.err.text), TEXT_MAX);
    assert_memory_equal(g.err.text, text, TEXT_MAX);
    assert_int_equal(g.err.rc, EAS_BACKEND);
    assert_int_equal(g.err.tag, 2999);
    assert_memory_equal(g.margin, margin, sizeof(margin));
}

static void test_percent_signs_in_arguments_are_text(void **state)
{
    struct eas_err err;

    (void)state;
    eas_fail(&err, EAS_DENIED, 1001, "name %s", "%s%n%d");
    assert_string_equal(err.text, "name %s%n%d");
}

static void test_later_failure_replaces_the_earlier(void **state)
{
    struct eas_err err;

    (void)state;
    eas_fail(&err, EAS_DENIED, 1001, "%s", "a rather long first text");
    eas_fail(&err, EAS_UNAVAILABLE, 2002, "%s", "short");
    assert_int_equal(err.rc, EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 2002);
    assert_string_equal(err.text, "short");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_returns_and_describes),
        cmocka_unit_test(test_text_that_just_fits_is_whole),
        cmocka_unit_test(test_long_text_is_cut_within_the_error),
        cmocka_unit_test(test_percent_signs_in_arguments_are_text),
        cmocka_unit_test(test_later_failure_replaces_the_earlier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
