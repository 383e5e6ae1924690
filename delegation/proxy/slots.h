/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/slots.h - slots for backend connections, each leased to one exchange at a time */

#ifndef EAS_DELEGATION_PROXY_SLOTS_H
#define EAS_DELEGATION_PROXY_SLOTS_H

#include <apr_pools.h>
#include <apr_ring.h>
#include <apr_time.h>
#include <stdbool.h>

/*
 * A slot has room for one connection to a backend, which belongs to one owner:
 *
 *   empty --take--> leased --put(kept)--> idle --take by its owner--> leased ...
 *                     |                     |
 *                     `--put(not kept)--> empty <--put-- leased by the closer
 *
 * An exchange gets an idle slot of its owner, else an empty or a new one, else the longest idle one,
 * whose connection the caller closes.  So an owner keeps its connection for as long as there is
 * room, and a slot's number of connections, kept or busy, is never above one.
 *
 * Owners are texts (delegation/proxy/connection.h).  Times are of eas_clock_now().  Thread-safe.
 */
struct eas_slots;

/* One slot.  During a lease, it belongs to the leaseholder. */
struct eas_slot {
    APR_RING_ENTRY(eas_slot) link; /* idle ones, by age, or empty ones */
    struct eas_slot *next, **ref;  /* idle ones, by the hash of their owner */
    char *owner;                   /* of the connection kept; NULL: none yet */
    unsigned hash;                 /* of the owner */
    apr_time_t idle_since;
    bool kept;    /* there is a connection */
    bool aside;   /* it does not count */
    void *handle; /* the caller's; NULL in a new slot */
};

/* At most max slots, above zero; in a pool below this one, which no other thread uses meanwhile. */
struct eas_slots *eas_slots_create(apr_pool_t *pool, unsigned max);

/*
 * Leases a slot to an exchange of that owner.  If it keeps another owner's connection, *close_first
 * is true, and the caller closes that before any use.  Without a slot to be had, waits for one until
 * max_wait is over; NULL if none came.
 */
struct eas_slot *eas_slots_take(struct eas_slots *slots, const char *owner,
                                apr_interval_time_t max_wait, bool *close_first);

/*
 * Leases an idle slot to a caller that closes its connection; else NULL.  If there are more slots
 * than max, it is the longest idle one that counts.  Else it is the longest idle one, if that has
 * been idle since before that time, and more than spare slots are idle.
 */
struct eas_slot *eas_slots_take_idle(struct eas_slots *slots, apr_time_t before, unsigned spare);

/*
 * A lease that lasts does not count against the limit; nor does the idle slot after it, which saves
 * its owner's next exchange a connection.  It counts again from the next lease.  There may be more
 * slots than max then, until eas_slots_take_idle() has none for that reason.
 */
void eas_slots_set_aside(struct eas_slots *slots, struct eas_slot *slot);

/* Ends the lease.  kept: the slot has a connection, which its owner may use again. */
void eas_slots_put(struct eas_slots *slots, struct eas_slot *slot, bool kept, apr_time_t now);

#endif
