/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_store.c - records in memory that all processes of the gateway share */

#include "t/unit/unit.h"

#include "auth/store.h"

#include <apr_shm.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER APR_INT64_MAX
#define KB 1024
#define GUARD 256

/* What a record takes besides its value, as the header says. */
#define RECORD_SIZE 56

/* The values of look() begin with their version and id. */
#define VALUE_MIN 16
#define VALUE_MAX 4096

/*
 * What others may at most wait for a process that was killed: a second, were the machine ours alone.
 * Who waits for more has been forgotten.
 */
#define PATIENCE_MS 5000

/* --- keys, values and memory --- */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The same numbers in every run. */
static uint64_t below(uint64_t *seed, uint64_t limit)
{
    return mix((*seed)++) % limit;
}

static void make_key(unsigned char key[EAS_STORE_KEY_SIZE], uint64_t id)
{
    unsigned i;

    for (i = 0; i < EAS_STORE_KEY_SIZE / 8; i++) {
        uint64_t word = mix(id * 4 + i);

        memcpy(key + 8 * i, &word, 8);
    }
}

/* A value that no other id, version or length has, and no part of which fits into another. */
static void fill(unsigned char *value, apr_size_t len, uint64_t id, uint64_t version)
{
    uint64_t words[2] = { version, id }, seed = mix(mix(mix(id) + version) + len);
    apr_size_t i;

    for (i = 0; i < len; i += 8) {
        uint64_t word = i < sizeof(words) ? words[i / 8] : mix(seed + i);

        memcpy(value + i, &word, len - i < 8 ? len - i : 8);
    }
}

static bool put(struct eas_store *store, uint64_t id, uint64_t version, apr_size_t len,
                apr_time_t expires)
{
    unsigned char key[EAS_STORE_KEY_SIZE], *value = malloc(len + 1);
    bool kept;

    make_key(key, id);
    fill(value, len, id, version);
    kept = eas_store_put(store, key, value, len, expires);
    memset(value, 0xee, len);
    free(value);
    return kept;
}

static void drop(struct eas_store *store, uint64_t id)
{
    unsigned char key[EAS_STORE_KEY_SIZE];

    make_key(key, id);
    eas_store_drop(store, key);
}

static bool is_value(const unsigned char *value, apr_size_t len, uint64_t id, uint64_t version)
{
    unsigned char *expected = malloc(len + 1);
    bool same;

    fill(expected, len, id, version);
    same = memcmp(value, expected, len) == 0;
    free(expected);
    return same;
}

enum seen { NOTHING, WHOLE, OTHER };

