/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/account_httpd.h - names and groups of a request's user, from the evidence's PAC */

#ifndef EAS_AUTH_PASSWORD_ACCOUNT_HTTPD_H
#define EAS_AUTH_PASSWORD_ACCOUNT_HTTPD_H

#include "auth/identity.h"
#include "auth/kerberos/pac.h"

#include <httpd.h>

/*
 * S4U2Self for users without evidence, which delegation/ does.  mod_eas_kcd.c sets them, so that
 * auth/ does not depend on delegation/.
 */
struct eas_account_callbacks {
    /* The user whom the request acts for, where AuthType EasKcd has asked no KDC; or NULL. */
    enum eas_rc (*identity)(request_rec *r, const struct eas_identity **identity_out,
                            struct eas_err *err);

    /* A ticket for the gateway; the caller gets the reference.  EAS_FORBIDDEN where it is off. */
    enum eas_rc (*evidence)(request_rec *r, const struct eas_identity *identity,
                            struct eas_ticket **ticket_out, struct eas_err *err);
};

/* Before any request; the callbacks live as long as the process. */
void eas_account_set_callbacks(const struct eas_account_callbacks *callbacks);

/*
 * The PAC of the request's user: of the evidence of the identity if it has any, else of S4U2Self.
 * NULL as identity stands for another module's user.  It lives as long as the request.
 *
 * EAS_OK with a valid PAC; EAS_FORBIDDEN if EasKcdProtocolTransition is Off, or the name is not
 * AD's; EAS_UNAVAILABLE; EAS_MISCONFIGURED.
 */
enum eas_rc eas_account_pac(request_rec *r, const struct eas_identity *identity,
                            const struct eas_pac **pac_out, struct eas_err *err);

/* Whole days until the user's password must be changed; -1: never, or nobody knows. */
int eas_account_password_days(request_rec *r, const struct eas_identity *identity);

/*
 * Makes the identity the user of the request: r->user as EasKcdRemoteUser wants it, and the
 * variables.  how is EAS_KCD_AUTH.  EAS_OK, else an error of eas_account_pac(), and no user.
 */
enum eas_rc eas_account_accept(request_rec *r, const struct eas_identity *identity, const char *how,
                               struct eas_err *err);

#endif
