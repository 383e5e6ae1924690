/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_lru.c - LRU cache of reference-counted objects */

#include "t/unit/unit.h"

#include "auth/base/lru.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLENTY ((apr_size_t)64 << 20)
#define NEVER APR_INT64_MAX

struct value {
    atomic_uint refs;
    unsigned id;
};

static atomic_uint alive;

static void retain(void *value)
{
    atomic_fetch_add(&((struct value *)value)->refs, 1);
}

static void release(void *value)
{
    if (atomic_fetch_sub(&((struct value *)value)->refs, 1) == 1) {
        atomic_fetch_sub(&alive, 1);
        free(value);
    }
}

static const struct eas_lru_ops ops = { retain, release };

static struct value *make(unsigned id)
{
    struct value *value = malloc(sizeof(*value));

    assert_non_null(value);
    value->refs = 1;
    value->id = id;
    atomic_fetch_add(&alive, 1);
    return value;
}

/* Puts a value that only the cache refers to. */
static void put(struct eas_lru *lru, const char *key, unsigned id, apr_size_t bytes)
{
    struct value *value = make(id);

    eas_lru_put(lru, key, strlen(key), value, bytes, NEVER);
    release(value);
}

/* The id that the key finds, 0 if none. */
static unsigned get(struct eas_lru *lru, const char *key)
{
    struct value *value = eas_lru_get(lru, key, strlen(key), 0);
    unsigned id = value != NULL ? value->id : 0;

    if (value != NULL) {
        release(value);
    }
    return id;
}

/* The size of an entry with a key of one octet and a value of no bytes. */
static apr_size_t entry_overhead(apr_pool_t *pool)
{
    struct eas_lru *lru = eas_lru_create(pool, PLENTY, ops);
    apr_size_t bytes;

    put(lru, "k", 1, 0);
    bytes = eas_lru_bytes(lru);
    eas_lru_drop(lru, "k", 1);
    return bytes;
}

/* A cache with room for n entries of one-octet keys and values of no bytes. */
static struct eas_lru *make_cache_of(apr_pool_t *pool, unsigned n)
{
    return eas_lru_create(pool, n * entry_overhead(pool), ops);
}

static int start_test(void **state)
{
    alive = 0;
    return unit_make_pool(state);
}

/* After each test, the cache must have released every value. */
static int end_test(void **state)
{
    unit_destroy_pool(state);
    return alive == 0 ? 0 : -1;
}

static void test_get_adds_a_reference(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    struct value *value = make(7);

    eas_lru_put(lru, "k", 1, value, 0, NEVER);
    assert_int_equal(value->refs, 2);
    assert_ptr_equal(eas_lru_get(lru, "k", 1, 0), value);
    assert_int_equal(value->refs, 3);
    release(value);
    eas_lru_drop(lru, "k", 1);
    assert_int_equal(value->refs, 1);
    release(value);
    assert_int_equal(alive, 0);
}

static void test_unknown_keys_find_nothing(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);

    assert_null(eas_lru_get(lru, "k", 1, 0));
    assert_int_equal(eas_lru_bytes(lru), 0);
    put(lru, "key", 1, 0);
    assert_int_equal(get(lru, "ke"), 0);
    assert_int_equal(get(lru, "keyx"), 0);
    assert_int_equal(get(lru, "kez"), 0);
    assert_int_equal(get(lru, ""), 0);
    assert_int_equal(get(lru, "key"), 1);
}

static void test_keys_are_bytes(void **state)
{
    static const struct {
        const char *bytes;
        apr_size_t len;
    } keys[] = { { "", 0 },     { "\0", 1 },       { "\0\0", 2 },    { "a\0b", 3 },
                 { "a\0c", 3 }, { "a", 1 },        { "a\0", 2 },     { "\xff\x80", 2 },
                 { "\xff", 1 }, { "\x7f\x80", 2 }, { "\xff\x00", 2 } };
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    unsigned i;

    for (i = 0; i < COUNT_OF(keys); i++) {
        struct value *value = make(i);

        eas_lru_put(lru, keys[i].bytes, keys[i].len, value, 0, NEVER);
        release(value);
    }
    for (i = 0; i < COUNT_OF(keys); i++) {
        struct value *value = eas_lru_get(lru, keys[i].bytes, keys[i].len, 0);

        assert_non_null(value);
        assert_int_equal(value->id, i);
        release(value);
    }
}

