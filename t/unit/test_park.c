/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_park.c - decisions about parked requests: whether, when, and what ends it */

#include "t/unit/unit.h"

#include "delegation/proxy/park.h"

#include <string.h>

static const struct eas_park_facts parks = {
    .mpm = true, .body_whole = true, .sent = true, .kept = true
};

static void test_obstacles(void **state)
{
    struct eas_park_facts facts = parks;

    (void)state;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_NO_OBSTACLE);
    facts.kept = false;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_NOT_KEPT);
    facts.sent = false;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_BODY);
    facts.expects = true;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_EXPECTS);
    facts.body_whole = false;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_BODY);
    facts.inner = true;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_INNER);
    facts.stream = true;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_STREAM);
    facts.mpm = false;
    assert_int_equal(eas_park_obstacle_of(&facts), EAS_PARK_MPM);
}

static void test_each_obstacle_has_a_text(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < EAS_PARK_OBSTACLES; i++) {
        const char *text = eas_park_obstacle_text((enum eas_park_obstacle)i);

        assert_non_null(text);
        assert_true(strlen(text) > 10);
    }
}

static void test_patience(void **state)
{
    (void)state;
    assert_int_equal(eas_park_patience(0, 64), apr_time_from_sec(1));
    assert_int_equal(eas_park_patience(15, 64), apr_time_from_sec(1));
    assert_int_equal(eas_park_patience(16, 64), 0);
    assert_int_equal(eas_park_patience(64, 64), 0);
    assert_int_equal(eas_park_patience(0, 1), apr_time_from_sec(1));
}

static void test_refresh_precedes_the_time_out(void **state)
{
    const apr_interval_time_t minute = apr_time_from_sec(60);

    (void)state;
    assert_int_equal(eas_park_refresh(1000, minute, minute), 1000 + minute / 4);
    assert_int_equal(eas_park_refresh(1000, minute, 5 * minute), 1000 + minute / 4);
    assert_int_equal(eas_park_refresh(1000, 5 * minute, minute), 1000 + minute / 4);
    assert_int_equal(eas_park_refresh(1000, 0, 0), 0);
    assert_int_equal(eas_park_refresh(1000, -1, -1), 0);
}

static void test_steps(void **state)
{
    const unsigned all = EAS_PARK_BACKEND | EAS_PARK_CLIENT | EAS_PARK_CLIENT_LEFT | EAS_PARK_TIME
                         | EAS_PARK_REFRESH | EAS_PARK_REPLACED | EAS_PARK_STOP;

    (void)state;
    assert_int_equal(eas_park_step_after(0), EAS_PARK_STAY);
    assert_int_equal(eas_park_step_after(EAS_PARK_REFRESH), EAS_PARK_STAY);
    assert_int_equal(eas_park_step_after(EAS_PARK_CLIENT), EAS_PARK_LOOK);
    assert_int_equal(eas_park_step_after(EAS_PARK_TIME), EAS_PARK_READ);
    assert_int_equal(eas_park_step_after(EAS_PARK_REPLACED), EAS_PARK_GIVE_WAY);
    assert_int_equal(eas_park_step_after(EAS_PARK_STOP), EAS_PARK_ANSWER);
    assert_int_equal(eas_park_step_after(EAS_PARK_CLIENT_LEFT), EAS_PARK_LEAVE);
    /* The response precedes all; then nobody is answered that has left. */
    assert_int_equal(eas_park_step_after(all), EAS_PARK_READ);
    assert_int_equal(eas_park_step_after(EAS_PARK_CLIENT_LEFT | EAS_PARK_STOP), EAS_PARK_LEAVE);
    assert_int_equal(eas_park_step_after(EAS_PARK_CLIENT | EAS_PARK_STOP), EAS_PARK_ANSWER);
}

static void test_work(void **state)
{
    (void)state;
    assert_false(eas_park_is_work(0));
    assert_false(eas_park_is_work(EAS_PARK_REFRESH | EAS_PARK_CLIENT | EAS_PARK_CLIENT_LEFT
                                  | EAS_PARK_REPLACED));
    assert_true(eas_park_is_work(EAS_PARK_BACKEND | EAS_PARK_REFRESH));
    assert_true(eas_park_is_work(EAS_PARK_TIME));
    assert_true(eas_park_is_work(EAS_PARK_STOP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_obstacles), cmocka_unit_test(test_each_obstacle_has_a_text),
        cmocka_unit_test(test_patience),  cmocka_unit_test(test_refresh_precedes_the_time_out),
        cmocka_unit_test(test_steps),     cmocka_unit_test(test_work),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
