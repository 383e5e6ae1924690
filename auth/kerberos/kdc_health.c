/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_health.c - addresses of KDCs, and which of them answer */

#include "auth/kerberos/kdc_health.h"

#include <pthread.h>
#include <string.h>

#define RECORDS 64
#define PATIENCE_MIN apr_time_from_msec(250)
#define PATIENCE_MAX apr_time_from_sec(1)
#define CHECK_EVERY apr_time_from_sec(4)

/* Round-trip times of a KDC differ widely: a log-on takes longer than a refusal. */
#define PATIENCE_FACTOR 8

struct record {
    char text[sizeof(((struct eas_kdc_address *)NULL)->text)];
    bool failed;
    apr_time_t check_at;      /* while failed */
    apr_interval_time_t took; /* smoothed; 0: no answer yet */
    unsigned used;            /* number of the last use */
};

static struct {
    pthread_mutex_t mutex;
    struct record records[RECORDS];
    unsigned uses;
} table = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* Under the mutex.  A new address takes the record of the one that was used the longest ago. */
static struct record *record_of(const struct eas_kdc_address *address)
{
    struct record *oldest = &table.records[0];
    unsigned i;

    for (i = 0; i < RECORDS; i++) {
        struct record *record = &table.records[i];

        if (strcmp(record->text, address->text) == 0) {
            record->used = ++table.uses;
            return record;
        }
        if (table.uses - record->used > table.uses - oldest->used) {
            oldest = record;
        }
    }
    memset(oldest, 0, sizeof(*oldest));
    memcpy(oldest->text, address->text, sizeof(oldest->text));
    oldest->used = ++table.uses;
    return oldest;
}

void eas_kdc_health_sort(struct eas_kdc_addresses *addresses)
{
    struct eas_kdc_addresses failed = { .count = 0 };
    unsigned i, healthy = 0;

    pthread_mutex_lock(&table.mutex);
    for (i = 0; i < addresses->count; i++) {
        if (record_of(&addresses->at[i])->failed) {
            failed.at[failed.count++] = addresses->at[i];
        }
        else {
            addresses->at[healthy++] = addresses->at[i];
        }
    }
    pthread_mutex_unlock(&table.mutex);
    memcpy(&addresses->at[healthy], failed.at, failed.count * sizeof(failed.at[0]));
}

void eas_kdc_health_answered(const struct eas_kdc_address *address, apr_interval_time_t took)
{
    struct record *record;

    pthread_mutex_lock(&table.mutex);
    record = record_of(address);
    record->failed = false;
    record->took = record->took == 0 ? took + 1 : (7 * record->took + took) / 8 + 1;
    pthread_mutex_unlock(&table.mutex);
}

void eas_kdc_health_failed(const struct eas_kdc_address *address, apr_time_t now)
{
    struct record *record;

    pthread_mutex_lock(&table.mutex);
    record = record_of(address);
    record->failed = true;
    record->check_at = now + CHECK_EVERY;
    pthread_mutex_unlock(&table.mutex);
}

apr_interval_time_t eas_kdc_health_patience(const struct eas_kdc_address *address)
{
    apr_interval_time_t patience;

    pthread_mutex_lock(&table.mutex);
    patience = PATIENCE_FACTOR * record_of(address)->took;
    pthread_mutex_unlock(&table.mutex);
    return patience == 0 || patience > PATIENCE_MAX ? PATIENCE_MAX
           : patience < PATIENCE_MIN                ? PATIENCE_MIN
                                                    : patience;
}

bool eas_kdc_health_is_due(const struct eas_kdc_address *address, apr_time_t now)
{
    struct record *record;
    bool due;

    pthread_mutex_lock(&table.mutex);
    record = record_of(address);
    due = record->failed && now >= record->check_at;
    if (due) {
        record->check_at = now + CHECK_EVERY;
    }
    pthread_mutex_unlock(&table.mutex);
    return due;
}
