/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_breaker.c - the circuit breaker, by a clock of our own */

#include "t/unit/unit.h"

#include "auth/workers/breaker.h"

#define SECONDS(n) apr_time_from_sec(n)

/* Asked and failed in the same moment. */
static void fail_times(struct eas_breaker *breaker, int times, apr_time_t now)
{
    while (times-- > 0) {
        eas_breaker_failed(breaker, now, now);
    }
}

static void test_opens_after_three_in_a_row(void **state)
{
    struct eas_breaker breaker = { 0 };

    (void)state;
    assert_int_equal(eas_breaker_admit(&breaker, 0), EAS_BREAKER_CLOSED);
    fail_times(&breaker, 2, SECONDS(1));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(1)), EAS_BREAKER_CLOSED);
    eas_breaker_succeeded(&breaker, SECONDS(1));
    fail_times(&breaker, 2, SECONDS(2));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(2)), EAS_BREAKER_CLOSED);
    fail_times(&breaker, 1, SECONDS(3));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(3)), EAS_BREAKER_OPEN);
}

static void test_what_was_asked_before_the_last_success_says_nothing(void **state)
{
    struct eas_breaker breaker = { 0 };
    int i;

    (void)state;
    eas_breaker_succeeded(&breaker, SECONDS(2));
    for (i = 0; i < 3; i++) {
        eas_breaker_failed(&breaker, SECONDS(1), SECONDS(3));
    }
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(3)), EAS_BREAKER_CLOSED);
    for (i = 0; i < 3; i++) {
        eas_breaker_failed(&breaker, SECONDS(2), SECONDS(3));
    }
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(3)), EAS_BREAKER_OPEN);
}

static void test_one_trial_at_a_time(void **state)
{
    struct eas_breaker breaker = { 0 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_PROBE);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(15) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(15)), EAS_BREAKER_PROBE);
}

static void test_three_trials_at_most_are_away(void **state)
{
    struct eas_breaker breaker = { 0 };
    int i;

    (void)state;
    fail_times(&breaker, 3, 0);
    for (i = 1; i <= 3; i++) {
        assert_int_equal(eas_breaker_admit(&breaker, SECONDS(10 * i)), EAS_BREAKER_PROBE);
    }
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(1000)), EAS_BREAKER_OPEN);
    eas_breaker_probe_end(&breaker, true, SECONDS(1000));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(1000)), EAS_BREAKER_PROBE);
}

static void test_failed_trial_opens_again(void **state)
{
    struct eas_breaker breaker = { 0 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_PROBE);
    eas_breaker_failed(&breaker, SECONDS(6), SECONDS(8));
    eas_breaker_probe_end(&breaker, true, SECONDS(9));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(13) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(13)), EAS_BREAKER_PROBE);
}

/* One that was asked before it must not make room for another. */
static void test_others_failures_are_not_the_trials(void **state)
{
    struct eas_breaker breaker = { 0 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_PROBE);
    eas_breaker_failed(&breaker, SECONDS(5), SECONDS(7));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(16) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(16)), EAS_BREAKER_PROBE);
}

static void test_good_trial_closes(void **state)
{
    struct eas_breaker breaker = { 0 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_breaker_succeeded(&breaker, SECONDS(5));
    eas_breaker_probe_end(&breaker, true, SECONDS(5));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_CLOSED);
    fail_times(&breaker, 2, SECONDS(6));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_CLOSED);
}

static void test_trial_that_tells_nothing_is_the_next_ones(void **state)
{
    struct eas_breaker breaker = { 0 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_breaker_probe_end(&breaker, false, SECONDS(6));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_PROBE);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_after_three_in_a_row),
        cmocka_unit_test(test_what_was_asked_before_the_last_success_says_nothing),
        cmocka_unit_test(test_one_trial_at_a_time),
        cmocka_unit_test(test_three_trials_at_most_are_away),
        cmocka_unit_test(test_failed_trial_opens_again),
        cmocka_unit_test(test_others_failures_are_not_the_trials),
        cmocka_unit_test(test_good_trial_closes),
        cmocka_unit_test(test_trial_that_tells_nothing_is_the_next_ones),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
