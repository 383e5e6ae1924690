/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_address_limit.c - Token bucket of a client address, with a fake clock */

#include "t/unit/throttles.h"
#include "t/unit/unit.h"

#include "auth/password/address_limit.h"

#include <string.h>

#define START apr_time_from_sec(1000000)

static struct eas_address_limit_key key_of(const struct eas_keyring *keyring, const char *address)
{
    struct eas_address_limit_key key;
    struct eas_err err;

    assert_int_equal(eas_address_limit_key(keyring, address, &key, &err), EAS_OK);
    return key;
}

static void test_addresses_with_one_bucket(void **state)
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
    const struct eas_keyring *keyring = throttles_keyring(*state);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_address_limit_key one = key_of(keyring, rows[i].one);
        struct eas_address_limit_key other = key_of(keyring, rows[i].other);

        if ((memcmp(&one, &other, sizeof(one)) == 0) != rows[i].same) {
            fail_msg("%s and %s", rows[i].one, rows[i].other);
        }
    }
}

static bool take(struct eas_shm_table *buckets, const struct eas_address_limit_key *key,
                 apr_time_t now)
{
    apr_interval_time_t ignored;

    return eas_address_limit_take(buckets, key, now, &ignored);
}

/* Takes all tokens at that time, and returns their number. */
static unsigned drain(struct eas_shm_table *buckets, const struct eas_address_limit_key *key,
                      apr_time_t now)
{
    unsigned n = 0;
    bool last;

    while (eas_address_limit_has_tokens(buckets, key, now)) {
        last = take(buckets, key, now);
        assert_int_equal(last, !eas_address_limit_has_tokens(buckets, key, now));
        n++;
    }
    return n;
}

static void test_bucket_empties_and_refills(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    struct eas_address_limit_key other = key_of(throttles_keyring(*state), "192.0.2.2");

    assert_int_equal(drain(buckets, &key, START), EAS_ADDRESS_LIMIT_BURST);
    assert_true(eas_address_limit_has_tokens(buckets, &other, START));
    assert_false(eas_address_limit_has_tokens(buckets, &key, START + EAS_ADDRESS_LIMIT_REFILL - 1));
    assert_int_equal(drain(buckets, &key, START + EAS_ADDRESS_LIMIT_REFILL), 1);
    assert_int_equal(drain(buckets, &key, START + 11 * EAS_ADDRESS_LIMIT_REFILL), 10);
    assert_int_equal(drain(buckets, &key, START + 1000 * EAS_ADDRESS_LIMIT_REFILL),
                     EAS_ADDRESS_LIMIT_BURST);
}

/* Log-ons at the same time are admitted by one token, and all of them fail. */
static void test_failures_beyond_the_last_token_are_paid_for_later(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    unsigned i;

    drain(buckets, &key, START);
    for (i = 0; i < 20; i++) {
        assert_false(take(buckets, &key, START));
    }
    for (i = 0; i <= 20; i++) {
        assert_false(
            eas_address_limit_has_tokens(buckets, &key, START + i * EAS_ADDRESS_LIMIT_REFILL));
    }
    assert_int_equal(drain(buckets, &key, START + 21 * EAS_ADDRESS_LIMIT_REFILL), 1);
}

/* The time that is shown is that for which the address is refused. */
static void test_time_to_a_token(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    apr_interval_time_t empty_for;
    unsigned i;

    for (i = 1; i < EAS_ADDRESS_LIMIT_BURST; i++) {
        eas_address_limit_take(buckets, &key, START, &empty_for);
        assert_int_equal(empty_for, 0);
    }
    for (i = 1; i < 1000; i++) {
        eas_address_limit_take(buckets, &key, START, &empty_for);
        assert_false(eas_address_limit_has_tokens(buckets, &key, START + empty_for - 1));
        assert_true(eas_address_limit_has_tokens(buckets, &key, START + empty_for));
    }
    assert_int_equal(empty_for, (EAS_ADDRESS_LIMIT_BURST + 1) * EAS_ADDRESS_LIMIT_REFILL);
}

static void test_debt_is_limited(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    apr_time_t paid = START + EAS_ADDRESS_LIMIT_BURST * EAS_ADDRESS_LIMIT_REFILL;
    unsigned i;

    for (i = 0; i < 1000; i++) {
        take(buckets, &key, START);
    }
    assert_false(eas_address_limit_has_tokens(buckets, &key, paid));
    assert_int_equal(drain(buckets, &key, paid + EAS_ADDRESS_LIMIT_REFILL), 1);
}

static void test_clock_steps(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    apr_time_t back = START - 100000 * EAS_ADDRESS_LIMIT_REFILL;

    drain(buckets, &key, START);
    take(buckets, &key, back);
    assert_int_equal(drain(buckets, &key, back + 6 * EAS_ADDRESS_LIMIT_REFILL), 5);
    assert_int_equal(drain(buckets, &key, START), EAS_ADDRESS_LIMIT_BURST);
}

/* The step is no longer than the largest debt. */
static void test_small_clock_step_is_no_debt(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    apr_time_t back = START - 50 * EAS_ADDRESS_LIMIT_REFILL;

    drain(buckets, &key, START);
    assert_false(eas_address_limit_has_tokens(buckets, &key, back));
    assert_int_equal(drain(buckets, &key, back + 5 * EAS_ADDRESS_LIMIT_REFILL), 5);
}

/* The address is refused at first, so no failure writes its bucket anew. */
static void test_clock_steps_back_before_a_refusal(void **state)
{
    struct eas_shm_table *buckets = throttles_table(*state);
    struct eas_address_limit_key key = key_of(throttles_keyring(*state), "192.0.2.1");
    apr_time_t back = START - 100000 * EAS_ADDRESS_LIMIT_REFILL;

    drain(buckets, &key, START);
    assert_false(eas_address_limit_has_tokens(buckets, &key, back));
    assert_int_equal(drain(buckets, &key, back + 5 * EAS_ADDRESS_LIMIT_REFILL), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_addresses_with_one_bucket),
        POOL_TEST(test_bucket_empties_and_refills),
        POOL_TEST(test_failures_beyond_the_last_token_are_paid_for_later),
        POOL_TEST(test_time_to_a_token),
        POOL_TEST(test_debt_is_limited),
        POOL_TEST(test_clock_steps),
        POOL_TEST(test_small_clock_step_is_no_debt),
        POOL_TEST(test_clock_steps_back_before_a_refusal),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
