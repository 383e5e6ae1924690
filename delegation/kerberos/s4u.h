/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/s4u.h - the two extensions of [MS-SFU]: act for a user with or without their evidence */

#ifndef EAS_DELEGATION_KERBEROS_S4U_H
#define EAS_DELEGATION_KERBEROS_S4U_H

#include "auth/kerberos/kdc.h"
#include "auth/kerberos/ticket.h"
#include "delegation/kerberos/service_tgt.h"

/*
 * S4U2Self: a ticket for the gateway in the name of a user whom somebody else has proved.  It is no
 * authentication: the KDC issues it for expired passwords too ([MS-SFU] 5.1).  The canonical name
 * is the ticket's client; whether it may be a user here is for the caller to check.
 * EAS_OK with a reference for the caller; EAS_FORBIDDEN for a user whom the KDC does not know or has
 * disabled; EAS_UNAVAILABLE; EAS_MISCONFIGURED.
 */
enum eas_rc eas_s4u_self(struct eas_kdc *kdc, struct eas_service_tgt *gateway,
                         const struct eas_login *login, struct eas_ticket **evidence_out,
                         struct eas_err *err);

/* Where a piece of evidence comes from; it decides what a refusal of it means. */
enum eas_s4u_evidence { EAS_S4U_FROM_PASSWORD, EAS_S4U_FROM_TRANSITION };

/*
 * S4U2Proxy: with the evidence, the user's ticket for spn.  EAS_OK with a reference for the caller,
 * else (our own trouble is never blamed on the user)
 *  - EAS_FORBIDDEN if this user may not be delegated (sensitive, Protected Users): the KDC made the
 *    evidence not forwardable although we asked, or says so by its NTSTATUS;
 *  - EAS_MISCONFIGURED if nobody can: forwardable evidence was refused, or the SPN is unknown;
 *  - EAS_UNAVAILABLE for everything else.
 * Evidence from S4U2Self is not forwardable for everybody if the account may not do protocol
 * transition; only where it once was forwardable does its lack speak of the user.
 */
enum eas_rc eas_s4u_proxy(struct eas_kdc *kdc, struct eas_service_tgt *gateway,
                          const struct eas_ticket *evidence, enum eas_s4u_evidence source,
                          const char *spn, struct eas_ticket **ticket_out, struct eas_err *err);

#endif