/* Whether the id has exactly the value of this version and length. */
static enum seen see(struct eas_store *store, apr_pool_t *pool, uint64_t id, uint64_t version,
                     apr_size_t len, apr_time_t now)
{
    unsigned char key[EAS_STORE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t found;

    make_key(key, id);
    if (!eas_store_get(store, pool, key, now, &value, &found)) {
        return NOTHING;
    }
    return found == len && is_value(value, len, id, version) ? WHOLE : OTHER;
}

/* Whether the id has a value that was once put under it, as a whole. */
static enum seen look(struct eas_store *store, apr_pool_t *pool, uint64_t id, uint64_t *version)
{
    unsigned char key[EAS_STORE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t found;

    make_key(key, id);
    if (!eas_store_get(store, pool, key, 1, &value, &found)) {
        return NOTHING;
    }
    if (found < VALUE_MIN) {
        return OTHER;
    }
    memcpy(version, value, 8);
    return is_value(value, found, id, *version) ? WHOLE : OTHER;
}

/* Shared memory, full of rubbish, and a guard behind it. */
static void *make_memory(apr_pool_t *pool, apr_size_t size)
{
    apr_shm_t *shm;
    void *memory;

    assert_int_equal(apr_shm_create(&shm, size + GUARD, NULL, pool), APR_SUCCESS);
    memory = apr_shm_baseaddr_get(shm);
    memset(memory, 0xa5, size + GUARD);
    return memory;
}

static void assert_guard(const void *memory, apr_size_t size)
{
    unsigned char guard[GUARD];

    memset(guard, 0xa5, sizeof(guard));
    assert_memory_equal((const unsigned char *)memory + size, guard, sizeof(guard));
}

static struct eas_store *make_store(apr_pool_t *pool, apr_size_t size)
{
    void *memory = make_memory(pool, size);
    struct eas_store *store;

    eas_store_format(memory, size);
    store = eas_store_attach(memory, size);
    assert_non_null(store);
    return store;
}

static apr_pool_t *make_subpool(apr_pool_t *pool)
{
    apr_pool_t *out;

    assert_int_equal(apr_pool_create(&out, pool), APR_SUCCESS);
    return out;
}

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
        assert_in_range(fits, sizes[i] / 6, sizes[i] / 4);
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

/* --- many at once --- */

#define PROCESSES 8
#define THREADS 4
#define TOTAL_OPS 200000
#define COMMON_KEYS 40
#define OWN_KEYS 4

/* Between the processes. */
struct board {
    atomic_ulong ops[PROCESSES];
    atomic_ulong hits;
    atomic_ulong wrong;
    atomic_bool stop;
};

static struct board *make_board(apr_pool_t *pool)
{
    apr_shm_t *shm;

    assert_int_equal(apr_shm_create(&shm, sizeof(struct board), NULL, pool), APR_SUCCESS);
    return memset(apr_shm_baseaddr_get(shm), 0, sizeof(struct board));
}

struct worker {
    struct eas_store *store;
    struct board *board;
    unsigned process, thread;
    uint64_t ops; /* 0: until the board says stop */
};

/* In the children, nothing may be asserted: a failure would go on in the parent's code. */
static void work(const struct worker *w)
{
    uint64_t own = 1000 + (w->process * THREADS + w->thread) * OWN_KEYS, seed = own << 32;
    uint64_t versions[OWN_KEYS] = { 0 }, version, i;
    apr_size_t lens[OWN_KEYS] = { 0 };
    apr_pool_t *pool;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        atomic_fetch_add(&w->board->wrong, 1);
        return;
    }
    for (i = 1; (w->ops == 0 || i <= w->ops) && !atomic_load(&w->board->stop); i++) {
        uint64_t id = below(&seed, COMMON_KEYS), what = below(&seed, 100);
        apr_size_t len = VALUE_MIN + below(&seed, VALUE_MAX - VALUE_MIN);
        unsigned n = (unsigned)below(&seed, OWN_KEYS);
        enum seen seen = NOTHING;

        if (what < 30) {
            seen = put(w->store, id, mix(seed), len, NEVER) ? NOTHING : OTHER;
        }
        else if (what < 60) {
            seen = look(w->store, pool, id, &version);
        }
        else if (what < 65) {
            drop(w->store, id);
        }
        else if (what < 75) {
            versions[n] = i;
            lens[n] = len;
            seen = put(w->store, own + n, i, len, NEVER) ? NOTHING : OTHER;
        }
        else if (what < 97) {
            seen = see(w->store, pool, own + n, versions[n], lens[n], 1);
            if (versions[n] == 0 && seen != NOTHING) {
                seen = OTHER;
            }
        }
        else {
            versions[n] = 0;
            drop(w->store, own + n);
        }
        apr_pool_clear(pool);
        atomic_fetch_add(&w->board->ops[w->process], 1);
        atomic_fetch_add(&w->board->hits, seen == WHOLE);
        atomic_fetch_add(&w->board->wrong, seen == OTHER);
    }
    apr_pool_destroy(pool);
}

static void *APR_THREAD_FUNC run_worker(apr_thread_t *thread, void *data)
{
    (void)thread;
    work(data);
    return NULL;
}

static void run_process(struct eas_store *store, struct board *board, unsigned process)
{
    struct worker workers[THREADS];
    apr_thread_t *threads[THREADS];
    apr_status_t status;
    apr_pool_t *pool;
    unsigned i;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        _exit(1);
    }
    for (i = 0; i < THREADS; i++) {
        struct worker w = { store, board, process, i, TOTAL_OPS / PROCESSES / THREADS };

        workers[i] = w;
        if (apr_thread_create(&threads[i], NULL, run_worker, &workers[i], pool) != APR_SUCCESS) {
            _exit(1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&status, threads[i]);
    }
    apr_pool_destroy(pool);
    _exit(0);
}

static void test_many_processes_and_threads(void **state)
{
    struct eas_store *store = make_store(*state, 128 * KB);
    struct board *board = make_board(*state);
    pid_t pids[PROCESSES];
    unsigned long ops = 0;
    int status, i;

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            run_process(store, board, (unsigned)i);
        }
        assert_true(pids[i] > 0);
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
        ops += atomic_load(&board->ops[i]);
    }
    assert_int_equal(ops, TOTAL_OPS);
    assert_int_equal(atomic_load(&board->wrong), 0);
    assert_true(atomic_load(&board->hits) > TOTAL_OPS / 10);
    assert_guard(store, 128 * KB);
}

