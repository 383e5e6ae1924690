/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/lru.c - LRU cache of reference-counted objects */

#include "auth/base/lru.h"
#include "auth/base/fnv.h"
#include "auth/base/thread.h"

#include <apr_ring.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64u

struct entry {
    APR_RING_ENTRY(entry) age; /* least recently used first */
    struct entry *next;        /* in the bucket */
    apr_uint64_t hash;
    void *value;
    apr_size_t bytes;
    apr_time_t expires;
    apr_size_t key_len;
    unsigned char key[];
};

APR_RING_HEAD(age_ring, entry);

struct eas_lru {
    apr_thread_mutex_t *mutex;
    struct eas_lru_ops ops;
    struct age_ring ages;
    struct entry **buckets;
    apr_size_t n_buckets; /* a power of two */
    apr_size_t n_entries;
    apr_size_t bytes;
    apr_size_t max_bytes;
};

/* Without a secret: keys that a client could choose are keyed digests. */
static apr_uint64_t hash_of(const unsigned char *key, apr_size_t len)
{
    return eas_fnv_words(key, len);
}

static void *xcalloc(apr_size_t n, apr_size_t size)
{
    void *p = calloc(n, size);

    if (p == NULL) {
        abort(); /* as APR's pools do */
    }
    return p;
}

static struct entry **find(struct eas_lru *lru, const void *key, apr_size_t key_len,
                           apr_uint64_t hash)
{
    struct entry **link = &lru->buckets[hash & (lru->n_buckets - 1)];

    while (*link != NULL
           && ((*link)->hash != hash || (*link)->key_len != key_len
               || memcmp((*link)->key, key, key_len) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static void unlink_entry(struct eas_lru *lru, struct entry **link)
{
    struct entry *entry = *link;

    *link = entry->next;
    APR_RING_REMOVE(entry, age);
    lru->n_entries--;
    lru->bytes -= entry->bytes;
    lru->ops.release(entry->value);
    free(entry);
}

static void evict(struct eas_lru *lru)
{
    while (lru->bytes > lru->max_bytes && !APR_RING_EMPTY(&lru->ages, entry, age)) {
        struct entry *oldest = APR_RING_FIRST(&lru->ages);

        unlink_entry(lru, find(lru, oldest->key, oldest->key_len, oldest->hash));
    }
}

static void grow(struct eas_lru *lru)
{
    struct entry **old = lru->buckets, *entry;

    if (lru->n_entries < lru->n_buckets) {
        return;
    }
    lru->n_buckets *= 2;
    lru->buckets = xcalloc(lru->n_buckets, sizeof(struct entry *));
    free(old);
    APR_RING_FOREACH(entry, &lru->ages, entry, age)
    {
        struct entry **link = &lru->buckets[entry->hash & (lru->n_buckets - 1)];

        entry->next = *link;
        *link = entry;
    }
}

static apr_status_t lru_cleanup(void *data)
{
    struct eas_lru *lru = data;

    lru->max_bytes = 0;
    evict(lru);
    free(lru->buckets);
    return APR_SUCCESS;
}

struct eas_lru *eas_lru_create(apr_pool_t *pool, apr_size_t max_bytes, struct eas_lru_ops ops)
{
    struct eas_lru *lru = apr_pcalloc(pool, sizeof(*lru));

    lru->mutex = eas_thread_make_mutex(pool);
    lru->ops = ops;
    lru->max_bytes = max_bytes;
    lru->n_buckets = BUCKETS_MIN;
    lru->buckets = xcalloc(lru->n_buckets, sizeof(struct entry *));
    APR_RING_INIT(&lru->ages, entry, age);
    apr_pool_cleanup_register(pool, lru, lru_cleanup, apr_pool_cleanup_null);
    return lru;
}

void eas_lru_put(struct eas_lru *lru, const void *key, apr_size_t key_len, void *value,
                 apr_size_t bytes, apr_time_t expires)
{
    struct entry *entry = xcalloc(1, sizeof(*entry) + key_len);
    struct entry **link;

    entry->hash = hash_of(key, key_len);
    entry->value = value;
    entry->bytes = bytes + sizeof(*entry) + key_len;
    entry->expires = expires;
    entry->key_len = key_len;
    memcpy(entry->key, key, key_len);
    lru->ops.retain(value);

    apr_thread_mutex_lock(lru->mutex);
    link = find(lru, key, key_len, entry->hash);
    if (*link != NULL) {
        unlink_entry(lru, link);
    }
    grow(lru);
    link = &lru->buckets[entry->hash & (lru->n_buckets - 1)];
    entry->next = *link;
    *link = entry;
    APR_RING_INSERT_TAIL(&lru->ages, entry, entry, age);
    lru->n_entries++;
    lru->bytes += entry->bytes;
    evict(lru);
    apr_thread_mutex_unlock(lru->mutex);
}

void *eas_lru_get(struct eas_lru *lru, const void *key, apr_size_t key_len, apr_time_t now)
{
    apr_uint64_t hash = hash_of(key, key_len);
    struct entry **link, *entry;
    void *value = NULL;

    apr_thread_mutex_lock(lru->mutex);
    link = find(lru, key, key_len, hash);
    entry = *link;
    if (entry != NULL && entry->expires <= now) {
        unlink_entry(lru, link);
    }
    else if (entry != NULL) {
        APR_RING_REMOVE(entry, age);
        APR_RING_INSERT_TAIL(&lru->ages, entry, entry, age);
        value = entry->value;
        lru->ops.retain(value);
    }
    apr_thread_mutex_unlock(lru->mutex);
    return value;
}

void eas_lru_drop(struct eas_lru *lru, const void *key, apr_size_t key_len)
{
    struct entry **link;

    apr_thread_mutex_lock(lru->mutex);
    link = find(lru, key, key_len, hash_of(key, key_len));
    if (*link != NULL) {
        unlink_entry(lru, link);
    }
    apr_thread_mutex_unlock(lru->mutex);
}

static apr_size_t read_locked(struct eas_lru *lru, const apr_size_t *number)
{
    apr_size_t value;

    apr_thread_mutex_lock(lru->mutex);
    value = *number;
    apr_thread_mutex_unlock(lru->mutex);
    return value;
}

apr_size_t eas_lru_count(struct eas_lru *lru)
{
    return read_locked(lru, &lru->n_entries);
}

apr_size_t eas_lru_bytes(struct eas_lru *lru)
{
    return read_locked(lru, &lru->bytes);
}
