/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_table.c - hash table of records in shared memory */

#include "auth/base/shm_table.h"
#include "auth/base/bytes.h"
#include "auth/base/shm_mutex.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_MAGIC 0x4541534b43443033u /* "EASKCD03": layout 3 */

/* The number of slots that a key may be in. */
#define PROBES 16

/* Records begin at multiples of this. */
#define ALIGN 8

/*
 * A position counts all bytes ever written before it; its offset in the ring is the remainder.  So
 * a record is not overwritten while head - position is no more than the ring's size.
 */

/*
 * A value that is being written over another.  The journal is complete before position is set, and
 * position is cleared after the value is in place.  The next owner of a dead process's mutex
 * replays it.
 */
struct journal {
    uint64_t position; /* the record's plus one; 0: the journal is empty */
    int64_t expires;
    uint64_t len;
    unsigned char bytes[EAS_SHM_TABLE_UPDATE_MAX];
};

struct eas_shm_table {
    uint64_t magic;
    uint64_t size;
    uint64_t n_slots; /* a power of two */
    uint64_t ring_size;
    uint64_t head;    /* position of the next record */
    uint64_t tail;    /* no record that begins before it remains */
    uint64_t evicted; /* records that were overwritten before they expired */
    pthread_mutex_t mutex;
    struct journal journal;
    uint64_t slots[]; /* positions plus one, or 0; the ring follows */
};

struct record {
    uint64_t position; /* its own; another value there means that the record is overwritten */
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

static void set_sizes(struct eas_shm_table *table, apr_size_t size)
{
    table->size = size;
    table->n_slots = PROBES;
    while (table->n_slots < size / 64) {
        table->n_slots *= 2;
    }
    table->ring_size =
        (size - sizeof(*table) - table->n_slots * sizeof(uint64_t)) & ~(uint64_t)(ALIGN - 1);
}

static void take_index(struct eas_shm_table *table)
{
#ifdef MADV_POPULATE_WRITE /* of Linux; an error leaves the memory to be taken as it is used */
    uintptr_t at = (uintptr_t)table & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);

    (void)madvise((void *)at, (uintptr_t)&table->slots[table->n_slots] - at, MADV_POPULATE_WRITE);
#endif
}

void eas_shm_table_format(void *memory, apr_size_t size)
{
    struct eas_shm_table *table = memory;

    set_sizes(table, size);
    take_index(table);
    if (eas_shm_mutex_init(&table->mutex)) {
        table->magic = TABLE_MAGIC; /* else no process attaches it */
    }
}

struct eas_shm_table *eas_shm_table_attach(void *memory, apr_size_t size)
{
    struct eas_shm_table *table = memory;

    return table->magic == TABLE_MAGIC && table->size == size ? table : NULL;
}

static struct record *record_at(const struct eas_shm_table *table, uint64_t position)
{
    unsigned char *ring = (unsigned char *)(table->slots + table->n_slots);

    return (struct record *)(ring + position % table->ring_size);
}

/* Completes an update that the journal holds. */
static void replay(struct eas_shm_table *table)
{
    struct journal *journal = &table->journal;

    if (journal->position != 0) {
        struct record *record = record_at(table, journal->position - 1);

        record->expires = journal->expires;
        record->len = (uint32_t)journal->len;
        memcpy(record->value, journal->bytes, journal->len);
        /* Orders the compiler only: another process reads when this one is dead or has unlocked. */
        atomic_signal_fence(memory_order_seq_cst);
        journal->position = 0;
    }
}

/*
 * A process that died with the mutex locked has left at worst reserved bytes in the ring without a
 * record, or a journal to replay: head moves before the record is written, and the slot is set
 * after.
 */
static bool lock(struct eas_shm_table *table)
{
    enum eas_shm_mutex_result result = eas_shm_mutex_lock(&table->mutex);

    if (result == EAS_SHM_MUTEX_ABANDONED) {
        replay(table);
    }
    return result != EAS_SHM_MUTEX_FAILED;
}

static void unlock(struct eas_shm_table *table)
{
    eas_shm_mutex_unlock(&table->mutex);
}

/* The record of a slot, or NULL if the slot is empty or its record is overwritten. */
static struct record *record_of(const struct eas_shm_table *table, uint64_t slot)
{
    struct record *record;

    if (slot == 0 || table->head - (slot - 1) > table->ring_size) {
        return NULL;
    }
    record = record_at(table, slot - 1);
    return record->position == slot - 1 ? record : NULL;
}

/* In the older half of the ring. */
static bool is_old(const struct eas_shm_table *table, const struct record *record)
{
    return table->head - record->position > table->ring_size / 2;
}

uint64_t eas_shm_table_hash(const unsigned char key[EAS_SHM_TABLE_KEY_SIZE])
{
    uint64_t hash;

    memcpy(&hash, key, sizeof(hash));
    return hash;
}

static uint64_t *slot_of(struct eas_shm_table *table, uint64_t hash, unsigned i)
{
    return &table->slots[(hash + i) & (table->n_slots - 1)];
}

