/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/cache.h - Interface of a cache that processes and gateways share */

#ifndef EAS_AUTH_SHARED_CACHE_H
#define EAS_AUTH_SHARED_CACHE_H

#include "auth/base/bytes.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

enum eas_shared_cache_reach {
    EAS_SHARED_CACHE_LOCAL, /* shared memory of this gateway; does not wait */
    EAS_SHARED_CACHE_REMOTE /* also the provider of EasKcdCache; may wait for a network */
};

/*
 * Sealed records of one kind.  A record may be lost at any time.  The caller chooses the bytes of
 * an id.  Thread-safe.
 */
struct eas_shared_cache {
    /* Sets a copy of the value, in pool, and the time at which the record expires. */
    bool (*find)(const struct eas_shared_cache *cache, apr_pool_t *pool, struct eas_bytes id,
                 enum eas_shared_cache_reach reach, struct eas_bytes *value, apr_time_t *expires);

    /* Keeps a record locally and remotely; may wait for a network.  Scratch is in pool. */
    void (*put)(const struct eas_shared_cache *cache, apr_pool_t *pool, struct eas_bytes id,
                struct eas_bytes value, apr_time_t expires);

    int kind; /* of the implementation */
};

#endif
