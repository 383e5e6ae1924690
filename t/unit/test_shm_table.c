/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_shm_table.c - hash table of records in shared memory */

#include "t/unit/shm_tables.h"

/* --- single operations --- */

static void test_put_get_replace_drop(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);

    assert_int_equal(see(table, *state, 1, 1, 100, 1), NOTHING);
    drop(table, 1);
    assert_true(put(table, 1, 1, 100, NEVER));
    assert_true(put(table, 2, 1, 200, NEVER));
    assert_int_equal(see(table, *state, 1, 1, 100, 1), WHOLE);
    assert_int_equal(see(table, *state, 1, 1, 100, 1), WHOLE);
    assert_true(put(table, 1, 2, 100, NEVER));
    assert_int_equal(see(table, *state, 1, 2, 100, 1), WHOLE);
    assert_true(put(table, 1, 3, 7, NEVER));
    assert_int_equal(see(table, *state, 1, 3, 7, 1), WHOLE);
    assert_true(put(table, 1, 4, 3000, NEVER));
    assert_int_equal(see(table, *state, 1, 4, 3000, 1), WHOLE);
    drop(table, 1);
    assert_int_equal(see(table, *state, 1, 4, 3000, 1), NOTHING);
    assert_int_equal(see(table, *state, 2, 1, 200, 1), WHOLE);
    drop(table, 1);
    assert_true(put(table, 1, 5, 100, NEVER));
    assert_int_equal(see(table, *state, 1, 5, 100, 1), WHOLE);
}

static void test_get_makes_a_copy(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t len;
    int i;

    make_key(key, 1);
    assert_true(put(table, 1, 1, 100, NEVER));
    assert_true(eas_shm_table_get(table, *state, key, 1, &value, &len));
    assert_true(put(table, 1, 2, 100, NEVER));
    drop(table, 1);
    for (i = 0; i < 1000; i++) {
        assert_true(put(table, 2, 1, 1000, NEVER));
    }
    assert_int_equal(len, 100);
    assert_true(is_value(value, 100, 1, 1));
}

static void test_expiry(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);

    assert_true(put(table, 1, 1, 100, 1000));
    assert_true(put(table, 2, 1, 100, 1001));
    assert_int_equal(see(table, *state, 1, 1, 100, 0), WHOLE);
    assert_int_equal(see(table, *state, 1, 1, 100, 999), WHOLE);
    assert_int_equal(see(table, *state, 1, 1, 100, 1000), NOTHING);
    assert_int_equal(see(table, *state, 2, 1, 100, 1000), WHOLE);
    assert_int_equal(see(table, *state, 2, 1, 100, 1001), NOTHING);
    /* A replacement expires at its own time, later or earlier. */
    assert_true(put(table, 1, 2, 100, 1000));
    assert_true(put(table, 1, 3, 100, 3000));
    assert_int_equal(see(table, *state, 1, 3, 100, 2999), WHOLE);
    assert_true(put(table, 1, 4, 100, 2000));
    assert_int_equal(see(table, *state, 1, 4, 100, 1999), WHOLE);
    assert_int_equal(see(table, *state, 1, 4, 100, 2000), NOTHING);
    /* Put after its end. */
    assert_true(put(table, 1, 5, 100, 0));
    assert_int_equal(see(table, *state, 1, 5, 100, 1), NOTHING);
    assert_true(put(table, 1, 6, 100, NEVER));
    assert_int_equal(see(table, *state, 1, 6, 100, NEVER - 1), WHOLE);
}

static void test_values_of_each_size(void **state)
{
    static const apr_size_t sizes[] = { 0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 4095, 4096, 4097 };
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    size_t i;

    for (i = 0; i < COUNT_OF(sizes); i++) {
        assert_true(put(table, i, 1, sizes[i], NEVER));
    }
    for (i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(see(table, *state, i, 1, sizes[i], 1), WHOLE);
    }
    for (i = 0; i < COUNT_OF(sizes); i++) {
        assert_true(put(table, 1, i, sizes[i], NEVER));
        assert_int_equal(see(table, *state, 1, i, sizes[i], 1), WHOLE);
    }
}

