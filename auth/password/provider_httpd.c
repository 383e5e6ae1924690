/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/provider_httpd.c - who proves passwords: the KDC, or httpd's own authn providers */

#include "auth/password/provider_httpd.h"
#include "auth/config_httpd.h"
#include "auth/password/throttle_httpd.h"
#include "auth/password/credentials.h"

#include <apr_strings.h>
#include <ap_provider.h>
#include <http_request.h>
#include <mod_auth.h>

/* By the KDC, or from the memory of what it has proved. */
static enum eas_rc prove_by_kdc(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    const struct eas_throttle_rules rules = eas_auth_throttle_rules(conf);
    struct eas_credentials_request request = { conf->authority, conf->vhost_key, credentials,
                                               &rules, r->useragent_ip };
    apr_interval_time_t before = eas_request_of(r)->kdc_waited, waited = before;
    struct eas_throttle_attempt attempt;
    struct eas_identity *identity = NULL;
    enum eas_rc rc;

    if (conf->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 1061,
                        "the KDC's proof of passwords needs EasKcdKeytab in this virtual host or "
                        "outside");
    }
    rc =
        eas_credentials_check(conf->verifier, r->pool, &request, &identity, &attempt, &waited, err);
    eas_request_waited(r, waited - before);
    eas_throttle_log(r, &rules, &attempt);
    *identity_out = identity;
    return rc;
}

/* By one of httpd's providers; the name stays as it was typed, and is no name of AD's. */
static enum eas_rc prove_by_provider(request_rec *r, const authn_provider *provider,
                                     const char *name, const struct eas_credentials *credentials,
                                     const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_identity *identity;

    switch (provider->check_password(r, credentials->name, credentials->password->bytes)) {
    case AUTH_GRANTED:
        identity = apr_pcalloc(r->pool, sizeof(*identity));
        identity->principal = r->user != NULL ? r->user : credentials->name;
        identity->authenticated_by = EAS_BY_OTHER;
        *identity_out = identity;
        return EAS_OK;
    case AUTH_DENIED:
        return eas_fail(err, EAS_DENIED, 1080, "the provider %s refused the password", name);
    case AUTH_USER_NOT_FOUND:
        return eas_fail(err, EAS_UNKNOWN, 1081, "the provider %s does not know the user", name);
    default:
        return eas_fail(err, EAS_UNAVAILABLE, 1082,
                        "the provider %s cannot check passwords; see its own messages", name);
    }
}

enum eas_rc eas_provider_verify(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    const apr_array_header_t *names = eas_auth_server_of(r->server)->providers;
    enum eas_rc rc = EAS_OK;
    int i;

    if (names == NULL) {
        rc = prove_by_kdc(r, credentials, identity_out, err);
    }
    /* As mod_auth_basic: the next one is asked only about users whom this one does not know. */
    for (i = 0; names != NULL && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (strcmp(name, "kdc") == 0) {
            rc = prove_by_kdc(r, credentials, identity_out, err);
        }
        else {
            rc = prove_by_provider(
                r, ap_lookup_provider(AUTHN_PROVIDER_GROUP, name, AUTHN_PROVIDER_VERSION), name,
                credentials, identity_out, err);
        }
        if (rc != EAS_UNKNOWN) {
            break;
        }
    }
    eas_secret_wipe(credentials->password);
    eas_throttle_delay(r, rc);
    return rc;
}

/* AuthBasicProvider kdc.  mod_auth_basic makes a 500 of our trouble; 503 needs AuthType EasKcd. */
static authn_status check_password(request_rec *r, const char *user, const char *password)
{
    struct eas_credentials credentials = { user, strlen(user),
                                           eas_secret_make(r->pool, password, strlen(password)) };
    const struct eas_identity *identity;
    struct eas_err err;
    enum eas_rc rc;

    rc = credentials.password->len == 0 ? eas_fail(&err, EAS_DENIED, 1083, "the password is empty")
                                        : prove_by_kdc(r, &credentials, &identity, &err);
    eas_secret_wipe(credentials.password);
    eas_throttle_delay(r, rc);
    if (rc == EAS_OK) {
        eas_request_of(r)->identity = identity;
        r->user = apr_pstrdup(r->pool, identity->principal);
        apr_table_setn(r->subprocess_env, "EAS_KCD_USER", r->user);
        apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH",
                       identity->authenticated_by == EAS_BY_CACHE ? "cached" : "basic");
        return AUTH_GRANTED;
    }
    eas_log_error(r, &err);
    switch (rc) {
    case EAS_UNKNOWN:
        return AUTH_USER_NOT_FOUND;
    case EAS_DENIED:
    case EAS_EXPIRED:
        return AUTH_DENIED;
    default:
        return AUTH_GENERAL_ERROR;
    }
}

static const authn_provider kdc_provider = { check_password, NULL };

void eas_provider_register_hooks(apr_pool_t *pool)
{
    ap_register_auth_provider(pool, AUTHN_PROVIDER_GROUP, "kdc", AUTHN_PROVIDER_VERSION,
                              &kdc_provider, AP_AUTH_INTERNAL_PER_CONF);
}
