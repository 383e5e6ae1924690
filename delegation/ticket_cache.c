/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/ticket_cache.c - cache of service tickets, and of the KDC's refusals to issue them */

#include "delegation/ticket_cache.h"
#include "auth/base/counters.h"
#include "auth/base/lru.h"
#include "auth/base/secret.h"
#include "delegation/kerberos/token.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* For this long a ticket that replaced a refused one is not replaced again. */
#define REPLACED_STAYS apr_time_from_sec(60)

/* For this long the KDC's refusal to delegate is not asked for again. */
#define REFUSAL_STAYS apr_time_from_sec(10)

/* Seconds between renewals: a renewed ticket may end no later than the old one. */
#define RENEWAL_INTERVAL 30

struct eas_ticket_cache {
    struct eas_lru *lru; /* of struct entry */
    const struct eas_shared_cache *shared_cache;
};

/* Immutable except for the counters. */
struct entry {
    _Atomic unsigned refs;
    _Atomic apr_uint32_t renewed_at; /* seconds: its arrival or its last renewal */
    struct eas_ticket *ticket;       /* NULL for a refusal */
    apr_time_t replaced_at;          /* it replaced a refused ticket then; 0: it did not */
    struct eas_err refusal[];        /* one, without a ticket */
};

static void entry_retain(void *value)
{
    atomic_fetch_add(&((struct entry *)value)->refs, 1);
}

static void entry_release(void *value)
{
    struct entry *entry = value;

    if (atomic_fetch_sub(&entry->refs, 1) == 1) {
        eas_ticket_unref(entry->ticket);
        free(entry);
    }
}

struct eas_ticket_cache *eas_ticket_cache_create(apr_pool_t *pool, apr_size_t max_bytes,
                                                 const struct eas_shared_cache *shared_cache)
{
    static const struct eas_lru_ops ops = { entry_retain, entry_release };
    struct eas_ticket_cache *cache = apr_palloc(pool, sizeof(*cache));

    cache->lru = eas_lru_create(pool, max_bytes, ops);
    cache->shared_cache = shared_cache;
    return cache;
}

static apr_uint32_t seconds_of(apr_time_t time)
{
    return (apr_uint32_t)apr_time_sec(time);
}

/* Of two callers at the same time, one gets true. */
static bool begin_renewal(struct entry *entry, apr_time_t renewable_until, apr_time_t now)
{
    apr_uint32_t last = atomic_load(&entry->renewed_at), seconds = seconds_of(now);

    return now >= eas_ticket_renew_at(entry->ticket)
           && renewable_until > eas_ticket_end(entry->ticket) && seconds - last >= RENEWAL_INTERVAL
           && atomic_compare_exchange_strong(&entry->renewed_at, &last, seconds);
}

enum eas_ticket_cache_state eas_ticket_cache_find(struct eas_ticket_cache *cache,
                                                  const struct eas_ticket_cache_query *query,
                                                  apr_time_t now, struct eas_ticket **ticket_out,
                                                  struct eas_err *err)
{
    struct entry *entry = eas_lru_get(cache->lru, query->key.at, query->key.len, now);
    enum eas_ticket_cache_state state = EAS_TICKET_CACHE_NOTHING;

    *ticket_out = NULL;
    if (entry == NULL) {
        return EAS_TICKET_CACHE_NOTHING;
    }
    if (entry->ticket == NULL) {
        *err = entry->refusal[0];
        state = EAS_TICKET_CACHE_REFUSED;
    }
    else if (query->refused == NULL || !eas_ticket_same(entry->ticket, query->refused)) {
        *ticket_out = eas_ticket_ref(entry->ticket);
        state = begin_renewal(entry, query->renewable_until, now) ? EAS_TICKET_CACHE_RENEWAL_DUE
                                                                  : EAS_TICKET_CACHE_HIT;
    }
    else if (now >= entry->replaced_at && entry->replaced_at > now - REPLACED_STAYS) {
        eas_fail(err, EAS_BACKEND, 2110,
                 "the backend does not accept the ticket for %s, which has just been renewed",
                 query->spn);
        state = EAS_TICKET_CACHE_REFUSED;
    }
    entry_release(entry);
    return state;
}