/* The ring is the memory without the index; bisection finds its quarter. */
static apr_size_t largest_value(struct eas_shm_table *table, apr_size_t size)
{
    apr_size_t fits = 0, over = size;

    while (over - fits > 1) {
        apr_size_t len = (fits + over) / 2;

        if (put(table, 1, 1, len, NEVER)) {
            fits = len;
        }
        else {
            over = len;
        }
    }
    return fits;
}

static void assert_fits_everywhere(struct eas_shm_table *table, apr_pool_t *pool, apr_size_t len)
{
    uint64_t n;

    for (n = 1; n < 200; n++) {
        apr_pool_t *round = make_subpool(pool);

        assert_true(put(table, n, 4, len, NEVER));
        assert_int_equal(see(table, round, n, 4, len, 1), WHOLE);
        assert_int_not_equal(see(table, round, n - 1, 4, len, 1), OTHER);
        assert_true(put(table, 1000, n, n * 8, NEVER));
        assert_int_equal(see(table, round, 1000, n, n * 8, 1), WHOLE);
        apr_pool_destroy(round);
    }
}

static void test_the_largest_value(void **state)
{
    static const apr_size_t sizes[] = { 16 * KB, 64 * KB, 100003, 1 * KB * KB };
    size_t i;

    for (i = 0; i < COUNT_OF(sizes); i++) {
        apr_pool_t *pool = make_subpool(*state);
        void *memory = make_memory(pool, sizes[i]);
        struct eas_shm_table *table;
        apr_size_t fits;

        eas_shm_table_format(memory, sizes[i]);
        table = eas_shm_table_attach(memory, sizes[i]);
        assert_non_null(table);
        fits = largest_value(table, sizes[i]);
        assert_uint_in_range(fits, sizes[i] / 6, sizes[i] / 4);
        /* A refused value changes nothing. */
        assert_true(put(table, 1, 2, fits, NEVER));
        assert_false(put(table, 1, 3, fits + 1, NEVER));
        assert_false(put(table, 2, 3, 4 * fits, NEVER));
        assert_false(eas_shm_table_put(table, memory, memory, (apr_size_t)-1, NEVER));
        assert_false(eas_shm_table_put(table, memory, memory, (apr_size_t)-RECORD_SIZE, NEVER));
        assert_int_equal(see(table, pool, 1, 2, fits, 1), WHOLE);
        assert_int_equal(see(table, pool, 2, 3, 4 * fits, 1), NOTHING);
        assert_fits_everywhere(table, pool, fits);
        assert_margin(memory, sizes[i]);
        apr_pool_destroy(pool);
    }
}

static bool make_longest(void *data, struct eas_shm_table_value *value)
{
    (void)data;
    memset(value->bytes, 1, sizeof(value->bytes));
    value->len = sizeof(value->bytes);
    value->expires = NEVER;
    return true;
}

/* A record is its header, too; an update makes it longer than a small ring. */
static void test_a_small_table_refuses_long_records(void **state)
{
    const apr_size_t size = 4 * KB;
    void *memory = make_memory(*state, size);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_shm_table *table;
    apr_size_t fits, n;

    eas_shm_table_format(memory, size);
    table = eas_shm_table_attach(memory, size);
    assert_non_null(table);
    fits = largest_value(table, size);
    for (n = 0; n < 4; n++) {
        assert_true(put(table, n, 1, fits, NEVER));
    }
    assert_int_equal(see(table, *state, 1, 1, fits, 1), WHOLE);
    make_key(key, 1);
    assert_false(eas_shm_table_update(table, key, 1, make_longest, NULL));
    assert_int_equal(see(table, *state, 1, 1, fits, 1), WHOLE);
    assert_margin(memory, size);
}

#define COLLIDING 100

static void make_colliding(unsigned char key[EAS_SHM_TABLE_KEY_SIZE], unsigned n)
{
    make_key(key, 7);
    key[EAS_SHM_TABLE_KEY_SIZE - 1] = (unsigned char)n;
}

