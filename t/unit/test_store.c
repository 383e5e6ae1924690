/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_store.c - records in memory that all processes of the gateway share */

#include "t/unit/stores.h"

/* --- one at a time --- */

static void test_put_get_replace_drop(void **state)
{
    struct eas_store *store = make_store(*state, 64 * KB);

    assert_int_equal(see(store, *state, 1, 1, 100, 1), NOTHING);
    drop(store, 1);
    assert_true(put(store, 1, 1, 100, NEVER));
    assert_true(put(store, 2, 1, 200, NEVER));
    assert_int_equal(see(store, *state, 1, 1, 100, 1), WHOLE);
    assert_int_equal(see(store, *state, 1, 1, 100, 1), WHOLE);
    assert_true(put(store, 1, 2, 100, NEVER));
    assert_int_equal(see(store, *state, 1, 2, 100, 1), WHOLE);
    assert_true(put(store, 1, 3, 7, NEVER));
    assert_int_equal(see(store, *state, 1, 3, 7, 1), WHOLE);
    assert_true(put(store, 1, 4, 3000, NEVER));
    assert_int_equal(see(store, *state, 1, 4, 3000, 1), WHOLE);
    drop(store, 1);
    assert_int_equal(see(store, *state, 1, 4, 3000, 1), NOTHING);
    assert_int_equal(see(store, *state, 2, 1, 200, 1), WHOLE);
    drop(store, 1);
    assert_true(put(store, 1, 5, 100, NEVER));
    assert_int_equal(see(store, *state, 1, 5, 100, 1), WHOLE);
}

