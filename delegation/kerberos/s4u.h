/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/s4u.h - S4U2Self and S4U2Proxy ([MS-SFU]) */

#ifndef EAS_DELEGATION_KERBEROS_S4U_H
#define EAS_DELEGATION_KERBEROS_S4U_H

#include "auth/base/bytes.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/service_tgt.h"
#include "auth/kerberos/ticket.h"

/*
 * S4U2Self: a ticket for the gateway in the name of a user that another module authenticated.  It
 * authenticates nobody: the KDC issues it for expired passwords, too ([MS-SFU] 5.1).  The ticket's
 * client is the canonical name; the caller checks whether it is an allowed user.
 * EAS_OK with a reference for the caller; EAS_FORBIDDEN if the KDC does not know the user, refuses
 * the user tickets, or if the user is the gateway's account; EAS_UNAVAILABLE; EAS_MISCONFIGURED.
 */
enum eas_rc eas_s4u_self(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                         const struct eas_login *login, struct eas_ticket **evidence_out,
                         struct eas_err *err);

/*
 * S4U2Self for the user to whom the KDC maps a certificate (DER): the ticket's client.  The KDC gets no
 * proof that the client has its private key, which the caller has verified, with the issuer.
 * As eas_s4u_self(); EAS_FORBIDDEN also if the KDC maps the certificate to nobody; EAS_MISCONFIGURED
 * if it maps none.
 */
enum eas_rc eas_s4u_self_certificate(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                                     struct eas_bytes certificate, struct eas_ticket **evidence_out,
                                     struct eas_err *err);

/* The origin of an evidence ticket decides the meaning of its refusal. */
enum eas_s4u_evidence { EAS_S4U_FROM_PASSWORD, EAS_S4U_FROM_TRANSITION };

struct eas_s4u_proxy_request {
    const struct eas_ticket *evidence;
    enum eas_s4u_evidence origin;
    const char *spn; /* of the backend */
};

/*
 * S4U2Proxy: the user's ticket for the SPN.  EAS_OK with a reference for the caller.  Otherwise:
 *  - EAS_FORBIDDEN if this user may not be delegated (sensitive, Protected Users).  Either the
 *    evidence is not forwardable although that was requested, or the KDC returns that NTSTATUS.
 *    Also if a policy forbids this user the service.
 *  - EAS_NO_SERVICE if no user can be: forwardable evidence was refused, or the SPN is unknown or of
 *    another realm; one more message tells.
 *  - EAS_MISCONFIGURED if this user may not be, or the gateway's account lacks a right.
 *  - EAS_UNAVAILABLE for all other failures.
 * If the delegation principal may not do protocol transition, no evidence from S4U2Self is
 * forwardable.  So its lack concerns the user only after another one was forwardable.
 */
enum eas_rc eas_s4u_proxy(struct eas_kdc *kdc, struct eas_service_tgt *service_tgt,
                          const struct eas_s4u_proxy_request *request,
                          struct eas_ticket **ticket_out, struct eas_err *err);

#endif
