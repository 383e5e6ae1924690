/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_breaker.c - the circuit breaker of a realm, by a clock of our own */

#include "t/unit/unit.h"

#include "auth/breaker.h"

#define SECONDS(n) apr_time_from_sec(n)

static void fail_times(struct eas_breaker *breaker, const char *realm, int times, apr_time_t now)
{
    while (times-- > 0) {
        eas_breaker_failed(breaker, realm, now);
    }
}

static void test_opens_after_three_in_a_row(void **state)
{
    struct eas_breaker *breaker = eas_breaker_create(*state);

    assert_int_equal(eas_breaker_ask(breaker, "A", 0), EAS_BREAKER_CLOSED);
    fail_times(breaker, "A", 2, SECONDS(1));
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(1)), EAS_BREAKER_CLOSED);
    eas_breaker_succeeded(breaker, "A");
    fail_times(breaker, "A", 2, SECONDS(2));
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(2)), EAS_BREAKER_CLOSED);
    fail_times(breaker, "A", 1, SECONDS(3));
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(3)), EAS_BREAKER_OPEN);
}

static void test_one_trial_at_a_time(void **state)
{
    struct eas_breaker *breaker = eas_breaker_create(*state);

    fail_times(breaker, "A", 3, 0);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(5) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(5)), EAS_BREAKER_TRIAL);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(5)), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(64)), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(65)), EAS_BREAKER_TRIAL);
}

static void test_failed_trial_opens_again(void **state)
{
    struct eas_breaker *breaker = eas_breaker_create(*state);

    fail_times(breaker, "A", 3, 0);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(6)), EAS_BREAKER_TRIAL);
    eas_breaker_failed(breaker, "A", SECONDS(8));
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(13) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(13)), EAS_BREAKER_TRIAL);
}

static void test_good_trial_closes(void **state)
{
    struct eas_breaker *breaker = eas_breaker_create(*state);

    fail_times(breaker, "A", 3, 0);
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(5)), EAS_BREAKER_TRIAL);
    eas_breaker_succeeded(breaker, "A");
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(5)), EAS_BREAKER_CLOSED);
    fail_times(breaker, "A", 2, SECONDS(6));
    assert_int_equal(eas_breaker_ask(breaker, "A", SECONDS(6)), EAS_BREAKER_CLOSED);
}

static void test_realms_are_apart(void **state)
{
    struct eas_breaker *breaker = eas_breaker_create(*state);

    fail_times(breaker, "A", 3, 0);
    assert_int_equal(eas_breaker_ask(breaker, "A", 0), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_ask(breaker, "B", 0), EAS_BREAKER_CLOSED);
    assert_int_equal(eas_breaker_ask(breaker, "a", 0), EAS_BREAKER_CLOSED);
    eas_breaker_succeeded(breaker, "B");
    assert_int_equal(eas_breaker_ask(breaker, "A", 0), EAS_BREAKER_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_opens_after_three_in_a_row), POOL_TEST(test_one_trial_at_a_time),
        POOL_TEST(test_failed_trial_opens_again),   POOL_TEST(test_good_trial_closes),
        POOL_TEST(test_realms_are_apart),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
