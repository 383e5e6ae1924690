/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/evidence_httpd.c - S4U2Self for auth/: live users, and groups of users without a ticket */

#include "delegation/evidence_httpd.h"
#include "auth/config_httpd.h"
#include "auth/kerberos/ticket.h"
#include "auth/request_httpd.h"
#include "delegation/config_httpd.h"
#include "delegation/proxy/prepare_httpd.h"

#include <apr_strings.h>
#include <string.h>

/* S4U2Self for the user: no service is concerned. */
static enum eas_rc ask_kdc(const struct eas_kcd_principal *us, apr_pool_t *pool,
                           const struct eas_identity *identity, struct eas_ticket **ticket_out,
                           apr_interval_time_t *waited, struct eas_err *err)
{
    enum eas_rc rc = eas_kcd_evidence(us, pool, identity, ticket_out, waited, err);
    apr_size_t len;

    if (rc != EAS_OK) {
        len = strlen(err->text);
        apr_snprintf(err->text + len, sizeof(err->text) - len, " (user %s)", identity->principal);
    }
    return rc;
}

enum eas_rc eas_evidence_check_user(const server_rec *s, apr_pool_t *pool, const char *principal,
                                    apr_interval_time_t *waited, struct eas_err *err)
{
    const struct eas_kcd_principal *us = eas_delegation_server_of(s)->principal;
    const struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const struct eas_identity *identity;
    struct eas_ticket *evidence = NULL;
    enum eas_rc rc;

    if (us == NULL) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 2070,
            "users cannot be checked at the KDC; EasKcdKeytab is needed in this virtual host or "
            "outside");
    }
    rc = eas_identity_foreign(pool, principal, &authority->realms, &identity, err);
    if (rc == EAS_OK) {
        rc = ask_kdc(us, pool, identity, &evidence, waited, err);
    }
    eas_ticket_unref(evidence);
    return rc;
}

enum eas_rc eas_evidence_identity(request_rec *r, const struct eas_identity **identity_out,
                                  struct eas_err *err)
{
    enum eas_rc rc =
        eas_prepare_identity(r, eas_delegation_dir_of(r->per_dir_config), identity_out, err);

    return rc == EAS_OK && *identity_out == NULL
               ? eas_fail(err, EAS_DENIED, 1322, "the request has no user")
               : rc;
}

enum eas_rc eas_evidence_get(request_rec *r, const struct eas_identity *identity,
                             struct eas_ticket **ticket_out, struct eas_err *err)
{
    const struct eas_kcd_principal *us = eas_delegation_server_of(r->server)->principal;
    apr_interval_time_t before = eas_request_of(r)->kdc_waited, waited = before;
    enum eas_rc rc;

    if (!eas_delegation_transitions(eas_delegation_dir_of(r->per_dir_config))) {
        return eas_fail(err, EAS_FORBIDDEN, 1321,
                        "%s was not authenticated by a password at a KDC, and "
                        "EasKcdProtocolTransition is Off: names and groups are unknown",
                        identity->principal);
    }
    rc = ask_kdc(us, r->pool, identity, ticket_out, &waited, err);
    eas_request_waited(r, waited - before);
    return rc;
}