static void test_key_is_copied(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    char key[] = "key";

    put(lru, key, 1, 0);
    memset(key, 'x', 3);
    assert_int_equal(get(lru, "key"), 1);
    assert_int_equal(get(lru, "xxx"), 0);
}

/* A get at the expiry time or later removes the entry. */
static void test_expiry(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    struct value *value = make(1);

    eas_lru_put(lru, "k", 1, value, 100, 5000);
    assert_ptr_equal(eas_lru_get(lru, "k", 1, 4999), value);
    release(value);
    assert_null(eas_lru_get(lru, "k", 1, 5000));
    assert_int_equal(value->refs, 1);
    assert_int_equal(eas_lru_bytes(lru), 0);
    assert_null(eas_lru_get(lru, "k", 1, 4999));
    release(value);
}

static void test_replacing_releases_the_old_value(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    struct value *old = make(1);

    eas_lru_put(lru, "k", 1, old, 1000, NEVER);
    put(lru, "k", 2, 0);
    assert_int_equal(old->refs, 1);
    assert_int_equal(get(lru, "k"), 2);
    assert_int_equal(eas_lru_bytes(lru), entry_overhead(*state));
    release(old);
}

static void test_replacing_with_the_same_value(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    struct value *value = make(1);

    eas_lru_put(lru, "k", 1, value, 0, 10);
    eas_lru_put(lru, "k", 1, value, 0, 20);
    assert_int_equal(value->refs, 2);
    assert_ptr_equal(eas_lru_get(lru, "k", 1, 15), value);
    release(value);
    release(value);
}

static void test_drop(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    struct value *value = make(1);

    eas_lru_put(lru, "k", 1, value, 10, NEVER);
    put(lru, "l", 2, 10);
    eas_lru_drop(lru, "k", 1);
    assert_int_equal(value->refs, 1);
    assert_int_equal(get(lru, "k"), 0);
    assert_int_equal(get(lru, "l"), 2);
    eas_lru_drop(lru, "k", 1);
    eas_lru_drop(lru, "m", 1);
    assert_int_equal(value->refs, 1);
    assert_int_equal(eas_lru_bytes(lru), entry_overhead(*state) + 10);
    release(value);
}

static void test_bytes_count_value_key_and_entry(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    apr_size_t overhead = entry_overhead(*state);

    put(lru, "k", 1, 1000);
    assert_int_equal(eas_lru_bytes(lru), overhead + 1000);
    put(lru, "longer key", 2, 500);
    assert_int_equal(eas_lru_bytes(lru), 2 * overhead + 1500 + strlen("longer key") - 1);
    assert_true(overhead >= 1 + sizeof(void *));
}

static void test_bound_in_bytes(void **state)
{
    apr_size_t overhead = entry_overhead(*state), max = 3 * (overhead + 100);
    struct eas_lru *lru = eas_lru_create(*state, max, ops);

    put(lru, "a", 1, 100);
    put(lru, "b", 2, 100);
    put(lru, "c", 3, 100);
    assert_int_equal(eas_lru_bytes(lru), max);
    put(lru, "d", 4, 101);
    assert_int_equal(eas_lru_bytes(lru), 2 * overhead + 201);
    assert_int_equal(get(lru, "a"), 0);
    assert_int_equal(get(lru, "b"), 0);
    assert_int_equal(get(lru, "c"), 3);
    assert_int_equal(get(lru, "d"), 4);
    assert_int_equal(alive, 2);
}

