/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_dismissal.c - when a process that ends sends its parked requests away */

#include "t/unit/unit.h"

#include "delegation/proxy/dismissal.h"

#define ORDERED apr_time_from_sec(1000)
#define SPREAD apr_time_from_sec(8)
#define PLACES 4

static bool others_accept;
static unsigned asked;

static bool may_begin(void)
{
    asked++;
    return others_accept;
}

static struct eas_dismissal order(bool (*may)(void))
{
    struct eas_dismissal dismissal = { .ordered = false };

    others_accept = false;
    asked = 0;
    eas_dismissal_order(&dismissal, ORDERED, SPREAD, PLACES, may);
    return dismissal;
}

static bool is_due(const struct eas_dismissal *dismissal, unsigned place, apr_interval_time_t after)
{
    return eas_dismissal_is_due(dismissal, place, ORDERED + after);
}

static void test_a_process_that_goes_on(void **state)
{
    struct eas_dismissal none = { .ordered = false };

    (void)state;
    eas_dismissal_look(&none, ORDERED);
    assert_false(is_due(&none, 0, 0));
    assert_false(is_due(&none, PLACES, apr_time_from_sec(3600)));
}

static void test_spread(void **state)
{
    struct eas_dismissal dismissal = order(NULL);
    unsigned place;

    (void)state;
    for (place = 0; place < PLACES; place++) {
        assert_true(is_due(&dismissal, place, SPREAD * place / PLACES));
        assert_true(place == 0 || !is_due(&dismissal, place, SPREAD * place / PLACES - 1));
    }
    /* One that has parked since. */
    assert_true(is_due(&dismissal, PLACES, 0));
}

static void test_it_waits_for_others(void **state)
{
    struct eas_dismissal dismissal = order(may_begin);

    (void)state;
    eas_dismissal_look(&dismissal, ORDERED + EAS_DISMISSAL_SETTLE);
    assert_int_equal(asked, 1);
    assert_false(is_due(&dismissal, 0, EAS_DISMISSAL_SETTLE));
    others_accept = true;
    eas_dismissal_look(&dismissal, ORDERED + 2 * EAS_DISMISSAL_SETTLE);
    assert_true(is_due(&dismissal, 0, 2 * EAS_DISMISSAL_SETTLE));
    assert_false(is_due(&dismissal, 1, 2 * EAS_DISMISSAL_SETTLE + SPREAD / PLACES - 1));
    /* Once it has begun, that stays. */
    others_accept = false;
    eas_dismissal_look(&dismissal, ORDERED + 3 * EAS_DISMISSAL_SETTLE);
    assert_true(is_due(&dismissal, 0, 2 * EAS_DISMISSAL_SETTLE));
    assert_int_equal(asked, 2);
}

static void test_it_does_not_ask_at_once(void **state)
{
    struct eas_dismissal dismissal = order(may_begin);

    (void)state;
    others_accept = true;
    eas_dismissal_look(&dismissal, ORDERED + EAS_DISMISSAL_SETTLE - 1);
    assert_int_equal(asked, 0);
}

static void test_it_waits_no_longer(void **state)
{
    struct eas_dismissal dismissal = order(may_begin);

    (void)state;
    eas_dismissal_look(&dismissal, ORDERED + EAS_DISMISSAL_HOLD);
    assert_false(is_due(&dismissal, 0, EAS_DISMISSAL_HOLD - 1));
    assert_true(is_due(&dismissal, 0, EAS_DISMISSAL_HOLD));
}

static void test_the_first_order_counts(void **state)
{
    struct eas_dismissal dismissal = order(NULL);

    (void)state;
    eas_dismissal_order(&dismissal, ORDERED + SPREAD, 0, 1, may_begin);
    assert_true(is_due(&dismissal, 1, SPREAD / PLACES));
    assert_false(is_due(&dismissal, 1, SPREAD / PLACES - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_that_goes_on),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_it_waits_for_others),
        cmocka_unit_test(test_it_does_not_ask_at_once),
        cmocka_unit_test(test_it_waits_no_longer),
        cmocka_unit_test(test_the_first_order_counts),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
