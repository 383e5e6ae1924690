/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kcd.h - the façade of constrained delegation: from an identity to a token for a backend */

#ifndef EAS_DELEGATION_KCD_H
#define EAS_DELEGATION_KCD_H

#include "auth/base/error.h"
#include "auth/identity.h"
#include "auth/workers/workers.h"
#include "auth/kerberos/keytab.h"
#include "auth/shared/cache.h"
#include "delegation/kerberos/token.h"

#include <apr_time.h>

/* What the children's threads share: the cache of service tickets and the mint.  Thread-safe. */
struct eas_kcd;

/* The right of one keytab's account to delegate, in one child.  Thread-safe. */
struct eas_kcd_principal;

/* The shelf is that of service tickets.  All of it lives in the memory of kdcs. */
struct eas_kcd *eas_kcd_create(struct eas_workers *workers,
                               const struct eas_shared_cache *shared_cache, apr_size_t cache_bytes);

/* realms and keytab must live as long as the process. */
struct eas_kcd_principal *eas_kcd_principal_create(struct eas_kcd *kcd, struct eas_keytab *keytab,
                                                   const struct eas_realms *realms,
                                                   apr_interval_time_t kdc_timeout);

/* For whom, to whom, and how. */
struct eas_kcd_request {
    const struct eas_identity *identity;
    const char *spn;
    bool transition;                  /* may S4U2Self stand in where there is no evidence? */
    const struct eas_ticket *refused; /* NULL, or what the backend has answered with 401 */
    apr_interval_time_t waited;       /* what the request has waited for KDCs so far */
};

enum eas_kcd_ticket_origin {
    EAS_KCD_HIT,    /* the ticket was in this process */
    EAS_KCD_SHARED, /* another process or gateway had it */
    EAS_KCD_FETCHED /* it came from the KDC */
};

/* What came of it. */
struct eas_kcd_result {
    const char *key;           /* whose ticket it is, for what, by which right; in the pool */
    struct eas_ticket *ticket; /* held by the pool */
    enum eas_kcd_ticket_origin source;
    apr_interval_time_t waited; /* microseconds spent waiting for the KDC; set on failure too */
};

/*
 * A service ticket for the wish: from the cache, else from the shelf, else from the KDC by way of the
 * pool.  One that is near its end is renewed meanwhile, if that can help.  EAS_OK; EAS_FORBIDDEN;
 * EAS_UNAVAILABLE; EAS_MISCONFIGURED.  That the KDC will not delegate is remembered for ten seconds.
 *
 * May block for up to the account's timeout, less what the request has waited already.
 *
 * A refused ticket is replaced: by the one in the cache where somebody has done so already, else by a
 * new one.  That has a bound, lest a backend that always answers 401 make a storm on the KDC of it: a
 * ticket that itself replaced a refused one stays for a minute, EAS_BACKEND.
 */
enum eas_rc eas_kcd_ticket(struct eas_kcd_principal *account, apr_pool_t *pool,
                           const struct eas_kcd_request *request, struct eas_kcd_result *result,
                           struct eas_err *err);

/*
 * Asks the KDC for a ticket in the user's name and throws it away: is the account still good?  *waited
 * is what the request has waited for KDCs so far, and grows.
 * EAS_OK; EAS_FORBIDDEN if it is disabled, locked or gone; anything else: the KDC cannot say.
 */
enum eas_rc eas_kcd_check_user(struct eas_kcd_principal *account, apr_pool_t *pool,
                               const struct eas_login *login, apr_interval_time_t *waited,
                               struct eas_err *err);

/* As eas_token_make() and eas_token_verify(); local work only. */
enum eas_rc eas_kcd_token(struct eas_kcd_principal *account, apr_pool_t *pool,
                          const struct eas_ticket *ticket,
                          const struct eas_channel_binding *binding, const char **value_out,
                          struct eas_pending_ap **pending_out, struct eas_err *err);
enum eas_rc eas_kcd_verify(struct eas_kcd_principal *account, apr_pool_t *pool,
                           const struct eas_pending_ap *pending, const char *value,
                           struct eas_err *err);

#endif
