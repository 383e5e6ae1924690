/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/credentials.h - the façade of password proof: from what was typed to an identity */

#ifndef EAS_AUTH_PASSWORD_CREDENTIALS_H
#define EAS_AUTH_PASSWORD_CREDENTIALS_H

#include "auth/password/throttle.h"
#include "auth/workers/workers.h"
#include "auth/password/password_cache.h"
#include "auth/password/password.h"
#include "auth/shared/cache.h"

/* What a child has for proving passwords.  Lives in the memory of its kdc_pool. */
struct eas_verifier {
    struct eas_workers *workers;
    struct eas_password_cache *memory;           /* NULL if none could be made: nobody is proved */
    const struct eas_shared_cache *shared_cache; /* of proved passwords */
    const struct eas_throttle *guard;
};

struct eas_credentials_request {
    const struct eas_authority *authority; /* lives as long as the process */
    const char *scope;                     /* the same for servers that would come to the same */
    const struct eas_credentials *credentials;
    const struct eas_throttle_rules *rules;
    const char *address; /* whom failures are charged to */
};

/*
 * From this child's memory, else from the shelf, else from the KDC by way of the pool, if the guard
 * lets it be asked: any number of simultaneous askers with the same credentials make one log-on, and
 * what came of it is remembered also if all of them have gone meanwhile.
 *
 * *attempt says what the guard did, for logs; of several askers, one is told of what is to be logged
 * once.  All else as eas_password_verify(); the proof is EAS_BY_CACHE where no KDC was asked.  *waited is what
 * the request has waited for KDCs so far, which counts against the authority's timeout, and grows.
 */
enum eas_rc eas_credentials_check(const struct eas_verifier *verifier, apr_pool_t *pool,
                                  const struct eas_credentials_request *request,
                                  struct eas_identity **out, struct eas_throttle_attempt *attempt,
                                  apr_interval_time_t *waited, struct eas_err *err);

#endif