static void test_keys_with_the_same_hash(void **state)
{
    struct eas_shm_table *table = make_table(*state, 256 * KB);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], bytes[40];
    const unsigned char *value;
    apr_size_t len;
    unsigned n, i, found = 0;

    for (n = 0; n < COLLIDING; n++) {
        make_colliding(key, n);
        fill(bytes, sizeof(bytes), n, 1);
        assert_true(eas_shm_table_put(table, key, bytes, sizeof(bytes), NEVER));
        /* The newest are found, and none has the value of another. */
        for (i = 0; i <= n; i++) {
            make_colliding(key, i);
            if (eas_shm_table_get(table, *state, key, 1, &value, &len)) {
                assert_int_equal(len, sizeof(bytes));
                assert_true(is_value(value, len, i, 1));
            }
            else {
                assert_true(i + 16 <= n);
            }
        }
    }
    /* A replacement needs no other slot; a drop removes one record. */
    make_colliding(key, COLLIDING - 1);
    for (i = 2; i < 50; i++) {
        fill(bytes, sizeof(bytes), COLLIDING - 1, i);
        assert_true(eas_shm_table_put(table, key, bytes, sizeof(bytes), NEVER));
    }
    make_colliding(key, COLLIDING - 16);
    eas_shm_table_drop(table, key);
    assert_false(eas_shm_table_get(table, *state, key, 1, &value, &len));
    for (n = 0; n < COLLIDING; n++) {
        make_colliding(key, n);
        found += eas_shm_table_get(table, *state, key, 1, &value, &len);
    }
    assert_int_equal(found, 15);
}

/* --- a full table --- */

#define MIXED_KEYS 300
#define MIXED_PUTS 30000

static void run_full(apr_pool_t *pool, apr_size_t size)
{
    void *memory = make_memory(pool, size);
    uint64_t versions[MIXED_KEYS] = { 0 }, seed = size, i, hits = 0;
    apr_size_t lens[MIXED_KEYS] = { 0 };
    apr_pool_t *round = make_subpool(pool);
    struct eas_shm_table *table;

    eas_shm_table_format(memory, size);
    table = eas_shm_table_attach(memory, size);
    assert_non_null(table);
    for (i = 1; i <= MIXED_PUTS; i++) {
        uint64_t id = below(&seed, MIXED_KEYS), other = below(&seed, MIXED_KEYS);
        enum seen seen;

        /* Most values are small; some take a large part of the ring. */
        lens[id] = below(&seed, below(&seed, 20) == 0 ? size / 6 : 400);
        versions[id] = i;
        assert_true(put(table, id, i, lens[id], NEVER));
        assert_int_equal(see(table, round, id, i, lens[id], 1), WHOLE);
        seen = see(table, round, other, versions[other], lens[other], 1);
        assert_int_not_equal(seen, OTHER);
        hits += versions[other] != 0 && seen == WHOLE;
        apr_pool_clear(round);
    }
    assert_true(hits > MIXED_PUTS / 20);
    assert_margin(memory, size);
}

static void test_ring_wraps_many_times(void **state)
{
    static const apr_size_t sizes[] = { 16 * KB, 65536, 65536 + 40, 100003, 256 * KB };
    size_t i;

    for (i = 0; i < COUNT_OF(sizes); i++) {
        apr_pool_t *pool = make_subpool(*state);

        run_full(pool, sizes[i]);
        apr_pool_destroy(pool);
    }
}

/* The oldest record is evicted when there is no room, and not before. */
static void test_nothing_is_lost_while_there_is_room(void **state)
{
    static const apr_size_t lens[] = { 100, 200, 456, 1000, 4096 };
    const apr_size_t size = 1 * KB * KB;
    size_t i;

    for (i = 0; i < COUNT_OF(lens); i++) {
        apr_pool_t *pool = make_subpool(*state);
        struct eas_shm_table *table = make_table(pool, size);
        uint64_t n = size / 4 * 3 / (RECORD_SIZE + lens[i] + 7), id, lost = 0;

        for (id = 0; id < n; id++) {
            assert_true(put(table, id, 1, lens[i], NEVER));
        }
        for (id = 0; id < n; id++) {
            lost += see(table, pool, id, 1, lens[i], 1) != WHOLE;
        }
        if (lost != 0) {
            fail_msg("of %d records of %d bytes, in %d bytes of memory, %d are lost", (int)n,
                     (int)lens[i], (int)size, (int)lost);
        }
        apr_pool_destroy(pool);
    }
}

