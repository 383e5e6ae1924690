/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_address_limit.c - a budget of failures for each address, by a fake clock */

#include "t/unit/guards.h"
#include "t/unit/unit.h"

#include "auth/password/address_limit.h"

#include <string.h>

#define START apr_time_from_sec(1000000)

static struct eas_address_limit_key source_of(const struct eas_keyring *ring, const char *address)
{
    struct eas_address_limit_key source;
    struct eas_err err;

    assert_int_equal(eas_address_limit_key(ring, address, &source, &err), EAS_OK);
    return source;
}

static void test_who_is_the_same(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "192.0.2.1", "::ffff:192.0.2.1", true },
        { "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true },
        { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
        { "fe80::1%eth0", "fe80::2", true },
        { "2001:db8::1", "32.1.13.184", false }, /* the same four octets */
        { "nonsense", "192.0.2.1", false },
        { "nonsense", "", true },
    };
    const struct eas_keyring *ring = guards_keyring(*state);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_address_limit_key one = source_of(ring, rows[i].one);
        struct eas_address_limit_key other = source_of(ring, rows[i].other);

        if ((memcmp(&one, &other, sizeof(one)) == 0) != rows[i].same) {
            fail_msg("%s and %s", rows[i].one, rows[i].other);
        }
    }
}

/* Takes all there is at that time, and returns how many that were. */
static unsigned spend(struct eas_shm_table *store, const struct eas_address_limit_key *source,
                      apr_time_t now)
{
    unsigned n = 0;
    bool last;

    while (eas_address_limit_has_tokens(store, source, now)) {
        last = eas_address_limit_take(store, source, now);
        assert_int_equal(last, !eas_address_limit_has_tokens(store, source, now));
        n++;
    }
    assert_false(eas_address_limit_take(store, source, now));
    return n;
}

static void test_a_budget_is_spent_and_refills(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_address_limit_key here = source_of(guards_keyring(*state), "192.0.2.1");
    struct eas_address_limit_key there = source_of(guards_keyring(*state), "192.0.2.2");

    assert_int_equal(spend(store, &here, START), EAS_ADDRESS_LIMIT_BURST);
    assert_true(eas_address_limit_has_tokens(store, &there, START));
    assert_false(eas_address_limit_has_tokens(store, &here, START + EAS_ADDRESS_LIMIT_REFILL - 1));
    assert_int_equal(spend(store, &here, START + EAS_ADDRESS_LIMIT_REFILL), 1);
    assert_int_equal(spend(store, &here, START + 11 * EAS_ADDRESS_LIMIT_REFILL), 10);
    assert_int_equal(spend(store, &here, START + 1000 * EAS_ADDRESS_LIMIT_REFILL),
                     EAS_ADDRESS_LIMIT_BURST);
}

/* Nobody owes more than a whole budget, whatever he has tried. */
static void test_a_debt_has_an_end(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_address_limit_key here = source_of(guards_keyring(*state), "192.0.2.1");
    unsigned i;

    for (i = 0; i < 1000; i++) {
        eas_address_limit_take(store, &here, START);
    }
    assert_int_equal(spend(store, &here, START + EAS_ADDRESS_LIMIT_REFILL), 1);
}

static void test_a_clock_that_steps(void **state)
{
    struct eas_shm_table *store = guards_store(*state);
    struct eas_address_limit_key here = source_of(guards_keyring(*state), "192.0.2.1");
    apr_time_t back = START - 100000 * EAS_ADDRESS_LIMIT_REFILL;

    spend(store, &here, START);
    eas_address_limit_take(store, &here, back);
    assert_int_equal(spend(store, &here, back + 5 * EAS_ADDRESS_LIMIT_REFILL), 5);
    assert_int_equal(spend(store, &here, START), EAS_ADDRESS_LIMIT_BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_who_is_the_same),
        POOL_TEST(test_a_budget_is_spent_and_refills),
        POOL_TEST(test_a_debt_has_an_end),
        POOL_TEST(test_a_clock_that_steps),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
