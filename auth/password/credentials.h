/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/credentials.h - Credentials check: from login name and password to an identity */

#ifndef EAS_AUTH_PASSWORD_CREDENTIALS_H
#define EAS_AUTH_PASSWORD_CREDENTIALS_H

#include "auth/password/password.h"
#include "auth/password/password_cache.h"
#include "auth/password/throttle.h"
#include "auth/shared/cache.h"
#include "auth/workers/workers.h"

/* Means of a child process to verify passwords.  Lives in the pool of its workers. */
struct eas_verifier {
    struct eas_workers *workers;
    struct eas_password_cache *cache; /* NULL: creation failed, no password is verified */
    const struct eas_shared_cache *shared_cache; /* of verified users */
    const struct eas_throttle *throttle;
};

struct eas_credentials_request {
    const struct eas_authority *authority; /* lives as long as the process */
    const char *vhost_key;                 /* the same for virtual hosts with the same results */
    const struct eas_credentials *credentials;
    const struct eas_throttle_rules *rules;
    const char *address; /* of the client, for the token bucket */
    bool after_change;   /* of the gateway's own: a KDC that refuses it does not know it yet */
};

struct eas_credentials_result {
    struct eas_identity *identity;

    /* For logs.  Of callers that share a job, one gets what is to be logged once. */
    struct eas_throttle_attempt attempt;

    /* Time that the request has waited for KDCs.  The caller sets it; the check adds to it. */
    apr_interval_time_t waited;
};

/*
 * Looks into the password cache, then into the local shared cache, then lets a worker ask the KDC
 * if the throttle admits it.  Concurrent calls with the same credentials share one job.  Its result
 * is cached even if no caller waits any longer.
 *
 * Errors are those of eas_password_verify().  The identity is authenticated by EAS_BY_CACHE where
 * the KDC was not asked.  result->waited counts against the authority's timeout.
 */
enum eas_rc eas_credentials_check(const struct eas_verifier *verifier, apr_pool_t *pool,
                                  const struct eas_credentials_request *request,
                                  struct eas_credentials_result *result, struct eas_err *err);

#endif
