/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kcd.h - constrained delegation: from an identity to a token for a backend */

#ifndef EAS_DELEGATION_KCD_H
#define EAS_DELEGATION_KCD_H

#include "auth/base/error.h"
#include "auth/identity.h"
#include "auth/kerberos/service_tgt.h"
#include "auth/shared/cache.h"
#include "auth/workers/workers.h"
#include "delegation/kerberos/token.h"

#include <apr_time.h>

/* The service tickets and the token maker of one child.  Thread-safe. */
struct eas_kcd;

/* A delegation principal: a keytab's principal, which acts for users.  Per child; thread-safe. */
struct eas_kcd_principal;

/* shared_cache is the one of service tickets.  All memory is in the workers' pool. */
struct eas_kcd *eas_kcd_create(struct eas_workers *workers,
                               const struct eas_shared_cache *shared_cache, apr_size_t cache_bytes);

/* realms and service_tgt must live as long as the process. */
struct eas_kcd_principal *eas_kcd_principal_create(struct eas_kcd *kcd,
                                                   struct eas_service_tgt *service_tgt,
                                                   const struct eas_realms *realms,
                                                   apr_interval_time_t kdc_timeout);

struct eas_kcd_request {
    const struct eas_identity *identity;
    const char *spn;                  /* of the backend */
    bool transition;                  /* S4U2Self is allowed where evidence is missing */
    const struct eas_ticket *refused; /* the backend answered 401 to this ticket; or NULL */
    apr_interval_time_t waited;       /* for KDCs, by the HTTP request, so far */
};

enum eas_kcd_ticket_origin {
    EAS_KCD_HIT,    /* this process had the ticket */
    EAS_KCD_SHARED, /* another process or gateway had it */
    EAS_KCD_FETCHED /* the KDC issued it */
};

struct eas_kcd_result {
    const char *key;           /* user, service, evidence and delegation principal; in the pool */
    struct eas_ticket *ticket; /* held by the pool */
    enum eas_kcd_ticket_origin origin;
    apr_interval_time_t waited; /* microseconds spent waiting for the KDC; set on failure too */
};

/*
 * A service ticket: from this process, else from the shared cache, else from the KDC through the
 * workers.  A ticket near its end is renewed in the background, if the new one can end later.  A
 * refusal by the KDC is remembered for ten seconds.
 *
 * Blocks for at most the principal's KDC timeout, less request->waited.
 *
 * A refused ticket is replaced by the cached one if that is another, else by a new one.  A ticket
 * that itself replaced a refused one stays for a minute: EAS_BACKEND.
 *
 * EAS_OK; EAS_FORBIDDEN; EAS_UNAVAILABLE; EAS_NO_SERVICE; EAS_MISCONFIGURED; EAS_BACKEND.
 */
enum eas_rc eas_kcd_ticket(const struct eas_kcd_principal *principal, apr_pool_t *pool,
                           const struct eas_kcd_request *request, struct eas_kcd_result *result,
                           struct eas_err *err);

/*
 * The ticket for the gateway of a user without evidence, by S4U2Self; the caller gets the reference.
 * *waited is the time that the HTTP request has waited for KDCs so far, and grows.
 * EAS_OK; EAS_FORBIDDEN if the AD user is disabled, locked or gone; otherwise the KDC gave no
 * answer.
 */
enum eas_rc eas_kcd_evidence(const struct eas_kcd_principal *principal, apr_pool_t *pool,
                             const struct eas_identity *identity, struct eas_ticket **evidence_out,
                             apr_interval_time_t *waited, struct eas_err *err);

/* As eas_token_make(); local work only. */
enum eas_rc eas_kcd_token(const struct eas_kcd_principal *principal, apr_pool_t *pool,
                          const struct eas_token_request *request, struct eas_token *token_out,
                          struct eas_err *err);

#endif
