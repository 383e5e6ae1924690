/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/account_httpd.c - names and groups of a request's user, from the evidence's PAC */

#include "auth/password/account_httpd.h"
#include "auth/config_httpd.h"
#include "auth/kerberos/ticket.h"
#include "auth/request_httpd.h"

#include <apr_strings.h>

/* Time until S4U2Self is repeated for a user, whose groups may have changed.  reference.md has it. */
#define EVIDENCE_FOR apr_time_from_sec(5 * 60)

/* In seconds. */
#define DAY ((apr_time_t)24 * 3600)

static const struct eas_account_callbacks *callbacks;

void eas_account_set_callbacks(const struct eas_account_callbacks *new_callbacks)
{
    callbacks = new_callbacks;
}

/* By S4U2Self.  Under the user's name, not under that of a log-on: it gives no other right. */
static enum eas_rc get_evidence(request_rec *r, const struct eas_identity *identity,
                                struct eas_ticket **ticket_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    struct eas_password_cache *cache = conf->verifier->cache;
    struct eas_identity found = *identity, *cached = NULL;
    struct eas_password_version any = { NULL, 0 };
    struct eas_password_cache_key key;
    enum eas_rc rc = EAS_OK;

    if (cache != NULL) {
        rc = eas_password_cache_user_key(cache, conf->vhost_key, identity->principal, &key, err);
        cached = rc == EAS_OK ? eas_password_cache_get(cache, &key, apr_time_now(), r->pool) : NULL;
    }
    if (cached != NULL) {
        *ticket_out = cached->evidence;
        return EAS_OK;
    }
    rc = rc == EAS_OK ? callbacks->evidence(r, identity, ticket_out, err) : rc;
    if (rc == EAS_OK) {
        found.evidence = eas_ticket_to_pool(*ticket_out, r->pool);
        if (cache != NULL) {
            eas_password_cache_put(cache, &key, &found, any, apr_time_now() + EVIDENCE_FOR);
        }
    }
    return rc;
}

static enum eas_rc read_pac(request_rec *r, const struct eas_identity *identity,
                            const struct eas_ticket *evidence, const struct eas_pac **pac_out,
                            struct eas_err *err)
{
    *pac_out = eas_ticket_pac(evidence, NULL, eas_auth_server_of(r->server)->authority->keytab);
    if (*pac_out == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 1316,
                        "no key of the keytab decrypts the ticket of %s for the gateway; keep the "
                        "account's old keys in the keytab until such tickets have ended",
                        identity->principal);
    }
    return (*pac_out)->fault == NULL ? EAS_OK
                                     : eas_fail(err, EAS_MISCONFIGURED, 1317,
                                                "the groups and names of %s are unknown: %s",
                                                identity->principal, (*pac_out)->fault);
}

enum eas_rc eas_account_pac(request_rec *r, const struct eas_identity *identity,
                            const struct eas_pac **pac_out, struct eas_err *err)
{
    struct eas_ticket *evidence;
    enum eas_rc rc = EAS_OK;

    if (eas_auth_server_of(r->server)->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 1318,
                        "names and groups of users need EasKcdKeytab in this virtual host or "
                        "outside");
    }
    if (identity == NULL) {
        rc = callbacks->identity(r, &identity, err);
    }
    if (rc == EAS_OK && identity->evidence == NULL && identity->login.user == NULL
        && identity->certificate.len == 0) {
        rc = eas_fail(err, EAS_FORBIDDEN, 1319,
                      "the provider that has verified the password of %s is no KDC, and does not "
                      "say which account of Active Directory that is",
                      identity->principal);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    evidence = identity->evidence;
    rc = evidence == NULL ? get_evidence(r, identity, &evidence, err) : EAS_OK;
    return rc == EAS_OK ? read_pac(r, identity, evidence, pac_out, err) : rc;
}

/* Below 0: the password does not end. */
static int days_left(const struct eas_pac *pac)
{
    apr_interval_time_t left;

    if (pac->logon_info.password_ends == 0) {
        return -1;
    }
    left = pac->logon_info.password_ends - apr_time_now();
    return left <= 0 ? 0 : (int)(apr_time_sec(left) / DAY);
}

int eas_account_password_days(request_rec *r, const struct eas_identity *identity)
{
    const struct eas_pac *pac;
    struct eas_err ignored;

    return identity->evidence != NULL && eas_account_pac(r, identity, &pac, &ignored) == EAS_OK
               ? days_left(pac)
               : -1;
}

static enum eas_rc choose_name(request_rec *r, const struct eas_identity *identity,
                               const char **name_out, struct eas_err *err)
{
    enum eas_remote_user kind = eas_auth_remote_user(eas_auth_dir_of(r->per_dir_config));
    const struct eas_pac *pac;
    enum eas_rc rc;

    *name_out = identity->principal;
    if (kind == EAS_REMOTE_USER_PRINCIPAL) {
        return EAS_OK;
    }
    rc = eas_account_pac(r, identity, &pac, err);
    if (rc == EAS_OK) {
        *name_out = kind == EAS_REMOTE_USER_ACCOUNT ? pac->account : pac->upn;
        if (*name_out == NULL) {
            rc = eas_fail(err, EAS_FORBIDDEN, 1320,
                          "the domain controller names no %s of %s, which EasKcdRemoteUser wants",
                          kind == EAS_REMOTE_USER_ACCOUNT ? "account" : "UPN", identity->principal);
        }
    }
    return rc;
}

/* The PAC's names live as long as the evidence, which the request holds. */
static void set_names(request_rec *r, const struct eas_identity *identity)
{
    const struct eas_pac *pac;
    struct eas_err ignored;
    int days;

    eas_request_set(r, EAS_REQUEST_USER,
                    strcmp(r->user, identity->principal) == 0
                        ? r->user
                        : apr_pstrdup(r->pool, identity->principal));
    if (identity->evidence == NULL || eas_account_pac(r, identity, &pac, &ignored) != EAS_OK) {
        return;
    }
    days = days_left(pac);
    if (days >= 0) {
        apr_table_setn(r->subprocess_env, "EAS_KCD_PASSWORD_EXPIRES", apr_itoa(r->pool, days));
    }
    if (pac->account != NULL) {
        eas_request_set(r, EAS_REQUEST_ACCOUNT, pac->account);
    }
    if (pac->upn != NULL) {
        eas_request_set(r, EAS_REQUEST_UPN, pac->upn);
    }
}

enum eas_rc eas_account_accept(request_rec *r, const struct eas_identity *identity, const char *how,
                               struct eas_err *err)
{
    const char *name;
    enum eas_rc rc = choose_name(r, identity, &name, err);

    if (rc == EAS_OK) {
        eas_request_of(r)->identity = identity;
        r->user = apr_pstrdup(r->pool, name);
        set_names(r, identity);
        eas_request_set(r, EAS_REQUEST_AUTH, how);
    }
    return rc;
}