/* --- those that die inside --- */

#define DEATHS 200

static void sleep_us(unsigned us)
{
    poll(NULL, 0, (int)(us / 1000));
    usleep(us % 1000);
}

/* True if the process ends by itself, and well, in time; it is gone in any case. */
static bool ends_well(pid_t pid)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_MS * 1000;
    int status;

    do {
        pid_t rv = waitpid(pid, &status, WNOHANG);

        if (rv != 0) {
            return rv == pid && status == 0;
        }
        sleep_us(200);
    } while (apr_time_now() < deadline);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return false;
}

#define PAGE 4096
#define PAGES 8

static int inside_fd;

/* Says that it is inside, and stays there. */
static void stay_inside(int signum)
{
    (void)signum;
    if (write(inside_fd, "", 1) == 1) {
        for (;;) {
            pause();
        }
    }
    _exit(1);
}

/* A value of which one page, behind a file's end, cannot be read: who puts it halts in the middle. */
static unsigned char *make_trap(uint64_t id, uint64_t version, unsigned page)
{
    unsigned char *value =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FILE *empty = tmpfile();

    if (value == MAP_FAILED || empty == NULL) {
        return NULL;
    }
    fill(value, PAGES * PAGE, id, version);
    return mmap(value + page * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fileno(empty), 0)
                   == MAP_FAILED
               ? NULL
               : value;
}

static void put_trap(struct eas_store *store, uint64_t id, uint64_t version, unsigned page)
{
    unsigned char key[EAS_STORE_KEY_SIZE], *value = make_trap(id, version, page);

    make_key(key, id);
    signal(SIGBUS, stay_inside);
    if (value != NULL) {
        eas_store_put(store, key, value, PAGES * PAGE, NEVER);
    }
    _exit(1);
}

#define KEPT 16

/* One that has to wait for the lock until its holder is dead. */
static void wait_and_use(struct eas_store *store, uint64_t version)
{
    apr_pool_t *pool;
    bool good = apr_pool_create(&pool, NULL) == APR_SUCCESS
                && see(store, pool, 0, version, 100, 1) == WHOLE
                && put(store, KEPT, version, 300, NEVER)
                && see(store, pool, KEPT, version, 300, 1) == WHOLE;

    _exit(good ? 0 : 1);
}

static void die_inside(struct eas_store *store, apr_pool_t *pool, uint64_t round)
{
    /* It replaces a key or brings a new one. */
    uint64_t id = round % 2 ? round % KEPT : 1000 + round, n;
    struct pollfd inside = { -1, POLLIN, 0 };
    pid_t victim, waiter;
    int fds[2], status;
    bool well;

    for (n = 0; n <= KEPT; n++) {
        assert_true(put(store, n, round, 100, NEVER));
    }
    assert_int_equal(pipe(fds), 0);
    victim = fork();
    if (victim == 0) {
        inside_fd = fds[1];
        put_trap(store, id, round + 1, (unsigned)(round % PAGES));
    }
    assert_true(victim > 0);
    close(fds[1]);
    inside.fd = fds[0];
    assert_int_equal(poll(&inside, 1, 2 * PATIENCE_MS), 1);
    assert_true(inside.revents & POLLIN);
    waiter = fork();
    if (waiter == 0) {
        wait_and_use(store, round);
    }
    assert_true(waiter > 0);
    if (round % 4 < 2) {
        sleep_us(1000);
        assert_int_equal(waitpid(waiter, &status, WNOHANG), 0);
    }
    kill(victim, SIGKILL);
    well = ends_well(waiter);
    assert_int_equal(waitpid(victim, &status, 0), victim);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(well);
    close(fds[0]);
    for (n = 0; n < KEPT; n++) {
        enum seen seen = see(store, pool, n, round, 100, 1);

        assert_int_not_equal(seen, OTHER);
        assert_true(seen == WHOLE || n == id);
    }
    assert_int_not_equal(see(store, pool, id, round, 100, 1), OTHER);
    assert_true(put(store, id, round, 50, NEVER));
    assert_int_equal(see(store, pool, id, round, 50, 1), WHOLE);
}