static void test_oldest_goes_first(void **state)
{
    struct eas_lru *lru = make_cache_of(*state, 3);

    put(lru, "a", 1, 0);
    put(lru, "b", 2, 0);
    put(lru, "c", 3, 0);
    put(lru, "d", 4, 0);
    put(lru, "e", 5, 0);
    assert_int_equal(get(lru, "a"), 0);
    assert_int_equal(get(lru, "b"), 0);
    assert_int_equal(get(lru, "c"), 3);
    assert_int_equal(get(lru, "d"), 4);
    assert_int_equal(get(lru, "e"), 5);
}

static void test_get_and_put_count_as_use(void **state)
{
    struct eas_lru *lru = make_cache_of(*state, 3);

    put(lru, "a", 1, 0);
    put(lru, "b", 2, 0);
    put(lru, "c", 3, 0);
    assert_int_equal(get(lru, "a"), 1);
    put(lru, "b", 22, 0);
    put(lru, "d", 4, 0);
    assert_int_equal(get(lru, "c"), 0);
    assert_int_equal(get(lru, "a"), 1);
    assert_int_equal(get(lru, "b"), 22);
    assert_int_equal(get(lru, "d"), 4);
    put(lru, "e", 5, 0);
    assert_int_equal(get(lru, "a"), 0);
}

static void test_get_of_another_key_is_no_use(void **state)
{
    struct eas_lru *lru = make_cache_of(*state, 2);

    put(lru, "a", 1, 0);
    put(lru, "b", 2, 0);
    assert_int_equal(get(lru, "x"), 0);
    eas_lru_drop(lru, "y", 1);
    put(lru, "c", 3, 0);
    assert_int_equal(get(lru, "a"), 0);
    assert_int_equal(get(lru, "b"), 2);
}

static void test_value_larger_than_the_cache_is_not_kept(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, 1000, ops);
    struct value *value = make(1);

    eas_lru_put(lru, "k", 1, value, 1001, NEVER);
    assert_int_equal(value->refs, 1);
    assert_int_equal(eas_lru_bytes(lru), 0);
    assert_int_equal(get(lru, "k"), 0);
    release(value);
}

/* The old value must not be found, even if the new one cannot be kept. */
static void test_value_larger_than_the_cache_still_replaces(void **state)
{
    struct eas_lru *lru = make_cache_of(*state, 2);

    put(lru, "k", 1, 0);
    put(lru, "k", 2, PLENTY);
    assert_int_equal(get(lru, "k"), 0);
    assert_int_equal(eas_lru_bytes(lru), 0);
}

static void test_evicted_value_stays_with_its_holders(void **state)
{
    struct eas_lru *lru = make_cache_of(*state, 1);
    struct value *found;

    put(lru, "a", 1, 0);
    found = eas_lru_get(lru, "a", 1, 0);
    put(lru, "b", 2, 0);
    assert_int_equal(get(lru, "a"), 0);
    assert_int_equal(found->refs, 1);
    assert_int_equal(found->id, 1);
    release(found);
    assert_int_equal(alive, 1);
}

static void test_entries_are_released_with_the_pool(void **state)
{
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    struct value *found;

    put(lru, "a", 1, 10);
    put(lru, "b", 2, 10);
    found = eas_lru_get(lru, "b", 1, 0);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_int_equal(alive, 1);
    assert_int_equal(found->refs, 1);
    assert_int_equal(found->id, 2);
    release(found);
}

static void put_number(struct eas_lru *lru, unsigned n)
{
    struct value *value = make(n);

    eas_lru_put(lru, &n, sizeof(n), value, 0, NEVER);
    release(value);
}

static bool has_number(struct eas_lru *lru, unsigned n)
{
    struct value *value = eas_lru_get(lru, &n, sizeof(n), 0);
    bool right = value != NULL && value->id == n;

    if (value != NULL) {
        release(value);
    }
    return right;
}

static void test_growth(void **state)
{
    enum { N = 12000 };
    struct eas_lru *lru = eas_lru_create(*state, PLENTY, ops);
    unsigned n;

    for (n = 0; n < N; n++) {
        put_number(lru, n);
        assert_true(has_number(lru, n / 2));
    }
    for (n = 0; n < N; n += 2) {
        eas_lru_drop(lru, &n, sizeof(n));
    }
    assert_int_equal(alive, N / 2);
    for (n = 0; n < N; n++) {
        assert_int_equal(has_number(lru, n), n % 2);
    }
    assert_int_equal(eas_lru_bytes(lru), (N / 2) * (entry_overhead(*state) + sizeof(n) - 1));
}

