/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/ticket_cache.h - cache of service tickets, and of the KDC's refusals to issue them */

#ifndef EAS_DELEGATION_TICKET_CACHE_H
#define EAS_DELEGATION_TICKET_CACHE_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"
#include "auth/kerberos/ticket.h"
#include "auth/shared/cache.h"

#include <stdbool.h>

/*
 * An LRU cache in this process, in front of a shared cache.  Refusals stay in this process.
 * Thread-safe.  One per child.
 */
struct eas_ticket_cache;

/* At most max_bytes in this process.  shared_cache must outlive pool. */
struct eas_ticket_cache *eas_ticket_cache_create(apr_pool_t *pool, apr_size_t max_bytes,
                                                 const struct eas_shared_cache *shared_cache);

struct eas_ticket_cache_query {
    struct eas_bytes key;             /* user, service, evidence and delegation principal */
    const char *spn;                  /* for error messages */
    const struct eas_ticket *refused; /* the backend answered 401 to this ticket; or NULL */
    apr_time_t renewable_until;       /* the latest end of a renewed ticket; 0: not to be renewed */
};

enum eas_ticket_cache_state {
    EAS_TICKET_CACHE_NOTHING,     /* neither a usable ticket nor a refusal */
    EAS_TICKET_CACHE_HIT,         /* a ticket */
    EAS_TICKET_CACHE_RENEWAL_DUE, /* a ticket, near its end; the caller renews it */
    EAS_TICKET_CACHE_REFUSED      /* an error: no ticket can be had for now */
};

/*
 * Searches this process.  *ticket_out is a reference for the caller, or NULL.
 *
 * Renewal is due for one caller in 30 seconds, if a renewed ticket can end later.
 *
 * A ticket that the backend refused is no hit.  If it replaced another refused ticket within the
 * last minute, it is not replaced again: EAS_BACKEND.  Otherwise a backend that always answers 401
 * would load the KDC without end.
 */
enum eas_ticket_cache_state eas_ticket_cache_find(struct eas_ticket_cache *cache,
                                                  const struct eas_ticket_cache_query *query,
                                                  apr_time_t now, struct eas_ticket **ticket_out,
                                                  struct eas_err *err);

/*
 * Copies a ticket from the shared cache into this process, if it ends after ends_after.  reach
 * decides whether it may block.  Returns whether it copied one.
 */
bool eas_ticket_cache_load(struct eas_ticket_cache *cache, apr_pool_t *scratch,
                           struct eas_bytes key, enum eas_shared_cache_reach reach,
                           apr_time_t ends_after, apr_time_t now);

/* Stores a ticket in both caches.  May block.  replaced: it takes the place of a refused ticket. */
void eas_ticket_cache_put(struct eas_ticket_cache *cache, apr_pool_t *scratch, struct eas_bytes key,
                          struct eas_ticket *ticket, bool replaced, apr_time_t now);

/* Stores a refusal for ten seconds, in this process. */
void eas_ticket_cache_put_refusal(struct eas_ticket_cache *cache, struct eas_bytes key,
                                  const struct eas_err *err, apr_time_t now);

#endif