static void test_those_who_die_inside_harm_nobody(void **state)
{
    struct eas_store *store = make_store(*state, 256 * KB);
    uint64_t round;

    for (round = 1; round <= DEATHS; round++) {
        apr_pool_t *pool = make_subpool(*state);

        die_inside(store, pool, round);
        apr_pool_destroy(pool);
    }
    assert_guard(store, 256 * KB);
}

#define SURVIVORS 4
#define BIG (20 * KB)

/* Puts and gets: long values so as to be inside most of the time, short ones to go in and out. */
static void live_dangerously(struct eas_store *store, struct board *board, uint64_t seed,
                             apr_size_t len)
{
    static unsigned char values[4][BIG];
    unsigned char key[EAS_STORE_KEY_SIZE];
    apr_pool_t *pool;
    unsigned i;

    for (i = 0; i < 4; i++) {
        fill(values[i], len, i, seed);
    }
    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        _exit(1);
    }
    for (;;) {
        const unsigned char *value;
        apr_size_t found;

        i = (unsigned)below(&seed, 4);
        make_key(key, i);
        eas_store_put(store, key, values[i], len, NEVER);
        make_key(key, below(&seed, COMMON_KEYS));
        eas_store_get(store, pool, key, 1, &value, &found);
        apr_pool_clear(pool);
        atomic_fetch_add(&board->ops[SURVIVORS], 1);
    }
}

/* Waits until each survivor has done something more; false if it takes too long. */
static bool go_on(struct board *board)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_MS * 1000;
    unsigned long ops[SURVIVORS];
    unsigned i;

    for (i = 0; i < SURVIVORS; i++) {
        ops[i] = atomic_load(&board->ops[i]);
    }
    for (i = 0; i < SURVIVORS; i++) {
        while (atomic_load(&board->ops[i]) < ops[i] + 2) {
            if (apr_time_now() > deadline) {
                return false;
            }
            sleep_us(100);
        }
    }
    return true;
}

/* True if the victim got going, was killed, and the others went on. */
static bool kill_one(struct eas_store *store, struct board *board, uint64_t round)
{
    unsigned long before = atomic_load(&board->ops[SURVIVORS]);
    apr_time_t deadline = apr_time_now() + 2 * PATIENCE_MS * 1000;
    uint64_t seed = round;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        live_dangerously(store, board, round << 32, round % 2 ? BIG : VALUE_MIN);
    }
    while (atomic_load(&board->ops[SURVIVORS]) == before && apr_time_now() < deadline) {
        sleep_us(50);
    }
    sleep_us((unsigned)below(&seed, 1500));
    return kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)
           && atomic_load(&board->ops[SURVIVORS]) != before && go_on(board);
}

static void test_those_who_are_killed_harm_nobody(void **state)
{
    struct eas_store *store = make_store(*state, 128 * KB);
    struct board *board = make_board(*state);
    bool good = true;
    pid_t pids[SURVIVORS];
    uint64_t round;
    unsigned i;

    for (i = 0; i < SURVIVORS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct worker w = { store, board, i, 0, 0 };

            work(&w);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (round = 1; good && round <= DEATHS; round++) {
        good = kill_one(store, board, round);
    }
    atomic_store(&board->stop, true);
    for (i = 0; i < SURVIVORS; i++) {
        good = ends_well(pids[i]) && good;
    }
    assert_true(good);
    assert_int_equal(atomic_load(&board->wrong), 0);
    assert_true(atomic_load(&board->hits) > 0);
    assert_guard(store, 128 * KB);
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
        POOL_TEST(test_many_processes_and_threads),
        POOL_TEST(test_those_who_die_inside_harm_nobody),
        POOL_TEST(test_those_who_are_killed_harm_nobody),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
