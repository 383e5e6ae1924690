/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/provider_httpd.c - Password providers: the KDC, and authn providers of httpd */

#include "auth/password/provider_httpd.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/password/credentials.h"
#include "auth/password/throttle_httpd.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_request.h>
#include <mod_auth.h>

static enum eas_rc verify_at_kdc(request_rec *r, const struct eas_credentials *credentials,
                                 const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    const struct eas_throttle_rules rules = eas_auth_throttle_rules(conf);
    const struct eas_credentials_request request = { .authority = conf->authority,
                                                     .vhost_key = conf->vhost_key,
                                                     .credentials = credentials,
                                                     .rules = &rules,
                                                     .address = r->useragent_ip };
    const apr_interval_time_t before = eas_request_of(r)->kdc_waited;
    struct eas_credentials_result result = { .waited = before };
    enum eas_rc rc;

    if (conf->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 1061,
                        "this virtual host has no keytab; the KDC verifies passwords only with "
                        "EasKcdKeytab in the virtual host or in the server config");
    }
    rc = eas_credentials_check(conf->verifier, r->pool, &request, &result, err);
    eas_request_waited(r, result.waited - before);
    eas_throttle_log(r, &rules, &result.attempt);
    *identity_out = result.identity;
    return rc;
}

/* The name stays as typed, and need not be the name of an AD user. */
static enum eas_rc verify_at_provider(request_rec *r, const authn_provider *provider,
                                      const char *name, const struct eas_credentials *credentials,
                                      const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_identity *identity;

    /* mod_ssl's own check of such names comes too late (ssl_hook_UserCheck). */
    if (credentials->name[0] == '/') {
        return eas_fail(err, EAS_DENIED, 1084,
                        "the name begins with /, as those that SSLOptions FakeBasicAuth makes of "
                        "certificates; no password verifies it");
    }
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
        rc = verify_at_kdc(r, credentials, identity_out, err);
    }
    /*
     * As in mod_auth_basic, a provider is asked only about users that are unknown to those before
     * it.
     */
    for (i = 0; names != NULL && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (strcmp(name, "kdc") == 0) {
            rc = verify_at_kdc(r, credentials, identity_out, err);
        }
        else {
            rc = verify_at_provider(
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

/*
 * AuthBasicProvider kdc.  mod_auth_basic answers 500 where the KDC is unavailable; AuthType EasKcd
 * answers 503.
 */
static authn_status check_password(request_rec *r, const char *user, const char *password)
{
    struct eas_credentials credentials = { user, strlen(user),
                                           eas_secret_make(r->pool, password, strlen(password)) };
    const struct eas_identity *identity;
    struct eas_err err;
    enum eas_rc rc;

    rc = credentials.password->len == 0 ? eas_fail(&err, EAS_DENIED, 1083, "the password is empty")
                                        : verify_at_kdc(r, &credentials, &identity, &err);
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