/* The slot of the key, or of any key with the hash if it is NULL; or NULL. */
static uint64_t *find_hash(struct eas_shm_table *table, uint64_t hash, const unsigned char *key)
{
    unsigned i;

    for (i = 0; i < PROBES; i++) {
        uint64_t *slot = slot_of(table, hash, i);
        const struct record *record = record_of(table, *slot);

        if (record != NULL
            && (key != NULL ? memcmp(record->key, key, EAS_SHM_TABLE_KEY_SIZE) == 0
                            : eas_shm_table_hash(record->key) == hash)) {
            return slot;
        }
    }
    return NULL;
}

/* The key's slot, or NULL. */
static uint64_t *find(struct eas_shm_table *table, const unsigned char *key)
{
    return find_hash(table, eas_shm_table_hash(key), key);
}

/* A slot for a new key: one without a record, or else the one with the oldest. */
static uint64_t *choose_slot(struct eas_shm_table *table, const unsigned char *key)
{
    uint64_t hash = eas_shm_table_hash(key), *oldest = slot_of(table, hash, 0);
    unsigned i;

    for (i = 0; i < PROBES; i++) {
        uint64_t *slot = slot_of(table, hash, i);

        if (record_of(table, *slot) == NULL) {
            return slot;
        }
        if (*slot < *oldest) {
            oldest = slot;
        }
    }
    table->evicted += record_of(table, *oldest)->expires > apr_time_now();
    return oldest;
}

static bool is_in_force(struct eas_shm_table *table, const struct record *record)
{
    const uint64_t *slot = find(table, record->key);

    return record->expires > apr_time_now() && slot != NULL && *slot == record->position + 1;
}

/* Counts the records that a move of the head overwrites, except for the key's own. */
static void count_evicted(struct eas_shm_table *table, uint64_t head, const unsigned char *key)
{
    while (table->tail + table->ring_size < head) {
        const struct record *record = record_at(table, table->tail);
        uint64_t left = table->ring_size - table->tail % table->ring_size;

        if (left < sizeof(*record) || record->position != table->tail) {
            table->tail += ALIGN; /* the end of the ring, or a process died here */
            continue;
        }
        table->evicted +=
            is_in_force(table, record) && memcmp(record->key, key, EAS_SHM_TABLE_KEY_SIZE) != 0;
        table->tail += aligned(sizeof(*record) + record->room);
    }
}

/* Reserves contiguous bytes at the head. */
static uint64_t reserve(struct eas_shm_table *table, uint64_t bytes, const unsigned char *key)
{
    uint64_t offset = table->head % table->ring_size, position = table->head;

    if (offset + bytes > table->ring_size) {
        position += table->ring_size - offset;
    }
    count_evicted(table, position + bytes, key);
    table->head = position + bytes;
    return position;
}

static void append(struct eas_shm_table *table, uint64_t *slot, const unsigned char *key,
                   struct eas_bytes value, apr_size_t room, apr_time_t expires)
{
    uint64_t position = reserve(table, aligned(sizeof(struct record) + room), key);
    struct record *record = record_at(table, position);

    record->position = position;
    record->expires = expires;
    record->len = (uint32_t)value.len;
    record->room = (uint32_t)room;
    memcpy(record->key, key, EAS_SHM_TABLE_KEY_SIZE);
    memcpy(record->value, value.at, value.len);
    atomic_signal_fence(memory_order_seq_cst);
    *slot = position + 1;
}

bool eas_shm_table_takes(const struct eas_shm_table *table, apr_size_t room)
{
    uint64_t limit = table->ring_size / 4;

    return limit >= sizeof(struct record) && room <= limit - sizeof(struct record);
}

/* Writes through the journal, so that a process that dies leaves no partial value. */
static void overwrite(struct eas_shm_table *table, struct record *record, struct eas_bytes value,
                      apr_time_t expires)
{
    struct journal *journal = &table->journal;

    journal->expires = expires;
    journal->len = value.len;
    memcpy(journal->bytes, value.at, value.len);
    atomic_signal_fence(memory_order_seq_cst);
    journal->position = record->position + 1;
    atomic_signal_fence(memory_order_seq_cst);
    replay(table);
}

/* In place if the key's record has room and is not old; else at the head, with that room. */
static void write_value(struct eas_shm_table *table, const unsigned char *key,
                        struct eas_bytes value, apr_size_t room, apr_time_t expires)
{
    uint64_t *slot = find(table, key);
    struct record *record = slot != NULL ? record_of(table, *slot) : NULL;

    if (record != NULL && value.len <= record->room && value.len <= EAS_SHM_TABLE_UPDATE_MAX
        && !is_old(table, record)) {
        overwrite(table, record, value, expires);
        return;
    }
    append(table, slot != NULL ? slot : choose_slot(table, key), key, value,
           record != NULL && record->room > room ? record->room : room, expires);
}

