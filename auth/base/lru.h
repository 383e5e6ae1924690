/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/lru.h - LRU cache of reference-counted objects */

#ifndef EAS_AUTH_BASE_LRU_H
#define EAS_AUTH_BASE_LRU_H

#include <apr_pools.h>
#include <apr_time.h>

/*
 * Per process and thread-safe.  The lock is held for pointer work only, never during I/O or
 * cryptography.  Keys are compared byte by byte.  The cache holds a reference to each value and
 * gives one to each caller that finds it; retain and release must be atomic.
 */
struct eas_lru;

struct eas_lru_ops {
    void (*retain)(void *value);
    void (*release)(void *value);
};

/* A cache of at most max_bytes; its entries are released with pool. */
struct eas_lru *eas_lru_create(apr_pool_t *pool, apr_size_t max_bytes, struct eas_lru_ops ops);

/* Keeps a value of the given size until expires; replaces the key's former value. */
void eas_lru_put(struct eas_lru *lru, const void *key, apr_size_t key_len, void *value,
                 apr_size_t bytes, apr_time_t expires);

/* The key's value at time now, with a reference for the caller, or NULL. */
void *eas_lru_get(struct eas_lru *lru, const void *key, apr_size_t key_len, apr_time_t now);

void eas_lru_drop(struct eas_lru *lru, const void *key, apr_size_t key_len);

apr_size_t eas_lru_count(struct eas_lru *lru);

/* The size of all entries, with keys and overhead. */
apr_size_t eas_lru_bytes(struct eas_lru *lru);

#endif
