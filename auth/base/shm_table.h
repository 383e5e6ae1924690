/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_table.h - hash table of records in shared memory */

#ifndef EAS_AUTH_BASE_SHM_TABLE_H
#define EAS_AUTH_BASE_SHM_TABLE_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The layout has a version and no pointers: the table outlives a graceful restart, in which httpd
 * unloads and reloads the module.  A ring holds the records, newest last.  A record that is read
 * while it grows old moves to the new end, and the oldest is overwritten when there is no room.
 * Records that must not be lost need a table of their own that is large enough.
 *
 * Keys are keyed digests: uniform, and neither chosen nor read by an attacker.  The caller seals
 * secret values; a reader must trust a value no more than its seal.
 *
 * Safe for threads and processes: one that dies inside a call leaves a usable table.  All calls are
 * short.
 */
struct eas_shm_table;

#define EAS_SHM_TABLE_KEY_SIZE 32

/*
 * Makes an empty table of shared memory that is new: all zeros, aligned as malloc()'s; by one
 * process, before others attach.  A record takes 56 bytes and its value.  The index has a slot for
 * each 32 to 64 bytes, so that the ring runs full first.
 *
 * Records are anywhere in the index: its memory is taken here, in one call (madvise(2)) where Linux
 * is 5.14 or later.  Else each first use of a page takes it, in the storm of log-ons after a start.
 */
void eas_shm_table_format(void *memory, apr_size_t size);

/* The table in the memory, or NULL if there is none of this version and size. */
struct eas_shm_table *eas_shm_table_attach(void *memory, apr_size_t size);

/* Whether a value of that length has room.  A larger record could evict all others. */
bool eas_shm_table_takes(const struct eas_shm_table *table, apr_size_t len);

/*
 * Copies the value until expires; replaces the key's former one.  A value of at most
 * EAS_SHM_TABLE_UPDATE_MAX bytes is rewritten in place, so that the repetition of a key evicts no
 * other record.  False if the record takes more than a quarter of the ring.
 */
bool eas_shm_table_put(struct eas_shm_table *table, const unsigned char key[EAS_SHM_TABLE_KEY_SIZE],
                       const void *value, apr_size_t len, apr_time_t expires);

/* A number that stands for a key: keys are digests, and two of them hardly have the same. */
uint64_t eas_shm_table_hash(const unsigned char key[EAS_SHM_TABLE_KEY_SIZE]);

/*
 * Puts a new key in place of the one with that hash, whose value is lost.  So the new record evicts
 * no other while it fits.  As eas_shm_table_put() if no key has that hash, or if the new key has a
 * value.
 */
bool eas_shm_table_replace(struct eas_shm_table *table, uint64_t hash,
                           const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], const void *value,
                           apr_size_t len, apr_time_t expires);

/* A copy, in pool, of the key's value at time now; false if there is none. */
bool eas_shm_table_get(struct eas_shm_table *table, apr_pool_t *pool,
                       const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                       const unsigned char **value_out, apr_size_t *len_out);

/*
 * How many records were overwritten before they expired, for want of room, since the table was
 * made.
 */
uint64_t eas_shm_table_evicted(struct eas_shm_table *table);

/* How many records of memory are live: 0 if it is no table of this version. */
uint64_t eas_shm_table_count(void *memory, apr_time_t now);

void eas_shm_table_drop(struct eas_shm_table *table,
                        const unsigned char key[EAS_SHM_TABLE_KEY_SIZE]);

/* Longer values cannot be updated. */
#define EAS_SHM_TABLE_UPDATE_MAX 2048

/* A copy of a record's value, for a change to rewrite. */
struct eas_shm_table_value {
    apr_time_t expires;
    apr_size_t len; /* 0 if the key has no value at time now */
    unsigned char bytes[EAS_SHM_TABLE_UPDATE_MAX];
};

/* True to write *value back; false leaves the record as it was. */
typedef bool eas_shm_table_change(void *data, struct eas_shm_table_value *value);

/*
 * Reads, changes and writes back atomically among all threads and processes.  The change runs with
 * the table's mutex locked, so it must only compute.  A process that dies meanwhile leaves the old
 * value or the new one.
 *
 * A record is rewritten in place, so that many updates of one key evict no other record.  It has
 * room for EAS_SHM_TABLE_UPDATE_ROOM bytes at first; a longer value moves it, with twice the room.
 * False if the table is unusable or too small for the value; the record is then as it was.
 */
#define EAS_SHM_TABLE_UPDATE_ROOM 192

bool eas_shm_table_update(struct eas_shm_table *table,
                          const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                          eas_shm_table_change *change, void *data);

#endif