static void test_what_was_got_is_a_copy(void **state)
{
    struct eas_store *store = make_store(*state, 64 * KB);
    unsigned char key[EAS_STORE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t len;
    int i;

    make_key(key, 1);
    assert_true(put(store, 1, 1, 100, NEVER));
    assert_true(eas_store_get(store, *state, key, 1, &value, &len));
    assert_true(put(store, 1, 2, 100, NEVER));
    drop(store, 1);
    for (i = 0; i < 1000; i++) {
        assert_true(put(store, 2, 1, 1000, NEVER));
    }
    assert_int_equal(len, 100);
    assert_true(is_value(value, 100, 1, 1));
}

static void test_expiry(void **state)
{
    struct eas_store *store = make_store(*state, 64 * KB);

    assert_true(put(store, 1, 1, 100, 1000));
    assert_true(put(store, 2, 1, 100, 1001));
    assert_int_equal(see(store, *state, 1, 1, 100, 0), WHOLE);
    assert_int_equal(see(store, *state, 1, 1, 100, 999), WHOLE);
    assert_int_equal(see(store, *state, 1, 1, 100, 1000), NOTHING);
    assert_int_equal(see(store, *state, 2, 1, 100, 1000), WHOLE);
    assert_int_equal(see(store, *state, 2, 1, 100, 1001), NOTHING);
    /* A replacement's end counts, be it later or earlier. */
    assert_true(put(store, 1, 2, 100, 1000));
    assert_true(put(store, 1, 3, 100, 3000));
    assert_int_equal(see(store, *state, 1, 3, 100, 2999), WHOLE);
    assert_true(put(store, 1, 4, 100, 2000));
    assert_int_equal(see(store, *state, 1, 4, 100, 1999), WHOLE);
    assert_int_equal(see(store, *state, 1, 4, 100, 2000), NOTHING);
    /* Put when it is over. */
    assert_true(put(store, 1, 5, 100, 0));
    assert_int_equal(see(store, *state, 1, 5, 100, 1), NOTHING);
    assert_true(put(store, 1, 6, 100, NEVER));
    assert_int_equal(see(store, *state, 1, 6, 100, NEVER - 1), WHOLE);
}

static void test_values_of_each_size(void **state)
{
    static const apr_size_t sizes[] = { 0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 4095, 4096, 4097 };
    struct eas_store *store = make_store(*state, 64 * KB);
    size_t i;

    for (i = 0; i < COUNT_OF(sizes); i++) {
        assert_true(put(store, i, 1, sizes[i], NEVER));
    }
    for (i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(see(store, *state, i, 1, sizes[i], 1), WHOLE);
    }
    for (i = 0; i < COUNT_OF(sizes); i++) {
        assert_true(put(store, 1, i, sizes[i], NEVER));
        assert_int_equal(see(store, *state, 1, i, sizes[i], 1), WHOLE);
    }
}

/* The ring is what the index leaves of the memory; so its quarter is found by trying. */
static void test_the_largest_value(void **state)
{
    static const apr_size_t sizes[] = { 16 * KB, 64 * KB, 100003, 1 * KB * KB };
    size_t i;

    for (i = 0; i < COUNT_OF(sizes); i++) {
        apr_pool_t *pool = make_subpool(*state);
        void *memory = make_memory(pool, sizes[i]);
        apr_size_t fits = 0, over = sizes[i];
        struct eas_store *store;
        uint64_t n;

        eas_store_format(memory, sizes[i]);
        store = eas_store_attach(memory, sizes[i]);
        assert_non_null(store);
        while (over - fits > 1) {
            apr_size_t len = (fits + over) / 2;

            if (put(store, 1, 1, len, NEVER)) {
                fits = len;
            }
            else {
                over = len;
            }
        }
        assert_uint_in_range(fits, sizes[i] / 6, sizes[i] / 4);
        /* What is refused changes nothing. */
        assert_true(put(store, 1, 2, fits, NEVER));
        assert_false(put(store, 1, 3, over, NEVER));
        assert_false(put(store, 2, 3, 4 * fits, NEVER));
        assert_false(
            eas_store_put(store, (const unsigned char *)memory, memory, (apr_size_t)-1, NEVER));
        assert_false(eas_store_put(store, (const unsigned char *)memory, memory,
                                   (apr_size_t)-RECORD_SIZE, NEVER));
        assert_int_equal(see(store, pool, 1, 2, fits, 1), WHOLE);
        assert_int_equal(see(store, pool, 2, 3, 4 * fits, 1), NOTHING);
        /* It fits wherever the head is. */
        for (n = 1; n < 200; n++) {
            apr_pool_t *round = make_subpool(pool);

            assert_true(put(store, n, 4, fits, NEVER));
            assert_int_equal(see(store, round, n, 4, fits, 1), WHOLE);
            assert_int_not_equal(see(store, round, n - 1, 4, fits, 1), OTHER);
            assert_true(put(store, 1000, n, n * 8, NEVER));
            assert_int_equal(see(store, round, 1000, n, n * 8, 1), WHOLE);
            apr_pool_destroy(round);
        }
        assert_guard(memory, sizes[i]);
        apr_pool_destroy(pool);
    }
}

#define COLLIDING 100

static void make_colliding(unsigned char key[EAS_STORE_KEY_SIZE], unsigned n)
{
    make_key(key, 7);
    key[EAS_STORE_KEY_SIZE - 1] = (unsigned char)n;
}

static void test_keys_that_begin_alike(void **state)
{
    struct eas_store *store = make_store(*state, 256 * KB);
    unsigned char key[EAS_STORE_KEY_SIZE], bytes[40];
    const unsigned char *value;
    apr_size_t len;
    unsigned n, i, found = 0;

    for (n = 0; n < COLLIDING; n++) {
        make_colliding(key, n);
        fill(bytes, sizeof(bytes), n, 1);
        assert_true(eas_store_put(store, key, bytes, sizeof(bytes), NEVER));
        /* The newest are there, and none has another's value. */
        for (i = 0; i <= n; i++) {
            make_colliding(key, i);
            if (eas_store_get(store, *state, key, 1, &value, &len)) {
                assert_int_equal(len, sizeof(bytes));
                assert_true(is_value(value, len, i, 1));
            }
            else {
                assert_true(i + 16 <= n);
            }
        }
    }
    /* One that is replaced needs no other place; one that is dropped takes no other along. */
    make_colliding(key, COLLIDING - 1);
    for (i = 2; i < 50; i++) {
        fill(bytes, sizeof(bytes), COLLIDING - 1, i);
        assert_true(eas_store_put(store, key, bytes, sizeof(bytes), NEVER));
    }
    make_colliding(key, COLLIDING - 16);
    eas_store_drop(store, key);
    assert_false(eas_store_get(store, *state, key, 1, &value, &len));
    for (n = 0; n < COLLIDING; n++) {
        make_colliding(key, n);
        found += eas_store_get(store, *state, key, 1, &value, &len);
    }
    assert_int_equal(found, 15);
}

/* --- when it is full --- */

#define MIXED_KEYS 300
#define MIXED_PUTS 30000

static void run_full(apr_pool_t *pool, apr_size_t size)
{
    void *memory = make_memory(pool, size);
    uint64_t versions[MIXED_KEYS] = { 0 }, seed = size, i, hits = 0;
    apr_size_t lens[MIXED_KEYS] = { 0 };
    apr_pool_t *round = make_subpool(pool);
    struct eas_store *store;

    eas_store_format(memory, size);
    store = eas_store_attach(memory, size);
    assert_non_null(store);
    for (i = 1; i <= MIXED_PUTS; i++) {
        uint64_t id = below(&seed, MIXED_KEYS), other = below(&seed, MIXED_KEYS);
        enum seen seen;

        /* Mostly small ones, and some that take a good part of the ring. */
        lens[id] = below(&seed, below(&seed, 20) == 0 ? size / 6 : 400);
        versions[id] = i;
        assert_true(put(store, id, i, lens[id], NEVER));
        assert_int_equal(see(store, round, id, i, lens[id], 1), WHOLE);
        seen = see(store, round, other, versions[other], lens[other], 1);
        assert_int_not_equal(seen, OTHER);
        hits += versions[other] != 0 && seen == WHOLE;
        apr_pool_clear(round);
    }
    assert_true(hits > MIXED_PUTS / 20);
    assert_guard(memory, size);
}

static void test_the_ring_runs_full_many_times(void **state)
{
    static const apr_size_t sizes[] = { 16 * KB, 65536, 65536 + 40, 100003, 256 * KB };
    size_t i;

    for (i = 0; i < COUNT_OF(sizes); i++) {
        apr_pool_t *pool = make_subpool(*state);

        run_full(pool, sizes[i]);
        apr_pool_destroy(pool);
    }
}

/* The oldest goes when there is no room, and not before. */
static void test_nothing_is_lost_while_there_is_room(void **state)
{
    static const apr_size_t lens[] = { 100, 200, 456, 1000, 4096 };
    const apr_size_t size = 1 * KB * KB;
    size_t i;

    for (i = 0; i < COUNT_OF(lens); i++) {
        apr_pool_t *pool = make_subpool(*state);
        struct eas_store *store = make_store(pool, size);
        uint64_t n = size / 4 * 3 / (RECORD_SIZE + lens[i] + 7), id, lost = 0;

        for (id = 0; id < n; id++) {
            assert_true(put(store, id, 1, lens[i], NEVER));
        }
        for (id = 0; id < n; id++) {
            lost += see(store, pool, id, 1, lens[i], 1) != WHOLE;
        }
        if (lost != 0) {
            fail_msg("of %d records of %d bytes, in %d bytes of memory, %d are lost", (int)n,
                     (int)lens[i], (int)size, (int)lost);
        }
        apr_pool_destroy(pool);
    }
}

#define HOT 10

/* Ten are read, each well before half a ring of others is put, and ten of the same age are not. */
static void flood(apr_pool_t *pool, apr_size_t len)
{
    const apr_size_t size = 256 * KB;
    struct eas_store *store = make_store(pool, size);
    uint64_t n = 20 * size / (RECORD_SIZE + len), i, id;

    for (id = 0; id < 2 * HOT; id++) {
        assert_true(put(store, id, 1, len, 1000));
    }
    for (i = 0; i < n; i++) {
        assert_true(put(store, 100 + i, 1, len, NEVER));
        if (i % 5 == 0) {
            id = i / 5 % HOT;
            if (see(store, pool, id, 1, len, 999) != WHOLE) {
                fail_msg("lost after %d other records of %d bytes", (int)i, (int)len);
            }
        }
    }
    for (id = 0; id < HOT; id++) {
        assert_int_equal(see(store, pool, id, 1, len, 999), WHOLE);
        assert_int_equal(see(store, pool, HOT + id, 1, len, 999), NOTHING);
    }
    /* A second chance is no longer life. */
    for (id = 0; id < HOT; id++) {
        assert_int_equal(see(store, pool, id, 1, len, 1000), NOTHING);
    }
}

static void test_what_is_read_survives_a_flood(void **state)
{
    static const apr_size_t lens[] = { 100, 200, 400, 1000 };
    size_t i;

    for (i = 0; i < COUNT_OF(lens); i++) {
        apr_pool_t *pool = make_subpool(*state);

        flood(pool, lens[i]);
        apr_pool_destroy(pool);
    }
}

/* --- what is attached to --- */

static void test_attach_refuses_what_is_no_store(void **state)
{
    static const apr_size_t wrong[] = { 32 * KB, 64 * KB - 8, 64 * KB - 1, 64 * KB + 1, 128 * KB };
    unsigned char *memory = make_memory(*state, 128 * KB);
    struct eas_store *store;
    size_t i;

    assert_null(eas_store_attach(memory, 64 * KB));
    memset(memory, 0, 64 * KB);
    assert_null(eas_store_attach(memory, 64 * KB));
    eas_store_format(memory, 64 * KB);
    store = eas_store_attach(memory, 64 * KB);
    assert_non_null(store);
    assert_true(put(store, 1, 1, 100, NEVER));
    for (i = 0; i < COUNT_OF(wrong); i++) {
        assert_null(eas_store_attach(memory, wrong[i]));
    }
    /* What it is, and of which version, is in the first eight bytes. */
    for (i = 0; i < 64; i++) {
        memory[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_null(eas_store_attach(memory, 64 * KB));
        memory[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    /* What is attached to again is as it was; what is formatted again is empty. */
    store = eas_store_attach(memory, 64 * KB);
    assert_non_null(store);
    assert_int_equal(see(store, *state, 1, 1, 100, 1), WHOLE);
    eas_store_format(memory, 64 * KB);
    store = eas_store_attach(memory, 64 * KB);
    assert_non_null(store);
    assert_int_equal(see(store, *state, 1, 1, 100, 1), NOTHING);
    assert_true(put(store, 1, 2, 100, NEVER));
    assert_int_equal(see(store, *state, 1, 2, 100, 1), WHOLE);
}

/* --- against a model --- */

#define MODEL_OPS 100000
#define MODEL_KEYS 600
#define MODEL_SIZE (64 * KB)
#define MODEL_LEN 2000

/* The ring at least: the index takes no more than an eighth of memory of that size, and the header has
 * a journal. */
#define MODEL_RING (MODEL_SIZE - MODEL_SIZE / 8 - EAS_STORE_UPDATE_MAX - 256)

struct model {
    bool there;
    uint64_t version;
    apr_size_t len;
    apr_time_t expires;
    uint64_t end; /* of its record: how much had at most been written then */
};

static uint64_t record_bytes(const struct model *m)
{
    return (RECORD_SIZE + m->len + 7) & ~(uint64_t)7;
}

/*
 * Sixteen keys always find a place in the index; so one of so few can be missing only when more than
 * the ring, less what is left unused at its end, has been written since.
 */
static void run_model(apr_pool_t *pool, unsigned n_keys, bool strict)
{
    struct eas_store *store = make_store(pool, MODEL_SIZE);
    struct model *models = apr_pcalloc(pool, n_keys * sizeof(*models));
    apr_pool_t *round = make_subpool(pool);
    uint64_t seed = n_keys, written = 0, hits = 0, evicted = 0, i;
    apr_time_t now = 1;

    for (i = 1; i <= MODEL_OPS; i++) {
        /* Some keys are used far more than others. */
        uint64_t id = below(&seed, 1 + below(&seed, 1 + below(&seed, n_keys)));
        uint64_t what = below(&seed, 100);
        struct model *m = &models[id];

        now += (apr_time_t)below(&seed, 3);
        if (what < 40) {
            m->there = true;
            m->version = i;
            m->len = below(&seed, below(&seed, 4) == 0 ? MODEL_LEN : 200);
            m->expires = now + (apr_time_t)below(&seed, below(&seed, 4) == 0 ? 100 : 20000);
            written += record_bytes(m);
            m->end = written;
            assert_true(put(store, id, i, m->len, m->expires));
        }
        else if (what < 95) {
            enum seen seen = see(store, round, id, m->version, m->len, now);

            assert_int_not_equal(seen, OTHER);
            if (!m->there || m->expires <= now) {
                assert_int_equal(seen, NOTHING);
            }
            else if (seen == WHOLE) {
                hits++;
                if (written - m->end + record_bytes(m) > MODEL_RING / 2 - MODEL_LEN) {
                    written += record_bytes(m); /* it may have been written again */
                }
            }
            else {
                evicted++;
                if (strict
                    && written - m->end + 2 * record_bytes(m) + MODEL_LEN + RECORD_SIZE
                           < MODEL_RING) {
                    fail_msg("operation %d: lost without need", (int)i);
                }
                m->there = false;
            }
        }
        else {
            m->there = false;
            drop(store, id);
        }
        apr_pool_clear(round);
    }
    assert_true(hits > MODEL_OPS / 10);
    assert_true(evicted > 0);
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
        POOL_TEST(test_what_was_got_is_a_copy),
        POOL_TEST(test_expiry),
        POOL_TEST(test_values_of_each_size),
        POOL_TEST(test_the_largest_value),
        POOL_TEST(test_keys_that_begin_alike),
        POOL_TEST(test_the_ring_runs_full_many_times),
        POOL_TEST(test_nothing_is_lost_while_there_is_room),
        POOL_TEST(test_what_is_read_survives_a_flood),
        POOL_TEST(test_attach_refuses_what_is_no_store),
        POOL_TEST(test_random_operations_on_few_keys),
        POOL_TEST(test_random_operations_on_many_keys),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
