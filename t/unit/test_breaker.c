/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_breaker.c - circuit breaker */

#include "t/unit/unit.h"

#include "auth/workers/breaker.h"

#define SECONDS(n) apr_time_from_sec(n)

/* Messages that fail in the moment of sending. */
static void fail_times(struct eas_breaker *breaker, int times, apr_time_t now)
{
    while (times-- > 0) {
        eas_breaker_failed(breaker, now, now);
    }
}

static void test_opens_after_three_failures_in_a_row(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

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

static void test_failure_sent_before_the_last_success_is_ignored(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };
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

static void test_one_failure_opens_where_that_is_the_limit(void **state)
{
    struct eas_breaker breaker = { .limit = 1 };

    (void)state;
    assert_int_equal(eas_breaker_admit(&breaker, 0), EAS_BREAKER_CLOSED);
    fail_times(&breaker, 1, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(4) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(4)), EAS_BREAKER_PROBE);
}

static void test_one_probe_at_a_time(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(4) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(4)), EAS_BREAKER_PROBE);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(4)), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(1000)), EAS_BREAKER_OPEN);
}

static void test_failed_probe_opens_again(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_PROBE);
    eas_breaker_failed(&breaker, SECONDS(6), SECONDS(8));
    eas_breaker_probe_end(&breaker, true, SECONDS(9));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(10) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(10)), EAS_BREAKER_PROBE);
}

/* The peer may have come back since the message was sent. */
static void test_probe_that_failed_late_is_repeated_at_once(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_PROBE);
    eas_breaker_failed(&breaker, SECONDS(6), SECONDS(11));
    eas_breaker_probe_end(&breaker, true, SECONDS(11));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(11)), EAS_BREAKER_PROBE);
}

static void test_late_failures_open_for_four_seconds(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };
    int i;

    (void)state;
    for (i = 0; i < 5; i++) {
        eas_breaker_failed(&breaker, 0, SECONDS(5));
    }
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(9) - 1), EAS_BREAKER_OPEN);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(9)), EAS_BREAKER_PROBE);
}

/* A message sent before the probe must not let the next probe start. */
static void test_older_failure_does_not_end_the_probe(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_PROBE);
    eas_breaker_failed(&breaker, SECONDS(5), SECONDS(20));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(20)), EAS_BREAKER_OPEN);
    eas_breaker_probe_end(&breaker, false, SECONDS(20));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(20)), EAS_BREAKER_PROBE);
}

static void test_successful_probe_closes(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

    (void)state;
    fail_times(&breaker, 3, 0);
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_breaker_succeeded(&breaker, SECONDS(5));
    eas_breaker_probe_end(&breaker, true, SECONDS(5));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(5)), EAS_BREAKER_CLOSED);
    fail_times(&breaker, 2, SECONDS(6));
    assert_int_equal(eas_breaker_admit(&breaker, SECONDS(6)), EAS_BREAKER_CLOSED);
}

static void test_probe_without_result_is_repeated_at_once(void **state)
{
    struct eas_breaker breaker = { .limit = 3 };

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
        cmocka_unit_test(test_opens_after_three_failures_in_a_row),
        cmocka_unit_test(test_failure_sent_before_the_last_success_is_ignored),
        cmocka_unit_test(test_one_failure_opens_where_that_is_the_limit),
        cmocka_unit_test(test_one_probe_at_a_time),
        cmocka_unit_test(test_failed_probe_opens_again),
        cmocka_unit_test(test_probe_that_failed_late_is_repeated_at_once),
        cmocka_unit_test(test_late_failures_open_for_four_seconds),
        cmocka_unit_test(test_older_failure_does_not_end_the_probe),
        cmocka_unit_test(test_successful_probe_closes),
        cmocka_unit_test(test_probe_without_result_is_repeated_at_once),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
