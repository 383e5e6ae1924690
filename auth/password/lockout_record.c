/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/lockout_record.c - lockout record of a user, as the lockout table stores it */

#include "auth/password/lockout_record.h"

#include <string.h>

#define VERSION 2

/* Of times and durations in a record. */
#define TIME_MAX (INT64_MAX / 4)

_Static_assert(sizeof(struct eas_lockout_record) <= EAS_SHM_TABLE_UPDATE_MAX,
               "a record fits an update");
_Static_assert(sizeof(struct eas_lockout_header) == 88 && sizeof(struct eas_lockout_pending) == 64
                   && sizeof(struct eas_lockout_refused) == 64,
               "VERSION stands for these sizes");

/* Whether the bytes are a record of this version, with the length that its counts stand for. */
static bool read_header(const struct eas_shm_table_value *value, struct eas_lockout_header *h)
{
    if (value->len < sizeof(*h)) {
        return false;
    }
    memcpy(h, value->bytes, sizeof(*h));
    return h->version == VERSION && h->n_pending <= EAS_LOCKOUT_RECORD_MAX_PENDING
           && h->n_refused <= EAS_LOCKOUT_RECORD_MAX_REFUSED
           && value->len
                  == sizeof(*h) + h->n_pending * sizeof(struct eas_lockout_pending)
                         + h->n_refused * sizeof(struct eas_lockout_refused);
}

/* A time of a clock, or a duration of a directive. */
static bool is_time(int64_t time)
{
    return time >= 0 && time <= TIME_MAX;
}

/* Whether the values may be those of a record: no sum or difference of them overflows. */
static bool is_sound(const struct eas_lockout_record *record)
{
    unsigned i;

    for (i = 0; i < record->h.n_pending; i++) {
        if (!is_time(record->pending[i].since)
            || record->pending[i].failed_before > record->h.failed) {
            return false;
        }
    }
    for (i = 0; i < record->h.n_refused; i++) {
        if (!is_time(record->refused[i].at) || !is_time(record->refused[i].lasts)) {
            return false;
        }
    }
    return is_time(record->h.last) && is_time(record->h.window)
           && record->h.forgiven <= record->h.failed;
}

static bool read_record(const struct eas_shm_table_value *value, struct eas_lockout_record *record)
{
    const unsigned char *p = value->bytes + sizeof(struct eas_lockout_header);
    struct eas_lockout_header h;
    apr_size_t n;

    if (!read_header(value, &h)) {
        return false;
    }
    record->h = h;
    n = h.n_pending * sizeof(struct eas_lockout_pending);
    memcpy(record->pending, p, n);
    memcpy(record->refused, p + n, h.n_refused * sizeof(struct eas_lockout_refused));
    return is_sound(record);
}

void eas_lockout_record_unpack(const struct eas_shm_table_value *value, apr_time_t now,
                               struct eas_lockout_record *record)
{
    memset(record, 0, sizeof(*record));
    if (!read_record(value, record)) {
        memset(record, 0, sizeof(*record));
        record->h.version = VERSION;
        record->h.next_id = (uint64_t)now + 1;
    }
}

void eas_lockout_record_pack(const struct eas_lockout_record *record, apr_time_t until,
                             struct eas_shm_table_value *value)
{
    apr_size_t pending = record->h.n_pending * sizeof(struct eas_lockout_pending);
    apr_size_t refused = record->h.n_refused * sizeof(struct eas_lockout_refused);
    unsigned i;

    memcpy(value->bytes, &record->h, sizeof(record->h));
    memcpy(value->bytes + sizeof(record->h), record->pending, pending);
    memcpy(value->bytes + sizeof(record->h) + pending, record->refused, refused);
    value->len = sizeof(record->h) + pending + refused;
    value->expires = until;
    for (i = 0; i < record->h.n_refused; i++) {
        const struct eas_lockout_refused *entry = &record->refused[i];

        if (entry->at + entry->lasts > value->expires) {
            value->expires = entry->at + entry->lasts;
        }
    }
}
