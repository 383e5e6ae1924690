/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/slots.c - slots for backend connections, each leased to one exchange at a time */

#include "delegation/proxy/slots.h"
#include "auth/base/clock.h"
#include "auth/base/counters.h"
#include "auth/base/fnv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Lists of idle slots.  More slots than that share them. */
#define LISTS_MAX 65536

APR_RING_HEAD(slot_ring, eas_slot);

struct eas_slots {
    pthread_mutex_t mutex; /* for all that follows, and for slots that are not leased */
    pthread_cond_t put;    /* a slot has been put back */
    apr_pool_t *pool;
    struct eas_slot **idle_of; /* by the hash of the owner; the last used one first */
    unsigned n_lists;          /* of idle_of; a power of two */
    struct slot_ring idle;     /* by age */
    struct slot_ring empty;
    unsigned n_idle;
    unsigned n_used; /* idle or leased */
    unsigned max;
};

static apr_status_t destroy(void *data)
{
    struct eas_slots *slots = data;

    pthread_cond_destroy(&slots->put);
    pthread_mutex_destroy(&slots->mutex);
    return APR_SUCCESS;
}

struct eas_slots *eas_slots_create(apr_pool_t *pool, unsigned max)
{
    struct eas_slots *slots = apr_pcalloc(pool, sizeof(*slots));

    /* Others allocate from that pool under locks of their own. */
    apr_pool_create(&slots->pool, pool);
    slots->max = max;
    for (slots->n_lists = 1; slots->n_lists < max && slots->n_lists < LISTS_MAX;) {
        slots->n_lists *= 2;
    }
    slots->idle_of = apr_pcalloc(slots->pool, slots->n_lists * sizeof(struct eas_slot *));
    APR_RING_INIT(&slots->idle, eas_slot, link);
    APR_RING_INIT(&slots->empty, eas_slot, link);
    pthread_mutex_init(&slots->mutex, NULL);
    eas_clock_init_cond(&slots->put);
    apr_pool_cleanup_register(pool, slots, destroy, apr_pool_cleanup_null);
    return slots;
}

/* --- under the mutex -------------------------------------------------------------------------- */

static struct eas_slot **list_of(const struct eas_slots *slots, unsigned hash)
{
    return &slots->idle_of[hash & (slots->n_lists - 1)];
}

static void add_idle(struct eas_slots *slots, struct eas_slot *slot)
{
    slot->ref = list_of(slots, slot->hash);
    slot->next = *slot->ref;
    if (slot->next != NULL) {
        slot->next->ref = &slot->next;
    }
    *slot->ref = slot;
    APR_RING_INSERT_TAIL(&slots->idle, slot, eas_slot, link);
    slots->n_idle++;
    eas_counters_adjust(EAS_GAUGE_CONNECTIONS_KEPT, 1);
}

static void remove_idle(struct eas_slots *slots, struct eas_slot *slot)
{
    *slot->ref = slot->next;
    if (slot->next != NULL) {
        slot->next->ref = slot->ref;
    }
    APR_RING_REMOVE(slot, link);
    slots->n_idle--;
    eas_counters_adjust(EAS_GAUGE_CONNECTIONS_KEPT, -1);
}

/* An empty slot, or a new one. */
static struct eas_slot *take_empty(struct eas_slots *slots)
{
    struct eas_slot *slot;

    if (slots->n_used >= slots->max) {
        return NULL;
    }
    slots->n_used++;
    if (APR_RING_EMPTY(&slots->empty, eas_slot, link)) {
        return apr_pcalloc(slots->pool, sizeof(struct eas_slot));
    }
    slot = APR_RING_FIRST(&slots->empty);
    APR_RING_REMOVE(slot, link);
    return slot;
}

static struct eas_slot *take_oldest(struct eas_slots *slots)
{
    struct eas_slot *slot;

    if (APR_RING_EMPTY(&slots->idle, eas_slot, link)) {
        return NULL;
    }
    slot = APR_RING_FIRST(&slots->idle);
    remove_idle(slots, slot);
    return slot;
}

