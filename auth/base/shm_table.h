/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_table.h - hash table of records in shared memory */

#ifndef EAS_AUTH_BASE_SHM_TABLE_H
#define EAS_AUTH_BASE_SHM_TABLE_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * A table of plain, versioned bytes without pointers, so that it can outlive a graceful restart, in
 * which httpd unloads and reloads the code around it.  Records are kept in a ring, newest last; what
 * is read while it grows old moves to the front, and the oldest is overwritten when there is no room.
 * Whoever needs that nothing is lost gives the records a store of their own that is large enough.
 *
 * Keys are keyed digests (uniform, and nothing that an attacker could choose or read).  Values are
 * sealed by the caller where they are secret; a reader must not trust their content more than that.
 *
 * Safe for threads and processes; a process that dies inside harms nobody.  All calls are short.
 */
struct eas_shm_table;

#define EAS_SHM_TABLE_KEY_SIZE 32

/*
 * Makes an empty store of the memory, which is shared and aligned as malloc's, by one process before
 * others attach.  A record takes 56 bytes and its value; there is a place in the index for each 32 to
 * 64 bytes, so that it is the ring that runs full first.
 */
void eas_shm_table_format(void *memory, apr_size_t size);

/* The store in the memory, or NULL if it holds none of this version and size. */
struct eas_shm_table *eas_shm_table_attach(void *memory, apr_size_t size);

/* Keeps a copy until expires; replaces what the key had.  False if it is too large. */
bool eas_shm_table_put(struct eas_shm_table *store, const unsigned char key[EAS_SHM_TABLE_KEY_SIZE],
                       const void *value, apr_size_t len, apr_time_t expires);

/* A copy in pool of what the key has at time now; false if nothing. */
bool eas_shm_table_get(struct eas_shm_table *store, apr_pool_t *pool,
                       const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                       const unsigned char **value_out, apr_size_t *len_out);

void eas_shm_table_drop(struct eas_shm_table *store,
                        const unsigned char key[EAS_SHM_TABLE_KEY_SIZE]);

/* Longer values cannot be updated. */
#define EAS_SHM_TABLE_UPDATE_MAX 2048

/* What a change is shown: a copy of the record's value, which it may rewrite. */
struct eas_shm_table_value {
    apr_time_t expires;
    apr_size_t len; /* 0 if the key has nothing at time now */
    unsigned char bytes[EAS_SHM_TABLE_UPDATE_MAX];
};

/* True if the record shall become what *value holds now; false leaves it as it was. */
typedef bool eas_shm_table_change(void *data, struct eas_shm_table_value *value);

/*
 * Reads, changes and writes back as one step among all threads and processes.  The change runs under
 * the store's mutex: it computes, and does nothing else.  A process that dies meanwhile leaves the
 * old value or the new one.
 *
 * A record is rewritten where it is, so that many updates of one key push out no other's record; it
 * gets room for EAS_SHM_TABLE_UPDATE_ROOM bytes at first and moves, with room for twice as much, when it
 * outgrows that.  False if the store is unusable; then nothing was changed.
 */
#define EAS_SHM_TABLE_UPDATE_ROOM 192

bool eas_shm_table_update(struct eas_shm_table *store,
                          const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                          eas_shm_table_change *change, void *data);

#endif
