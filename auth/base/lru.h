/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/lru.h - a bounded cache of counted objects, least recently used first out */

#ifndef EAS_AUTH_BASE_LRU_H
#define EAS_AUTH_BASE_LRU_H

#include <apr_pools.h>
#include <apr_time.h>

/*
 * Per process and thread-safe; its lock is held for pointer work only, never over I/O or
 * cryptography.  Keys are bytes, compared exactly.  The cache holds a reference to each value and
 * gives one to each finder; retain and release must be atomic.
 */
struct eas_lru;

struct eas_lru_ops {
    void (*retain)(void *value);
    void (*release)(void *value);
};

/* A cache of at most max_bytes; entries go with pool. */
struct eas_lru *eas_lru_create(apr_pool_t *pool, apr_size_t max_bytes, struct eas_lru_ops ops);

/* Remembers value, of the given size, until expires; replaces what the key had. */
void eas_lru_put(struct eas_lru *lru, const void *key, apr_size_t key_len, void *value,
                 apr_size_t bytes, apr_time_t expires);

/* The key's value with a reference for the caller, or NULL if there is none at time now. */
void *eas_lru_get(struct eas_lru *lru, const void *key, apr_size_t key_len, apr_time_t now);

void eas_lru_drop(struct eas_lru *lru, const void *key, apr_size_t key_len);

/* What the entries take up now, with the cache's own share. */
apr_size_t eas_lru_bytes(struct eas_lru *lru);

#endif
