/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_shm_quota.c - limit for the records of one owner in a table in shared memory */

#include "t/unit/shm_tables.h"

#include "auth/base/shm_quota.h"

#define LIMIT 8
#define LEN 300
#define HOUR 3600

static struct eas_shm_quota quota_of(uint64_t owner)
{
    struct eas_shm_quota quota = { .limit = LIMIT };

    make_key(quota.owner, 1000000 + owner);
    return quota;
}

static bool add_until(struct eas_shm_table *table, uint64_t owner, uint64_t id, apr_size_t len,
                      apr_time_t expires)
{
    const struct eas_shm_quota quota = quota_of(owner);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], value[4096];

    make_key(key, id);
    fill(value, len, id, 1);
    return eas_shm_quota_put(table, &quota, key, eas_bytes_make(value, len), 1, expires);
}

static bool add(struct eas_shm_table *table, uint64_t owner, uint64_t id)
{
    return add_until(table, owner, id, LEN, HOUR);
}

static bool is_full(struct eas_shm_table *table, uint64_t owner, apr_time_t now)
{
    const struct eas_shm_quota quota = quota_of(owner);

    return eas_shm_quota_is_full(table, &quota, now);
}

static void release(struct eas_shm_table *table, uint64_t owner, uint64_t id)
{
    const struct eas_shm_quota quota = quota_of(owner);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    eas_shm_quota_release(table, &quota, key, 1);
}

static void test_the_newest_records_remain(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    uint64_t id;

    for (id = 0; id < 3 * LIMIT; id++) {
        assert_int_equal(is_full(table, 1, 1), id >= LIMIT);
        assert_true(add(table, 1, id));
    }
    for (id = 0; id < 3 * LIMIT; id++) {
        assert_int_equal(see(table, *state, id, 1, LEN, 1), id < 2 * LIMIT ? NOTHING : WHOLE);
    }
    assert_false(is_full(table, 2, 1));
}

/* One user logs on again and again; the evidence of the others remains. */
static void test_one_owner_evicts_no_other(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    uint64_t id;

    for (id = 0; id < 40; id++) {
        assert_true(add(table, 2 + id, id));
    }
    for (id = 100; id < 100000; id++) {
        assert_true(add_until(table, 1, id, id % 5 == 0 ? LEN + 40 : LEN, HOUR));
        if (id < 90000) {
            release(table, 1, id);
        }
    }
    for (id = 0; id < 40; id++) {
        assert_int_equal(see(table, *state, id, 1, LEN, 1), WHOLE);
    }
    for (id = 100000 - LIMIT; id < 100000; id++) {
        assert_int_equal(see(table, *state, id, 1, id % 5 == 0 ? LEN + 40 : LEN, 1), WHOLE);
    }
}

static void test_a_repeated_record_counts_once(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    int i;

    for (i = 0; i < 3 * LIMIT; i++) {
        assert_true(add(table, 1, 7));
        assert_false(is_full(table, 1, 1));
    }
    assert_int_equal(see(table, *state, 7, 1, LEN, 1), WHOLE);
}

static void test_expired_records_do_not_count(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    uint64_t id;

    for (id = 0; id < LIMIT; id++) {
        assert_true(add_until(table, 1, id, LEN, id == 3 ? 10 : HOUR));
    }
    assert_true(is_full(table, 1, 9));
    assert_false(is_full(table, 1, 10));
}

static void test_a_released_record_is_the_next_to_be_replaced(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    uint64_t id;

    for (id = 0; id < LIMIT; id++) {
        assert_true(add(table, 1, id));
    }
    release(table, 1, 5);
    release(table, 1, 1000);
    release(table, 2, 0);
    assert_true(add(table, 1, 50));
    for (id = 0; id < LIMIT; id++) {
        assert_int_equal(see(table, *state, id, 1, LEN, 1), id == 5 ? NOTHING : WHOLE);
    }
    assert_true(add(table, 1, 51));
    assert_int_equal(see(table, *state, 0, 1, LEN, 1), NOTHING);
}

/* It has no room, so it takes no place either. */
static void test_a_record_that_is_too_large_replaces_none(void **state)
{
    struct eas_shm_table *table = make_table(*state, 8 * KB);
    uint64_t id;

    for (id = 0; id < LIMIT; id++) {
        assert_true(add_until(table, 1, id, 16, HOUR));
    }
    assert_false(add_until(table, 1, 50, 4096, HOUR));
    assert_true(add_until(table, 1, 51, 16, HOUR));
    for (id = 0; id < LIMIT; id++) {
        assert_int_equal(see(table, *state, id, 1, 16, 1), id == 0 ? NOTHING : WHOLE);
    }
}

static void test_foreign_lists_count_as_none(void **state)
{
    static const uint32_t heads[][2] = { { 2, 4 }, { 1, 121 }, { 1, 0xffffffff }, { 1, 0 } };
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    unsigned i, len;

    for (i = 0; i < COUNT_OF(heads); i++) {
        for (len = 0; len < 2048; len += 24) {
            struct eas_shm_quota quota = quota_of(1);
            unsigned char value[2048];

            memset(value, 0x7f, sizeof(value));
            memcpy(value, heads[i], sizeof(heads[i]));
            assert_true(eas_shm_table_put(table, quota.owner, value, len, NEVER));
            assert_false(is_full(table, 1, 1));
            assert_true(add(table, 1, i));
            assert_int_equal(see(table, *state, i, 1, LEN, 1), WHOLE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_the_newest_records_remain),
        POOL_TEST(test_one_owner_evicts_no_other),
        POOL_TEST(test_a_repeated_record_counts_once),
        POOL_TEST(test_expired_records_do_not_count),
        POOL_TEST(test_a_released_record_is_the_next_to_be_replaced),
        POOL_TEST(test_a_record_that_is_too_large_replaces_none),
        POOL_TEST(test_foreign_lists_count_as_none),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