/* NULL without memory: nothing is stored then, which only costs another exchange with the KDC. */
static struct entry *make_entry(const struct eas_err *refusal, apr_time_t now)
{
    struct entry *entry = calloc(1, sizeof(*entry) + (refusal != NULL ? sizeof(*refusal) : 0));

    if (entry != NULL) {
        atomic_init(&entry->refs, 1);
        atomic_init(&entry->renewed_at, seconds_of(now));
        if (refusal != NULL) {
            entry->refusal[0] = *refusal;
        }
    }
    return entry;
}

static void put_local(struct eas_ticket_cache *cache, struct eas_bytes key,
                      struct eas_ticket *ticket, apr_time_t replaced_at, apr_time_t now)
{
    struct entry *entry = make_entry(NULL, now);

    if (entry != NULL) {
        entry->ticket = eas_ticket_ref(ticket);
        entry->replaced_at = replaced_at;
        eas_lru_put(cache->lru, key.at, key.len, entry,
                    sizeof(*entry) + eas_ticket_size(ticket) + eas_token_form_max(ticket)
                        + (apr_size_t)EAS_TICKET_KEYS * EAS_TICKET_KEY_SIZE,
                    eas_ticket_stale_at(ticket));
        eas_counters_set(EAS_GAUGE_CACHED_TICKETS, (int64_t)eas_lru_count(cache->lru));
        entry_release(entry);
    }
}

/* A record is replaced_at, then the ticket. */
static void put_shared(struct eas_ticket_cache *cache, apr_pool_t *scratch, struct eas_bytes key,
                       struct eas_ticket *ticket, apr_time_t replaced_at)
{
    const unsigned char *bytes;
    struct eas_secret *record;
    struct eas_err ignored;
    apr_size_t len;

    if (eas_ticket_marshal(ticket, scratch, &bytes, &len, &ignored) == EAS_OK) {
        record = eas_secret_room(scratch, sizeof(replaced_at) + len);
        memcpy(record->bytes, &replaced_at, sizeof(replaced_at));
        memcpy(record->bytes + sizeof(replaced_at), bytes, len);
        cache->shared_cache->put(cache->shared_cache, scratch, key,
                                 eas_bytes_make(record->bytes, record->len),
                                 eas_ticket_stale_at(ticket));
    }
}

void eas_ticket_cache_put(struct eas_ticket_cache *cache, apr_pool_t *scratch, struct eas_bytes key,
                          struct eas_ticket *ticket, bool replaced, apr_time_t now)
{
    apr_time_t replaced_at = replaced ? now : 0;

    put_local(cache, key, ticket, replaced_at, now);
    put_shared(cache, scratch, key, ticket, replaced_at);
}

void eas_ticket_cache_put_refusal(struct eas_ticket_cache *cache, struct eas_bytes key,
                                  const struct eas_err *err, apr_time_t now)
{
    struct entry *entry = make_entry(err, now);

    if (entry != NULL) {
        eas_lru_put(cache->lru, key.at, key.len, entry, sizeof(*entry) + sizeof(*err),
                    now + REFUSAL_STAYS);
        entry_release(entry);
    }
}

bool eas_ticket_cache_load(struct eas_ticket_cache *cache, apr_pool_t *scratch,
                           struct eas_bytes key, enum eas_shared_cache_reach reach,
                           apr_time_t ends_after, apr_time_t now)
{
    struct eas_bytes value;
    struct eas_ticket *ticket;
    apr_time_t replaced_at, expires;
    bool usable;

    if (!cache->shared_cache->find(cache->shared_cache, scratch, key, reach, &value, &expires)
        || value.len < sizeof(replaced_at)) {
        return false;
    }
    memcpy(&replaced_at, value.at, sizeof(replaced_at));
    ticket = eas_ticket_unmarshal(value.at + sizeof(replaced_at), value.len - sizeof(replaced_at));
    usable = ticket != NULL && eas_ticket_end(ticket) > ends_after;
    if (usable) {
        put_local(cache, key, ticket, replaced_at, now);
    }
    eas_ticket_unref(ticket);
    return usable;
}
