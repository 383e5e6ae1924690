/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/evidence_httpd.h - S4U2Self for auth/: live users, and groups of users without a ticket */

#ifndef EAS_DELEGATION_EVIDENCE_HTTPD_H
#define EAS_DELEGATION_EVIDENCE_HTTPD_H

#include "auth/base/error.h"
#include "auth/identity.h"

#include <httpd.h>

/*
 * Asks the KDC whether it issues tickets for a user, by S4U2Self, which needs no right to protocol
 * transition.  EAS_OK; EAS_FORBIDDEN if not; otherwise the KDC gave no answer.  *waited is the time
 * that the request has waited for KDCs so far, and grows.
 */
enum eas_rc eas_evidence_check_user(const server_rec *s, apr_pool_t *pool, const char *principal,
                                    apr_interval_time_t *waited, struct eas_err *err);

/* The user whom the request acts for.  EAS_OK, EAS_DENIED without one, or EAS_FORBIDDEN. */
enum eas_rc eas_evidence_identity(request_rec *r, const struct eas_identity **identity_out,
                                  struct eas_err *err);

/*
 * A user's ticket for the gateway, where EasKcdProtocolTransition is On.  The caller gets the
 * reference.  EAS_OK, or an error of eas_kcd_evidence().
 */
enum eas_rc eas_evidence_get(request_rec *r, const struct eas_identity *identity,
                             struct eas_ticket **ticket_out, struct eas_err *err);

#endif
