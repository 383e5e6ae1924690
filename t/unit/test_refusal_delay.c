/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_refusal_delay.c - Response time of refused credentials, with a fake clock */

#include "t/unit/unit.h"

#include "auth/password/refusal_delay.h"

#define MS apr_time_from_msec(1)

static void test_time_left(void **state)
{
    static const struct {
        apr_interval_time_t elapsed, left;
    } rows[] = {
        { 0, 300 * MS },        { 1, 300 * MS - 1 },
        { 4 * MS, 296 * MS },   { 160 * MS, 140 * MS },
        { 300 * MS, 300 * MS }, { 301 * MS, 299 * MS },
        { 899 * MS, 1 * MS },   { 5000 * MS, (5100 - 5000) * MS },
    };
    unsigned i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(eas_refusal_delay_left(rows[i].elapsed), rows[i].left);
    }
}

static void test_share_of_threads(void **state)
{
    (void)state;
    assert_int_equal(eas_refusal_delay_share(0, 100), 1);
    assert_int_equal(eas_refusal_delay_share(7, 100), 1);
    assert_int_equal(eas_refusal_delay_share(25, 100), 6);
    assert_int_equal(eas_refusal_delay_share(4000, 100), 100);
}

static void test_slots_are_free_after_their_time(void **state)
{
    _Atomic(apr_int64_t) ends[2] = { 0 };
    const struct eas_refusal_slots slots = { ends, 2 };

    (void)state;
    assert_true(eas_refusal_delay_reserve(&slots, 1000, 1300));
    assert_true(eas_refusal_delay_reserve(&slots, 1100, 1400));
    assert_false(eas_refusal_delay_reserve(&slots, 1299, 1600));
    assert_true(eas_refusal_delay_reserve(&slots, 1300, 1600));
    assert_false(eas_refusal_delay_reserve(&slots, 1399, 1700));
    assert_true(eas_refusal_delay_reserve(&slots, 1400, 1700));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_left),
        cmocka_unit_test(test_share_of_threads),
        cmocka_unit_test(test_slots_are_free_after_their_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
