/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_table.c - hash table of records in shared memory */

#include "auth/base/shm_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define STORE_MAGIC 0x4541534b43443032u /* "EASKCD02": layout 2 */

/* How many places a key may have in the index. */
#define PROBES 16

/* How long to wait for a call before looking whether the mutex is free: 20 ms. */
#define LOCK_NAP_NS 20000000

/* Records begin at multiples of this. */
#define ALIGN 8

/*
 * Positions count the bytes ever written; a position's place in the ring is its remainder.  So a
 * record is still there as long as head - position is no more than the ring.
 */
/*
 * A value that is being written over another.  Complete before position is set, and cleared after the
 * value is in place: whoever finds the mutex of a dead process finishes its work.
 */
struct journal {
    uint64_t position; /* the record's plus one; 0: nothing is being written */
    int64_t expires;
    uint64_t len;
    unsigned char bytes[EAS_SHM_TABLE_UPDATE_MAX];
};

struct eas_shm_table {
    uint64_t magic;
    uint64_t size;
    uint64_t n_slots; /* a power of two */
    uint64_t ring_size;
    uint64_t head; /* position of the next record */
    pthread_mutex_t mutex;
    struct journal journal;
    uint64_t slots[]; /* positions plus one, 0 for none; the ring follows */
};

struct record {
    uint64_t position; /* its own, which tells it from what may have been written over it */
    int64_t expires;
    uint32_t len;
    uint32_t room; /* for the value */
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    unsigned char value[];
};