/* A client that repeats a request makes the gateway write one record again and again. */
static void test_a_repeated_key_evicts_no_other_record(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    uint64_t id, n;

    for (id = 0; id < 50; id++) {
        assert_true(put(table, id, 1, 100, NEVER));
    }
    for (n = 0; n < 100000; n++) {
        assert_true(put(table, 50, n, n % 100, NEVER));
    }
    for (id = 0; id < 50; id++) {
        assert_int_equal(see(table, *state, id, 1, 100, 1), WHOLE);
    }
    assert_int_equal(see(table, *state, 50, n - 1, (n - 1) % 100, 1), WHOLE);
}

#define HOT 10

/* Ten records are read before half a ring of others is put, and ten of the same age are not. */
static void fill_with_others(apr_pool_t *pool, apr_size_t len)
{
    const apr_size_t size = 256 * KB;
    struct eas_shm_table *table = make_table(pool, size);
    uint64_t n = 20 * size / (RECORD_SIZE + len), i, id;

    for (id = 0; id < 2 * HOT; id++) {
        assert_true(put(table, id, 1, len, 1000));
    }
    for (i = 0; i < n; i++) {
        assert_true(put(table, 100 + i, 1, len, NEVER));
        if (i % 5 == 0) {
            id = i / 5 % HOT;
            if (see(table, pool, id, 1, len, 999) != WHOLE) {
                fail_msg("lost after %d other records of %d bytes", (int)i, (int)len);
            }
        }
    }
    for (id = 0; id < HOT; id++) {
        assert_int_equal(see(table, pool, id, 1, len, 999), WHOLE);
        assert_int_equal(see(table, pool, HOT + id, 1, len, 999), NOTHING);
    }
    /* A record that was moved expires at the same time. */
    for (id = 0; id < HOT; id++) {
        assert_int_equal(see(table, pool, id, 1, len, 1000), NOTHING);
    }
}

static void test_records_in_use_are_not_evicted(void **state)
{
    static const apr_size_t lens[] = { 100, 200, 400, 1000 };
    size_t i;

    for (i = 0; i < COUNT_OF(lens); i++) {
        apr_pool_t *pool = make_subpool(*state);

        fill_with_others(pool, lens[i]);
        apr_pool_destroy(pool);
    }
}

/* Records that are replaced, dropped, moved or expired before are not lost. */
static void test_lost_records_are_counted(void **state)
{
    struct eas_shm_table *table = make_table(*state, 256 * KB);
    uint64_t id, n = 0, lost = 0;

    assert_true(put(table, 0, 1, 3000, 1000)); /* of 1970 */
    for (id = 1; id <= 100; id++) {
        assert_true(put(table, id, 1, 100, NEVER));
        assert_true(put(table, id, 2, id % 2 == 0 ? 100 : 200, NEVER));
    }
    for (id = 1; id <= 10; id++) {
        drop(table, id);
    }
    while (eas_shm_table_evicted(table) == 0) {
        assert_true(put(table, 1000 + n, 1, 1000, NEVER));
        assert_int_equal(see(table, *state, 50, 2, 100, 1), WHOLE);
        n++;
        assert_true(n < 1000);
    }
    assert_int_equal(see(table, *state, 11, 2, 200, 1), NOTHING);
    for (; n < 1000; n++) {
        assert_true(put(table, 1000 + n, 1, n % 7 * 300, NEVER));
        assert_int_equal(see(table, *state, 50, 2, 100, 1), WHOLE);
    }
    n = eas_shm_table_evicted(table);
    for (id = 11; id < 2000; id++) {
        lost +=
            (id <= 100 || id >= 1000) && see(table, *state, id, id <= 100 ? 2 : 1, 0, 1) == NOTHING;
    }
    assert_int_equal(n, lost);
}

