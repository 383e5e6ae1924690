/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_turns.c - order in which the MPM gets parked requests that have an event */

#include "t/unit/unit.h"

#include "delegation/proxy/turns.h"

#define MANY 100

/* How many of those that wait have their turn now. */
static unsigned count_next(struct eas_turns *turns, bool works)
{
    unsigned n = 0;
    struct eas_turn *turn;

    while ((turn = eas_turns_next(turns)) != NULL) {
        assert_true(turn->woken);
        assert_int_equal(turn->works, works);
        n++;
    }
    return n;
}

/* Of many, with that many threads of which some are busy. */
static unsigned turns_with(unsigned threads, unsigned busy, bool works)
{
    static struct eas_turn turn[MANY];
    struct eas_turns turns;
    unsigned i;

    eas_turns_init(&turns, threads);
    atomic_store(&turns.busy, busy);
    for (i = 0; i < MANY; i++) {
        eas_turns_add(&turns, &turn[i], works);
    }
    return count_next(&turns, works);
}

static void test_threads_remain(void **state)
{
    (void)state;
    assert_int_equal(turns_with(64, 0, true), 32);
    assert_int_equal(turns_with(64, 20, true), 12);
    assert_int_equal(turns_with(64, 0, false), 48);
    assert_int_equal(turns_with(64, 20, false), 28);
}

static void test_a_few_go_on(void **state)
{
    (void)state;
    assert_int_equal(turns_with(64, 64, true), 8);
    assert_int_equal(turns_with(64, 64, false), 1);
    assert_int_equal(turns_with(4, 4, true), 1);
    assert_int_equal(turns_with(1, 1, true), 1);
    assert_int_equal(turns_with(1, 1, false), 1);
}

/* The next one follows as soon as work is done, or a thread has taken what needs it for a moment. */
static void test_next(void **state)
{
    struct eas_turn turn[4];
    struct eas_turns turns;

    (void)state;
    eas_turns_init(&turns, 8);
    atomic_store(&turns.busy, 8);
    eas_turns_add(&turns, &turn[0], true);
    eas_turns_add(&turns, &turn[1], true);
    assert_ptr_equal(eas_turns_next(&turns), &turn[0]);
    assert_null(eas_turns_next(&turns));
    eas_turns_leave(&turns, &turn[0]);
    assert_true(turn[0].works);
    assert_null(eas_turns_next(&turns));
    /* A request that needs a thread for a moment does not wait for work. */
    eas_turns_add(&turns, &turn[2], false);
    eas_turns_add(&turns, &turn[3], false);
    assert_ptr_equal(eas_turns_next(&turns), &turn[2]);
    assert_null(eas_turns_next(&turns));
    eas_turns_leave(&turns, &turn[2]);
    assert_ptr_equal(eas_turns_next(&turns), &turn[3]);
    eas_turns_leave(&turns, &turn[3]);
    eas_turns_done(&turns);
    assert_ptr_equal(eas_turns_next(&turns), &turn[1]);
}

/* One that ends while it waits takes no room. */
static void test_end(void **state)
{
    struct eas_turn turn[2];
    struct eas_turns turns;

    (void)state;
    eas_turns_init(&turns, 8);
    eas_turns_add(&turns, &turn[0], true);
    eas_turns_add(&turns, &turn[1], true);
    eas_turns_leave(&turns, &turn[0]);
    assert_false(turn[0].works);
    assert_ptr_equal(eas_turns_next(&turns), &turn[1]);
    assert_null(eas_turns_next(&turns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_remain),
        cmocka_unit_test(test_a_few_go_on),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
