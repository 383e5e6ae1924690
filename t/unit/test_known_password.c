/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_known_password.c - the last proved password of an account, by a fake clock */

#include "t/unit/guards.h"
#include "t/unit/unit.h"

#include "auth/password/known_password.h"

#include <string.h>

#define START apr_time_from_sec(1000000)
#define DAY apr_time_from_sec(24 * 3600)

static const unsigned char alice[EAS_SHM_TABLE_KEY_SIZE] = "alice's account";
static const unsigned char bob[EAS_SHM_TABLE_KEY_SIZE] = "bob's account";
static const unsigned char one[EAS_SEAL_MAC_SIZE] = "one password's digest";
static const unsigned char two[EAS_SEAL_MAC_SIZE] = "another password's digest";

static struct {
    struct eas_shm_table *store;
    const struct eas_keyring *ring;
    apr_pool_t *pool;
} t;

static int begin(void **state)
{
    int rv = unit_make_pool(state);

    t.pool = *state;
    t.store = guards_store(*state);
    t.ring = guards_keyring(*state);
    return rv;
}

static bool learn(const unsigned char *account, const unsigned char *digest, apr_time_t asked_at)
{
    return eas_known_password_learn(t.store, t.ring, t.pool, account, digest, asked_at, 30 * DAY);
}

static bool knows(const unsigned char *account, const unsigned char *digest, apr_time_t now)
{
    return eas_known_password_is(t.store, t.ring, t.pool, account, digest, 30 * DAY, now);
}

static void test_the_last_one_is_known(void **state)
{
    (void)state;
    assert_false(knows(alice, one, START));
    assert_true(learn(alice, one, START));
    assert_true(knows(alice, one, START));
    assert_false(knows(alice, two, START));
    assert_false(knows(bob, one, START));
    assert_false(learn(alice, one, START + 1)); /* has not changed */
    assert_true(learn(alice, two, START + 2));
    assert_true(knows(alice, two, START + 2));
    assert_false(knows(alice, one, START + 2));
}

static void test_for_its_time(void **state)
{
    (void)state;
    learn(alice, one, START);
    assert_true(knows(alice, one, START + 30 * DAY - 1));
    assert_false(knows(alice, one, START + 30 * DAY));
    /* A shorter time elsewhere, and off. */
    assert_false(eas_known_password_is(t.store, t.ring, t.pool, alice, one, DAY, START + DAY));
    assert_false(eas_known_password_is(t.store, t.ring, t.pool, alice, one, 0, START));
}

static void test_is_renewed_by_use(void **state)
{
    apr_time_t now;

    (void)state;
    for (now = START; now < START + 100 * DAY; now += 2 * DAY) {
        learn(alice, one, now);
        assert_true(knows(alice, one, now + 27 * DAY));
    }
}

/* Its question was asked before that of the newer one: the password has changed in between. */
static void test_a_late_answer_replaces_no_newer_one(void **state)
{
    (void)state;
    learn(alice, two, START + apr_time_from_sec(5));
    assert_false(learn(alice, one, START));
    assert_true(knows(alice, two, START + apr_time_from_sec(5)));
}

static void test_a_step_back_does_not_keep_it_from_learning(void **state)
{
    (void)state;
    learn(alice, one, START + 10 * DAY);
    assert_true(learn(alice, two, START));
    assert_true(knows(alice, two, START));
}

static void test_the_record_is_sealed(void **state)
{
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t len, i;

    learn(alice, one, START);
    for (i = 0; i < sizeof(name); i++) {
        name[i] = (unsigned char)~alice[i];
    }
    assert_true(eas_shm_table_get(t.store, *state, name, START, &value, &len));
    for (i = 0; i + 8 <= len; i++) {
        assert_memory_not_equal(value + i, one, 8);
    }
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, unit_destroy_pool)
    const struct CMUnitTest tests[] = {
        TEST(test_the_last_one_is_known),
        TEST(test_for_its_time),
        TEST(test_is_renewed_by_use),
        TEST(test_a_late_answer_replaces_no_newer_one),
        TEST(test_a_step_back_does_not_keep_it_from_learning),
        TEST(test_the_record_is_sealed),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