/* To close one that is set aside makes no room. */
static struct eas_slot *take_oldest_that_counts(struct eas_slots *slots)
{
    struct eas_slot *slot = APR_RING_FIRST(&slots->idle);

    while (slot != APR_RING_SENTINEL(&slots->idle, eas_slot, link) && slot->aside) {
        slot = APR_RING_NEXT(slot, link);
    }
    if (slot == APR_RING_SENTINEL(&slots->idle, eas_slot, link)) {
        return NULL;
    }
    remove_idle(slots, slot);
    return slot;
}

static void count(struct eas_slots *slots, struct eas_slot *slot)
{
    slots->max -= slot->aside;
    slot->aside = false;
}

static struct eas_slot *take(struct eas_slots *slots, const char *owner, unsigned hash)
{
    struct eas_slot *slot = *list_of(slots, hash);

    while (slot != NULL && (slot->hash != hash || strcmp(slot->owner, owner) != 0)) {
        slot = slot->next;
    }
    if (slot != NULL) {
        remove_idle(slots, slot);
        return slot;
    }
    slot = take_empty(slots);
    return slot != NULL ? slot : take_oldest(slots);
}

/* --- leases ----------------------------------------------------------------------------------- */

static bool is_owned_by(const struct eas_slot *slot, const char *owner)
{
    return slot->owner != NULL && strcmp(slot->owner, owner) == 0;
}

static void set_owner(struct eas_slot *slot, const char *owner, unsigned hash)
{
    free(slot->owner);
    slot->hash = hash;
    slot->owner = strdup(owner);
    if (slot->owner == NULL) {
        abort();
    }
}

struct eas_slot *eas_slots_take(struct eas_slots *slots, const char *owner,
                                apr_interval_time_t max_wait, bool *close_first)
{
    apr_time_t now = eas_clock_now(), until = now + max_wait;
    unsigned hash = (unsigned)eas_fnv_words(owner, strlen(owner)); /* before the mutex */
    struct eas_slot *slot;

    pthread_mutex_lock(&slots->mutex);
    slot = take(slots, owner, hash);
    while (slot == NULL && now < until) {
        eas_clock_wait(&slots->put, &slots->mutex, until);
        slot = take(slots, owner, hash);
        now = eas_clock_now();
    }
    if (slot != NULL) {
        count(slots, slot);
    }
    pthread_mutex_unlock(&slots->mutex);
    *close_first = false;
    if (slot != NULL && !is_owned_by(slot, owner)) {
        *close_first = slot->kept;
        set_owner(slot, owner, hash);
    }
    return slot;
}

struct eas_slot *eas_slots_take_idle(struct eas_slots *slots, apr_time_t before, unsigned spare)
{
    struct eas_slot *slot = NULL;

    pthread_mutex_lock(&slots->mutex);
    if (slots->n_used > slots->max) {
        slot = take_oldest_that_counts(slots);
    }
    if (slot == NULL && slots->n_idle > spare
        && APR_RING_FIRST(&slots->idle)->idle_since < before) {
        slot = take_oldest(slots);
    }
    pthread_mutex_unlock(&slots->mutex);
    return slot;
}

void eas_slots_put(struct eas_slots *slots, struct eas_slot *slot, bool kept, apr_time_t now)
{
    pthread_mutex_lock(&slots->mutex);
    slot->kept = kept;
    slot->idle_since = now;
    if (kept) {
        add_idle(slots, slot);
    }
    else {
        APR_RING_INSERT_HEAD(&slots->empty, slot, eas_slot, link);
        count(slots, slot);
        slots->n_used--;
    }
    pthread_cond_signal(&slots->put);
    pthread_mutex_unlock(&slots->mutex);
}

void eas_slots_set_aside(struct eas_slots *slots, struct eas_slot *slot)
{
    pthread_mutex_lock(&slots->mutex);
    if (!slot->aside) {
        slot->aside = true;
        slots->max++;
        pthread_cond_signal(&slots->put);
    }
    pthread_mutex_unlock(&slots->mutex);
}