/* --- attach --- */

static void test_live_records_are_counted(void **state)
{
    unsigned char other[64] = "some other bytes";
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    uint64_t id;

    assert_int_equal(eas_shm_table_count(table, 0), 0);
    for (id = 0; id < 20; id++) {
        assert_true(put(table, id, 1, 100, 1000));
    }
    assert_true(put(table, 1, 2, 100, 2000));
    drop(table, 2);
    assert_int_equal(eas_shm_table_count(table, 999), 19);
    assert_int_equal(eas_shm_table_count(table, 1000), 1);
    for (id = 100; id < 1000; id++) {
        assert_true(put(table, id, 1, 1000, 1000));
    }
    assert_true(eas_shm_table_count(table, 999) > 20);
    assert_true(eas_shm_table_count(table, 999) < 64);
    assert_int_equal(eas_shm_table_count(other, 0), 0);
}

static void test_attach_refuses_other_memory(void **state)
{
    static const apr_size_t wrong[] = { 32 * KB, 64 * KB - 8, 64 * KB - 1, 64 * KB + 1, 128 * KB };
    unsigned char *memory = make_memory(*state, 128 * KB);
    struct eas_shm_table *table;
    size_t i;

    assert_null(eas_shm_table_attach(memory, 64 * KB));
    memset(memory, 0xa5, 64 * KB);
    assert_null(eas_shm_table_attach(memory, 64 * KB));
    memset(memory, 0, 64 * KB);
    eas_shm_table_format(memory, 64 * KB);
    table = eas_shm_table_attach(memory, 64 * KB);
    assert_non_null(table);
    assert_true(put(table, 1, 1, 100, NEVER));
    for (i = 0; i < COUNT_OF(wrong); i++) {
        assert_null(eas_shm_table_attach(memory, wrong[i]));
    }
    /* The first eight bytes are the magic number. */
    for (i = 0; i < 64; i++) {
        memory[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_null(eas_shm_table_attach(memory, 64 * KB));
        memory[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    table = eas_shm_table_attach(memory, 64 * KB);
    assert_non_null(table);
    assert_int_equal(see(table, *state, 1, 1, 100, 1), WHOLE);
}

/* Of an eighth at most; the ring's is taken as records come. */
static void test_new_table_has_the_memory_of_its_index(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 2048, taken = 0, i;
    unsigned char *resident = apr_pcalloc(*state, pages);
    void *memory = make_memory(*state, pages * page);
    uintptr_t first = (uintptr_t)memory & ~(page - 1);

    eas_shm_table_format(memory, pages * page);
    assert_int_equal(mincore((void *)first, pages * page, resident), 0);
    for (i = 0; i < pages; i++) {
        taken += resident[i] & 1;
    }
#ifdef MADV_POPULATE_WRITE
    if (madvise((void *)first, page, MADV_POPULATE_WRITE) == 0) {
        assert_in_range(taken, pages / 16, pages / 8 + 1);
        return;
    }
#endif
    assert_int_equal(taken, 1);
}

/* --- against a model --- */

#define MODEL_OPS 100000
#define MODEL_KEYS 600
#define MODEL_SIZE (64 * KB)
#define MODEL_LEN 2000

/*
 * The ring's least size: the index takes an eighth of that memory at most, and the header has a
 * journal.
 */
#define MODEL_RING (MODEL_SIZE - MODEL_SIZE / 8 - EAS_SHM_TABLE_UPDATE_MAX - 256)

struct model {
    bool there;
    uint64_t version;
    apr_size_t len;
    apr_time_t expires;
    uint64_t end; /* the bytes written up to its record, at most */
};

/* The table beside its model. */
struct run {
    struct eas_shm_table *table;
    apr_pool_t *pool; /* cleared after each operation */
    uint64_t seed;
    apr_time_t now;
    uint64_t written; /* bytes, at most */
    uint64_t hits, evicted;
    bool strict;
};

static uint64_t record_bytes(const struct model *m)
{
    return (RECORD_SIZE + m->len + 7) & ~(uint64_t)7;
}

static void put_both(struct run *run, uint64_t id, struct model *m, uint64_t version)
{
    m->there = true;
    m->version = version;
    m->len = below(&run->seed, below(&run->seed, 4) == 0 ? MODEL_LEN : 200);
    m->expires = run->now + (apr_time_t)below(&run->seed, below(&run->seed, 4) == 0 ? 100 : 20000);
    run->written += record_bytes(m);
    m->end = run->written;
    assert_true(put(run->table, id, version, m->len, m->expires));
}

/*
 * Sixteen keys always find slots.  So one of them can be missing only after as many bytes as half
 * the ring has, without its unused end, have been written: a record of the newer half is rewritten
 * in place.
 */
static void compare(struct run *run, uint64_t id, struct model *m)
{
    enum seen seen = see(run->table, run->pool, id, m->version, m->len, run->now);
    uint64_t since = run->written - m->end;

    assert_int_not_equal(seen, OTHER);
    if (!m->there || m->expires <= run->now) {
        assert_int_equal(seen, NOTHING);
    }
    else if (seen == WHOLE) {
        run->hits++;
        if (since + record_bytes(m) > MODEL_RING / 2 - MODEL_LEN) {
            run->written += record_bytes(m); /* it may have been moved */
        }
    }
    else {
        run->evicted++;
        assert_true(!run->strict
                    || since + 2 * record_bytes(m) + MODEL_LEN + RECORD_SIZE >= MODEL_RING / 2);
        m->there = false;
    }
}

static void run_model(apr_pool_t *pool, unsigned n_keys, bool strict)
{
    struct model *models = apr_pcalloc(pool, n_keys * sizeof(*models));
    struct run run = {
        .table = make_table(pool, MODEL_SIZE),
        .pool = make_subpool(pool),
        .seed = n_keys,
        .now = 1,
        .strict = strict,
    };
    uint64_t i;

    for (i = 1; i <= MODEL_OPS; i++) {
        /* Some keys are used much more than others. */
        uint64_t id = below(&run.seed, 1 + below(&run.seed, 1 + below(&run.seed, n_keys)));
        uint64_t what = below(&run.seed, 100);

        run.now += (apr_time_t)below(&run.seed, 3);
        if (what < 40) {
            put_both(&run, id, &models[id], i);
        }
        else if (what < 95) {
            compare(&run, id, &models[id]);
        }
        else {
            models[id].there = false;
            drop(run.table, id);
        }
        apr_pool_clear(run.pool);
    }
    assert_true(run.hits > MODEL_OPS / 10);
    assert_true(run.evicted > 0);
}

static void test_random_operations_on_few_keys(void **state)
{
    run_model(*state, 16, true);
}

static void test_random_operations_on_many_keys(void **state)
{
    run_model(*state, MODEL_KEYS, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_put_get_replace_drop),
        POOL_TEST(test_get_makes_a_copy),
        POOL_TEST(test_expiry),
        POOL_TEST(test_values_of_each_size),
        POOL_TEST(test_the_largest_value),
        POOL_TEST(test_a_small_table_refuses_long_records),
        POOL_TEST(test_keys_with_the_same_hash),
        POOL_TEST(test_ring_wraps_many_times),
        POOL_TEST(test_nothing_is_lost_while_there_is_room),
        POOL_TEST(test_a_repeated_key_evicts_no_other_record),
        POOL_TEST(test_records_in_use_are_not_evicted),
        POOL_TEST(test_lost_records_are_counted),
        POOL_TEST(test_live_records_are_counted),
        POOL_TEST(test_attach_refuses_other_memory),
        POOL_TEST(test_new_table_has_the_memory_of_its_index),
        POOL_TEST(test_random_operations_on_few_keys),
        POOL_TEST(test_random_operations_on_many_keys),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