bool eas_shm_table_put(struct eas_shm_table *table, const unsigned char key[EAS_SHM_TABLE_KEY_SIZE],
                       const void *value, apr_size_t len, apr_time_t expires)
{
    if (!eas_shm_table_takes(table, len) || !lock(table)) {
        return false;
    }
    write_value(table, key, eas_bytes_make(value, len), len, expires);
    unlock(table);
    return true;
}

/*
 * Gives the place of a record to another key.  No slot leads to the record while it is written, so
 * a process that dies meanwhile loses both, and leaves no mixture.
 */
static void take_place(struct eas_shm_table *table, struct record *record, const unsigned char *key,
                       struct eas_bytes value, apr_time_t expires)
{
    uint64_t *slot;

    record->expires = expires;
    record->len = (uint32_t)value.len;
    memcpy(record->key, key, EAS_SHM_TABLE_KEY_SIZE);
    memcpy(record->value, value.at, value.len);
    slot = choose_slot(table, key);
    atomic_signal_fence(memory_order_seq_cst);
    *slot = record->position + 1;
}

bool eas_shm_table_replace(struct eas_shm_table *table, uint64_t hash,
                           const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], const void *value,
                           apr_size_t len, apr_time_t expires)
{
    struct record *record = NULL;
    uint64_t *slot;

    if (!eas_shm_table_takes(table, len) || !lock(table)) {
        return false;
    }
    slot = find(table, key) == NULL ? find_hash(table, hash, NULL) : NULL;
    if (slot != NULL) {
        record = record_of(table, *slot);
        *slot = 0;
        atomic_signal_fence(memory_order_seq_cst);
    }
    if (record != NULL && len <= record->room && !is_old(table, record)) {
        take_place(table, record, key, eas_bytes_make(value, len), expires);
    }
    else {
        write_value(table, key, eas_bytes_make(value, len),
                    record != NULL && record->room > len ? record->room : len, expires);
    }
    unlock(table);
    return true;
}

/* The key's slot, or NULL; empties it if the record has expired. */
static uint64_t *find_live(struct eas_shm_table *table, const unsigned char *key, apr_time_t now)
{
    uint64_t *slot = find(table, key);

    if (slot != NULL && record_of(table, *slot)->expires <= now) {
        *slot = 0;
        slot = NULL;
    }
    return slot;
}

bool eas_shm_table_get(struct eas_shm_table *table, apr_pool_t *pool,
                       const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                       const unsigned char **value_out, apr_size_t *len_out)
{
    const struct record *record = NULL;
    unsigned char *value;
    uint64_t *slot;

    if (!lock(table)) {
        return false;
    }
    slot = find_live(table, key, now);
    if (slot != NULL) {
        record = record_of(table, *slot);
        *len_out = record->len;
        *value_out = value = apr_palloc(pool, record->len + 1);
        memcpy(value, record->value, record->len);
        if (is_old(table, record)) {
            append(table, slot, key, eas_bytes_make(value, *len_out), record->room,
                   record->expires);
        }
    }
    unlock(table);
    return record != NULL;
}

uint64_t eas_shm_table_evicted(struct eas_shm_table *table)
{
    uint64_t evicted = 0;

    if (lock(table)) {
        evicted = table->evicted;
        unlock(table);
    }
    return evicted;
}

uint64_t eas_shm_table_count(void *memory, apr_time_t now)
{
    struct eas_shm_table *table = memory;
    uint64_t i, count = 0;

    if (table->magic == TABLE_MAGIC && lock(table)) {
        for (i = 0; i < table->n_slots; i++) {
            const struct record *record = record_of(table, table->slots[i]);

            count += record != NULL && record->expires > now;
        }
        unlock(table);
    }
    return count;
}

void eas_shm_table_drop(struct eas_shm_table *table,
                        const unsigned char key[EAS_SHM_TABLE_KEY_SIZE])
{
    uint64_t *slot;

    if (lock(table)) {
        slot = find(table, key);
        if (slot != NULL) {
            *slot = 0;
        }
        unlock(table);
    }
}

/* False if the table is too small for it. */
static bool write_back(struct eas_shm_table *table, const unsigned char *key,
                       const struct eas_shm_table_value *value)
{
    apr_size_t room = EAS_SHM_TABLE_UPDATE_ROOM;

    while (room < value->len) {
        room *= 2;
    }
    if (!eas_shm_table_takes(table, room)) {
        return false;
    }
    write_value(table, key, eas_bytes_make(value->bytes, value->len), room, value->expires);
    return true;
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

bool eas_shm_table_update(struct eas_shm_table *table,
                          const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now,
                          eas_shm_table_change *change, void *data)
{
    struct eas_shm_table_value value;
    const struct record *record;
    bool kept = true;
    uint64_t *slot;

    if (!lock(table)) {
        return false;
    }
    slot = find_live(table, key, now);
    record = slot != NULL ? record_of(table, *slot) : NULL;
    copy_value(record, &value);
    /* Without a change, a read moves an old record to the new end. */
    if (change(data, &value)
        || (record != NULL && is_old(table, record) && copy_value(record, &value))) {
        kept = write_back(table, key, &value);
    }
    unlock(table);
    return kept;
}