/* Growth must not disturb the order of use. */
static void test_order_survives_growth(void **state)
{
    enum { ROOM = 1000 };
    apr_size_t entry = entry_overhead(*state) + sizeof(unsigned) - 1;
    struct eas_lru *lru = eas_lru_create(*state, ROOM * entry, ops);
    unsigned n;

    for (n = 0; n < 3 * ROOM; n++) {
        put_number(lru, n);
        assert_true(has_number(lru, 0));
    }
    assert_int_equal(alive, ROOM);
    assert_true(has_number(lru, 0));
    for (n = 1; n <= 2 * ROOM; n++) {
        assert_false(has_number(lru, n));
    }
    for (; n < 3 * ROOM; n++) {
        assert_true(has_number(lru, n));
    }
}

/* The data of one thread of the next test. */
struct hammer {
    struct eas_lru *lru;
    unsigned seed;
    bool wrong;
};

#define HAMMER_KEYS 64

static void *APR_THREAD_FUNC hammer(apr_thread_t *thread, void *data)
{
    struct hammer *h = data;
    int i;

    (void)thread;
    for (i = 0; i < 20000; i++) {
        unsigned key = (h->seed = h->seed * 1103515245u + 12345u) >> 16;
        struct value *value;

        key %= HAMMER_KEYS;
        switch (i % 4) {
        case 0:
            value = make(key);
            eas_lru_put(h->lru, &key, sizeof(key), value, key, 1 + i % 7);
            release(value);
            break;
        case 1:
            eas_lru_drop(h->lru, &key, sizeof(key));
            break;
        default:
            value = eas_lru_get(h->lru, &key, sizeof(key), 3);
            if (value != NULL) {
                h->wrong |= value->id != key;
                release(value);
            }
        }
    }
    return NULL;
}

static void test_eight_threads(void **state)
{
    struct eas_lru *lru = make_cache_of(*state, HAMMER_KEYS / 2);
    struct hammer hammers[UNIT_THREADS];
    unsigned i;

    for (i = 0; i < UNIT_THREADS; i++) {
        hammers[i] = (struct hammer){ lru, i, false };
    }
    unit_run_threads(*state, hammer, hammers, sizeof(hammers[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_false(hammers[i].wrong);
    }
    for (i = 0; i < HAMMER_KEYS; i++) {
        eas_lru_drop(lru, &i, sizeof(i));
    }
    assert_int_equal(eas_lru_bytes(lru), 0);
    assert_int_equal(alive, 0);
}

#define LRU_TEST(test) cmocka_unit_test_setup_teardown(test, start_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LRU_TEST(test_get_adds_a_reference),
        LRU_TEST(test_unknown_keys_find_nothing),
        LRU_TEST(test_keys_are_bytes),
        LRU_TEST(test_key_is_copied),
        LRU_TEST(test_expiry),
        LRU_TEST(test_replacing_releases_the_old_value),
        LRU_TEST(test_replacing_with_the_same_value),
        LRU_TEST(test_drop),
        LRU_TEST(test_bytes_count_value_key_and_entry),
        LRU_TEST(test_bound_in_bytes),
        LRU_TEST(test_oldest_goes_first),
        LRU_TEST(test_get_and_put_count_as_use),
        LRU_TEST(test_get_of_another_key_is_no_use),
        LRU_TEST(test_value_larger_than_the_cache_is_not_kept),
        LRU_TEST(test_value_larger_than_the_cache_still_replaces),
        LRU_TEST(test_evicted_value_stays_with_its_holders),
        LRU_TEST(test_entries_are_released_with_the_pool),
        LRU_TEST(test_growth),
        LRU_TEST(test_order_survives_growth),
        LRU_TEST(test_eight_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
