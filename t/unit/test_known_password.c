/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_known_password.c - Last verified password of an AD user, with a fake clock */

#include "t/unit/throttles.h"
#include "t/unit/unit.h"

#include "auth/password/known_password.h"

#include <string.h>

#define START apr_time_from_sec(1000000)
#define DAY apr_time_from_sec(24 * 3600)
#define KEEP_FOR (30 * DAY)

static const unsigned char alice[EAS_SHM_TABLE_KEY_SIZE] = "alice's record";
static const unsigned char bob[EAS_SHM_TABLE_KEY_SIZE] = "bob's record";
static const unsigned char one[EAS_SEAL_MAC_SIZE] = "one password's digest";
static const unsigned char two[EAS_SEAL_MAC_SIZE] = "another password's digest";

static struct {
    struct eas_shm_table *records;
    const struct eas_keyring *keyring;
    apr_pool_t *pool;
} t;

static int set_up(void **state)
{
    int rv = unit_make_pool(state);

    t.pool = *state;
    t.records = throttles_table(*state);
    t.keyring = throttles_keyring(*state);
    return rv;
}

static struct eas_known_password present(const unsigned char *user, const unsigned char *digest)
{
    return (struct eas_known_password){
        .records = t.records, .keyring = t.keyring, .user = user, .digest = digest
    };
}

static bool learn(const unsigned char *user, const unsigned char *digest, apr_time_t asked_at)
{
    const struct eas_known_password verified = present(user, digest);

    return eas_known_password_learn(&verified, t.pool, asked_at, KEEP_FOR);
}

static bool is_known(const unsigned char *user, const unsigned char *digest,
                     apr_interval_time_t known_for, apr_time_t now)
{
    const struct eas_known_password presented = present(user, digest);

    return eas_known_password_is(&presented, t.pool, known_for, now);
}

static void test_last_verified_password_is_known(void **state)
{
    (void)state;
    assert_false(is_known(alice, one, KEEP_FOR, START));
    assert_true(learn(alice, one, START));
    assert_true(is_known(alice, one, KEEP_FOR, START));
    assert_false(is_known(alice, two, KEEP_FOR, START));
    assert_false(is_known(bob, one, KEEP_FOR, START));
    assert_false(learn(alice, one, START + 1)); /* no change */
    assert_true(learn(alice, two, START + 2));
    assert_true(is_known(alice, two, KEEP_FOR, START + 2));
    assert_false(is_known(alice, one, KEEP_FOR, START + 2));
}

static void test_expiry(void **state)
{
    (void)state;
    learn(alice, one, START);
    assert_true(is_known(alice, one, KEEP_FOR, START + KEEP_FOR - 1));
    assert_false(is_known(alice, one, KEEP_FOR, START + KEEP_FOR));
    /* A virtual host with a shorter time, and one where it is off. */
    assert_false(is_known(alice, one, DAY, START + DAY));
    assert_false(is_known(alice, one, 0, START));
}

static void test_use_renews_the_record(void **state)
{
    apr_time_t now;

    (void)state;
    for (now = START; now < START + 100 * DAY; now += 2 * DAY) {
        learn(alice, one, now);
        assert_true(is_known(alice, one, KEEP_FOR, now + 27 * DAY));
    }
}

/* The KDC was asked about the newer password later, so the password has changed in between. */
static void test_late_answer_replaces_no_newer_record(void **state)
{
    (void)state;
    learn(alice, two, START + apr_time_from_sec(5));
    assert_false(learn(alice, one, START));
    assert_true(is_known(alice, two, KEEP_FOR, START + apr_time_from_sec(5)));
}

static void test_record_from_before_a_clock_step_back_is_replaced(void **state)
{
    (void)state;
    learn(alice, one, START + 10 * DAY);
    assert_true(learn(alice, two, START));
    assert_true(is_known(alice, two, KEEP_FOR, START));
}

static void test_record_is_sealed(void **state)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t len, i;

    learn(alice, one, START);
    for (i = 0; i < sizeof(key); i++) {
        key[i] = (unsigned char)~alice[i];
    }
    assert_true(eas_shm_table_get(t.records, *state, key, START, &value, &len));
    for (i = 0; i + 8 <= len; i++) {
        assert_memory_not_equal(value + i, one, 8);
    }
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, unit_destroy_pool)
    const struct CMUnitTest tests[] = {
        TEST(test_last_verified_password_is_known),
        TEST(test_expiry),
        TEST(test_use_renews_the_record),
        TEST(test_late_answer_replaces_no_newer_record),
        TEST(test_record_from_before_a_clock_step_back_is_replaced),
        TEST(test_record_is_sealed),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
