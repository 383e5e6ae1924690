/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_health.c - order, patience and checks of KDC addresses */

#include "t/unit/unit.h"

#include "auth/kerberos/kdc_resolve.h"

#include <stdio.h>
#include <string.h>

/* Addresses that no other test uses. */
static struct eas_kdc_addresses make(unsigned count)
{
    static unsigned char net;
    struct eas_kdc_addresses addresses = { .count = 0 };
    char text[32];
    unsigned i;

    net++;
    for (i = 1; i <= count; i++) {
        snprintf(text, sizeof(text), "10.0.%d.%u", net, i);
        assert_true(eas_kdc_resolve_number(text, 88, &addresses));
    }
    return addresses;
}

static void assert_order(struct eas_kdc_addresses *addresses, const char *last_numbers)
{
    unsigned i;

    eas_kdc_health_sort(addresses);
    for (i = 0; i < addresses->count; i++) {
        assert_int_equal(strchr(addresses->at[i].text, ']')[-1], last_numbers[i]);
    }
}

static void test_texts(void **state)
{
    struct eas_kdc_addresses addresses = { .count = 0 };

    (void)state;
    assert_true(eas_kdc_resolve_number("192.0.2.1", 88, &addresses));
    assert_true(eas_kdc_resolve_number("2001:db8::1", 8888, &addresses));
    assert_false(eas_kdc_resolve_number("dc1.example.com", 88, &addresses));
    assert_false(eas_kdc_resolve_number("", 88, &addresses));
    assert_int_equal(addresses.count, 2);
    assert_string_equal(addresses.at[0].text, "[192.0.2.1]:88");
    assert_string_equal(addresses.at[1].text, "[2001:db8::1]:8888");
}

static void test_failed_addresses_are_last(void **state)
{
    struct eas_kdc_addresses addresses = make(4), copy = addresses;

    (void)state;
    assert_order(&addresses, "1234");
    eas_kdc_health_failed(&copy.at[0], 1);
    eas_kdc_health_failed(&copy.at[2], 1);
    assert_order(&addresses, "2413");
    eas_kdc_health_answered(&copy.at[0], 1);
    addresses = copy;
    assert_order(&addresses, "1243");
}

static void test_patience(void **state)
{
    struct eas_kdc_addresses addresses = make(3);
    int i;

    (void)state;
    assert_int_equal(eas_kdc_health_patience(&addresses.at[0]), 1000000);
    eas_kdc_health_answered(&addresses.at[0], 1000);
    assert_int_equal(eas_kdc_health_patience(&addresses.at[0]), 250000);
    eas_kdc_health_answered(&addresses.at[1], 50000);
    assert_in_range(eas_kdc_health_patience(&addresses.at[1]), 400000, 401000);
    eas_kdc_health_answered(&addresses.at[2], 3000000);
    assert_int_equal(eas_kdc_health_patience(&addresses.at[2]), 1000000);
    for (i = 0; i < 100; i++) {
        eas_kdc_health_answered(&addresses.at[2], 1000);
    }
    assert_int_equal(eas_kdc_health_patience(&addresses.at[2]), 250000);
}

static void test_failed_address_is_due_after_some_seconds_for_one_caller(void **state)
{
    struct eas_kdc_addresses addresses = make(1);
    apr_time_t now = apr_time_from_sec(100);

    (void)state;
    assert_false(eas_kdc_health_is_due(&addresses.at[0], now));
    eas_kdc_health_failed(&addresses.at[0], now);
    assert_false(eas_kdc_health_is_due(&addresses.at[0], now));
    now += apr_time_from_sec(4);
    assert_true(eas_kdc_health_is_due(&addresses.at[0], now));
    assert_false(eas_kdc_health_is_due(&addresses.at[0], now));
    now += apr_time_from_sec(4);
    assert_true(eas_kdc_health_is_due(&addresses.at[0], now));
    eas_kdc_health_answered(&addresses.at[0], 1);
    assert_false(eas_kdc_health_is_due(&addresses.at[0], now + apr_time_from_sec(4)));
}

/* Addresses in use keep their records while others come and go. */
static void test_table_is_bounded(void **state)
{
    struct eas_kdc_addresses used = make(1), others;
    int i;

    (void)state;
    eas_kdc_health_answered(&used.at[0], 1);
    for (i = 0; i < 100; i++) {
        others = make(8);
        eas_kdc_health_sort(&others);
        assert_int_equal(eas_kdc_health_patience(&used.at[0]), 250000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_failed_addresses_are_last),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_failed_address_is_due_after_some_seconds_for_one_caller),
        cmocka_unit_test(test_table_is_bounded),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
