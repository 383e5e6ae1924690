/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_first_sight.c - table of hashes in shared memory */

#include "t/unit/unit.h"

#include "auth/base/first_sight.h"

#include <apr_strings.h>

static uint64_t hash_of(const char *one, const char *other)
{
    const char *const texts[] = { one, other, NULL };

    return eas_first_sight_hash(texts);
}

static void test_first_time_only(void **state)
{
    void *memory = apr_pcalloc(*state, EAS_FIRST_SIGHT_SIZE);

    assert_true(eas_first_sight(memory, hash_of("alice", "phone")));
    assert_false(eas_first_sight(memory, hash_of("alice", "phone")));
    assert_true(eas_first_sight(memory, hash_of("bob", "phone")));
    assert_true(eas_first_sight(memory, hash_of("alicep", "hone")));
    assert_false(eas_first_sight(memory, hash_of("alice", "phone")));
}

/* As many devices as half of the places have are known. */
static void test_many(void **state)
{
    void *memory = apr_pcalloc(*state, EAS_FIRST_SIGHT_SIZE);
    unsigned i, n = EAS_FIRST_SIGHT_PLACES / 2, again = 0;

    for (i = 0; i < n; i++) {
        eas_first_sight(memory, hash_of("alice", apr_psprintf(*state, "device %u", i)));
    }
    for (i = 0; i < n; i++) {
        again += eas_first_sight(memory, hash_of("alice", apr_psprintf(*state, "device %u", i)));
    }
    assert_uint_in_range(again, 0, n / 20);
}

/* A full set gives up one hash for each new one. */
static void test_set_is_full(void **state)
{
    void *memory = apr_pcalloc(*state, EAS_FIRST_SIGHT_SIZE);
    uint64_t i;

    for (i = 0; i < 9; i++) {
        assert_true(eas_first_sight(memory, 0x4200 + i));
    }
    assert_false(eas_first_sight(memory, 0x4207));
    assert_false(eas_first_sight(memory, 0x4208));
    assert_true(eas_first_sight(memory, 0x4200));
}

/* Also where a value comes back. */
static void test_other_values(void **state)
{
    void *memory = apr_pcalloc(*state, EAS_FIRST_SIGHT_VALUES_SIZE);
    uint64_t name = hash_of("keytab", "gateway"), other = hash_of("keytab", "gateway2");

    assert_false(eas_first_sight_is_other(memory, name, 1));
    assert_false(eas_first_sight_is_other(memory, other, 2));
    assert_false(eas_first_sight_is_other(memory, name, 1));
    assert_true(eas_first_sight_is_other(memory, name, 2));
    assert_false(eas_first_sight_is_other(memory, name, 2));
    assert_true(eas_first_sight_is_other(memory, name, 1));
    assert_false(eas_first_sight_is_other(memory, other, 2));
}

static void test_more_names_than_places(void **state)
{
    void *memory = apr_pcalloc(*state, EAS_FIRST_SIGHT_VALUES_SIZE);
    uint64_t name;

    for (name = 1; name <= EAS_FIRST_SIGHT_NAMES + 1; name++) {
        assert_false(eas_first_sight_is_other(memory, name, 1));
    }
    assert_true(eas_first_sight_is_other(memory, EAS_FIRST_SIGHT_NAMES, 2));
    assert_false(eas_first_sight_is_other(memory, EAS_FIRST_SIGHT_NAMES + 1, 2));
}

struct party {
    void *memory;
    unsigned found;
};

static void *APR_THREAD_FUNC look(apr_thread_t *thread, void *data)
{
    struct party *party = data;
    uint64_t i;

    (void)thread;
    for (i = 1; i <= 1000; i++) {
        party->found += eas_first_sight(party->memory, i * 0x9e3779b97f4a7c15u);
    }
    return NULL;
}

static void test_threads(void **state)
{
    void *memory = apr_pcalloc(*state, EAS_FIRST_SIGHT_SIZE);
    struct party parties[UNIT_THREADS];
    unsigned found = 0;
    int i;

    for (i = 0; i < UNIT_THREADS; i++) {
        parties[i] = (struct party){ .memory = memory };
    }
    unit_run_threads(*state, look, parties, sizeof(parties[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        found += parties[i].found;
    }
    assert_int_equal(found, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_first_time_only),
        POOL_TEST(test_many),
        POOL_TEST(test_set_is_full),
        POOL_TEST(test_other_values),
        POOL_TEST(test_more_names_than_places),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