static uint64_t aligned(uint64_t n)
{
    return (n + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static void divide(struct eas_shm_table *store, apr_size_t size)
{
    store->n_slots = PROBES;
    while (store->n_slots < size / 64) {
        store->n_slots *= 2;
    }
    store->ring_size =
        (size - sizeof(*store) - store->n_slots * sizeof(uint64_t)) & ~(uint64_t)(ALIGN - 1);
}

void eas_shm_table_format(void *memory, apr_size_t size)
{
    struct eas_shm_table *store = memory;
    pthread_mutexattr_t attr;

    memset(store, 0, sizeof(*store));
    store->size = size;
    divide(store, size);
    memset(store->slots, 0, store->n_slots * sizeof(uint64_t));
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&store->mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    store->magic = STORE_MAGIC;
}

struct eas_shm_table *eas_shm_table_attach(void *memory, apr_size_t size)
{
    struct eas_shm_table *store = memory;

    return store->magic == STORE_MAGIC && store->size == size ? store : NULL;
}

static struct record *place(const struct eas_shm_table *store, uint64_t position)
{
    unsigned char *ring = (unsigned char *)(store->slots + store->n_slots);

    return (struct record *)(ring + position % store->ring_size);
}

/* Writes what the journal holds, if it holds anything. */
static void replay(struct eas_shm_table *store)
{
    struct journal *journal = &store->journal;

    if (journal->position != 0) {
        struct record *record = place(store, journal->position - 1);

        record->expires = journal->expires;
        record->len = (uint32_t)journal->len;
        memcpy(record->value, journal->bytes, journal->len);
        /* For the compiler only: another process reads after this one is dead, or has the mutex. */
        atomic_signal_fence(memory_order_seq_cst);
        journal->position = 0;
    }
}

/*
 * A process that died inside has left at worst a reserved place in the ring without a record: the
 * head moves before the record is written, and the slot is set after that; or a journal to replay.
 *
 * One that dies after it has let go of the mutex and before it has woken the next takes that call
 * along, if another has got hold of the mutex meanwhile (the kernel makes up for it only if nobody
 * has).  Those who wait would then sleep until others happen to wait behind them; so they look for
 * themselves now and then.
 */
static bool lock(struct eas_shm_table *store)
{
    int rv = pthread_mutex_trylock(&store->mutex);

    while (rv == EBUSY || rv == ETIMEDOUT) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOCK_NAP_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        rv = pthread_mutex_timedlock(&store->mutex, &until);
    }
    if (rv == EOWNERDEAD) {
        rv = pthread_mutex_consistent(&store->mutex);
        replay(store);
    }
    return rv == 0;
}

static void unlock(struct eas_shm_table *store)
{
    pthread_mutex_unlock(&store->mutex);
}

/* The record that a slot names, or NULL if it is empty or has been overwritten. */
static struct record *record_of(const struct eas_shm_table *store, uint64_t slot)
{
    struct record *record;

    if (slot == 0 || store->head - (slot - 1) > store->ring_size) {
        return NULL;
    }
    record = place(store, slot - 1);
    return record->position == slot - 1 ? record : NULL;
}

static uint64_t *slot_at(struct eas_shm_table *store, const unsigned char *key, unsigned i)
{
    uint64_t hash;

    memcpy(&hash, key, sizeof(hash));
    return &store->slots[(hash + i) & (store->n_slots - 1)];
}

/* The key's slot, or NULL. */
static uint64_t *find(struct eas_shm_table *store, const unsigned char *key)
{
    unsigned i;

    for (i = 0; i < PROBES; i++) {
        uint64_t *slot = slot_at(store, key, i);
        const struct record *record = record_of(store, *slot);

        if (record != NULL && memcmp(record->key, key, EAS_SHM_TABLE_KEY_SIZE) == 0) {
            return slot;
        }
    }
    return NULL;
}

/* A slot for a new key: one that names nothing, else the one whose record is the oldest. */
static uint64_t *choose_slot(struct eas_shm_table *store, const unsigned char *key)
{
    uint64_t *oldest = slot_at(store, key, 0);
    unsigned i;

    for (i = 0; i < PROBES; i++) {
        uint64_t *slot = slot_at(store, key, i);

        if (record_of(store, *slot) == NULL) {
            return slot;
        }
        if (*slot < *oldest) {
            oldest = slot;
        }
    }
    return oldest;
}

/* Reserves room in one piece at the head. */
static uint64_t reserve(struct eas_shm_table *store, uint64_t bytes)
{
    uint64_t offset = store->head % store->ring_size, position;

    if (offset + bytes > store->ring_size) {
        store->head += store->ring_size - offset;
    }
    position = store->head;
    store->head += bytes;
    return position;
}

static void append(struct eas_shm_table *store, uint64_t *slot, const unsigned char *key,
                   const void *value, apr_size_t len, apr_size_t room, apr_time_t expires)
{
    uint64_t position = reserve(store, aligned(sizeof(struct record) + room));
    struct record *record = place(store, position);

    record->position = position;
    record->expires = expires;
    record->len = (uint32_t)len;
    record->room = (uint32_t)room;
    memcpy(record->key, key, EAS_SHM_TABLE_KEY_SIZE);
    memcpy(record->value, value, len);
    atomic_signal_fence(memory_order_seq_cst);
    *slot = position + 1;
}

bool eas_shm_table_put(struct eas_shm_table *store, const unsigned char key[EAS_SHM_TABLE_KEY_SIZE],
                       const void *value, apr_size_t len, apr_time_t expires)
{
    uint64_t *slot;

    /* A record of a quarter of the ring could push out all others. */
    if (len > store->ring_size / 4 || !lock(store)) {
        return false;
    }
    slot = find(store, key);
    append(store, slot != NULL ? slot : choose_slot(store, key), key, value, len, len, expires);
    unlock(store);
    return true;
}

/* The key's slot, or NULL; one whose record has expired is emptied. */
static uint64_t *find_live(struct eas_shm_table *store, const unsigned char *key, apr_time_t now)
{
    uint64_t *slot = find(store, key);

    if (slot != NULL && record_of(store, *slot)->expires <= now) {
        *slot = 0;
        slot = NULL;
    }
    return slot;
}

bool eas_shm_table_get(struct eas_shm_table *store, apr_pool_t *pool,
                       const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                       const unsigned char **value_out, apr_size_t *len_out)
{
    const struct record *record = NULL;
    unsigned char *value;
    uint64_t *slot;

    if (!lock(store)) {
        return false;
    }
    slot = find_live(store, key, now);
    if (slot != NULL) {
        record = record_of(store, *slot);
        *len_out = record->len;
        *value_out = value = apr_palloc(pool, record->len + 1);
        memcpy(value, record->value, record->len);
        if (store->head - record->position > store->ring_size / 2) {
            append(store, slot, key, value, *len_out, record->room, record->expires);
        }
    }
    unlock(store);
    return record != NULL;
}

void eas_shm_table_drop(struct eas_shm_table *store,
                        const unsigned char key[EAS_SHM_TABLE_KEY_SIZE])
{
    uint64_t *slot;

    if (lock(store)) {
        slot = find(store, key);
        if (slot != NULL) {
            *slot = 0;
        }
        unlock(store);
    }
}

/* Through the journal, so that no death leaves half of it. */
static void overwrite(struct eas_shm_table *store, struct record *record,
                      const struct eas_shm_table_value *value)
{
    struct journal *journal = &store->journal;

    journal->expires = value->expires;
    journal->len = value->len;
    memcpy(journal->bytes, value->bytes, value->len);
    atomic_signal_fence(memory_order_seq_cst);
    journal->position = record->position + 1;
    atomic_signal_fence(memory_order_seq_cst);
    replay(store);
}

static void write_back(struct eas_shm_table *store, uint64_t *slot, const unsigned char *key,
                       const struct eas_shm_table_value *value)
{
    struct record *record = slot != NULL ? record_of(store, *slot) : NULL;
    apr_size_t room = record != NULL ? record->room : EAS_SHM_TABLE_UPDATE_ROOM;

    if (record != NULL && value->len <= room
        && store->head - record->position <= store->ring_size / 2) {
        overwrite(store, record, value);
        return;
    }
    while (room < value->len) {
        room = room > 0 ? 2 * room : EAS_SHM_TABLE_UPDATE_ROOM;
    }
    append(store, slot != NULL ? slot : choose_slot(store, key), key, value->bytes, value->len,
           room, value->expires);
}

static bool copy_value(const struct record *record, struct eas_shm_table_value *value)
{
    if (record == NULL || record->len > EAS_SHM_TABLE_UPDATE_MAX) {
        value->expires = 0;
        value->len = 0;
        return false;
    }
    value->expires = record->expires;
    value->len = record->len;
    memcpy(value->bytes, record->value, record->len);
    return true;
}

bool eas_shm_table_update(struct eas_shm_table *store,
                          const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                          eas_shm_table_change *change, void *data)
{
    struct eas_shm_table_value value;
    const struct record *record;
    uint64_t *slot;

    if (!lock(store)) {
        return false;
    }
    slot = find_live(store, key, now);
    record = slot != NULL ? record_of(store, *slot) : NULL;
    copy_value(record, &value);
    if (change(data, &value)) {
        write_back(store, slot, key, &value);
    }
    /* What is looked at while it grows old stays. */
    else if (record != NULL && store->head - record->position > store->ring_size / 2
             && copy_value(record, &value)) {
        write_back(store, slot, key, &value);
    }
    unlock(store);
    return true;
}
