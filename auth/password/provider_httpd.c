/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/provider_httpd.c - Password providers: the KDC, and authn providers of httpd */

#include "auth/password/provider_httpd.h"
#include "auth/base/counters.h"
#include "auth/base/clock.h"
#include "auth/base/log_httpd.h"
#include "auth/config_httpd.h"
#include "auth/password/account_httpd.h"
#include "auth/password/change.h"
#include "auth/password/credentials.h"
#include "auth/password/log_name.h"
#include "auth/password/throttle_httpd.h"
#include "auth/shared/shared_httpd.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_request.h>
#include <mod_auth.h>

/* How long a log-on waits for others with the same name at another provider than the KDC. */
#define WAIT_MAX apr_time_from_sec(5)
#define WAIT_STEP apr_time_from_msec(10)

/* The credentials of a request, complete at the time of the call. */
struct verification {
    const struct eas_credentials *credentials;
    struct eas_throttle_rules rules;
    apr_time_t since;      /* of the monotonic clock */
    bool is_about_account; /* the answer depends on more than the form of the name */
};

static struct verification start(request_rec *r, const struct eas_credentials *credentials)
{
    return (struct verification){
        .credentials = credentials,
        .rules = eas_auth_throttle_rules(eas_auth_server_of(r->server)),
        .since = eas_clock_now(),
    };
}

/* Trouble of the gateway, or of a KDC, is not of one name. */
static bool is_of_name(enum eas_rc rc)
{
    return rc == EAS_DENIED || rc == EAS_UNKNOWN || rc == EAS_EXPIRED || rc == EAS_THROTTLED
           || rc == EAS_FORBIDDEN;
}

static void append_name(request_rec *r, const struct eas_credentials *credentials,
                        struct eas_err *err)
{
    const struct eas_log_name name = {
        .account = eas_request_of(r)->account,
        .typed = credentials->name,
        .shown = eas_auth_logs_names(eas_auth_server_of(r->server)),
    };
    apr_size_t len = strlen(err->text);

    apr_cpystrn(err->text + len, eas_log_name(r->pool, eas_shared_keyring(), &name),
                sizeof(err->text) - len);
}

/* A name that is no user's by its form is refused at once: the client knows that by itself. */
static void finish(request_rec *r, const struct verification *verification, enum eas_rc rc,
                   struct eas_err *err)
{
    eas_secret_wipe(verification->credentials->password);
    if (is_of_name(rc)) {
        append_name(r, verification->credentials, err);
    }
    if (verification->is_about_account) {
        eas_counters_observe(EAS_HISTOGRAM_LOG_ON, eas_clock_now() - verification->since);
        eas_throttle_delay(r, rc, verification->since);
    }
}

static enum eas_rc verify_at_kdc(request_rec *r, struct verification *verification,
                                 const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    const struct eas_credentials_request request = { .authority = conf->authority,
                                                     .vhost_key = conf->vhost_key,
                                                     .credentials = verification->credentials,
                                                     .rules = &verification->rules,
                                                     .address = r->useragent_ip,
                                                     .after_change =
                                                         eas_request_of(r)->changed != NULL };
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
    eas_throttle_log(r, &verification->rules, &result.attempt);
    verification->is_about_account |= result.attempt.asked_at != 0;
    *identity_out = result.identity;
    return rc;
}

/* The name need not be the name of an AD user. */
static enum eas_rc ask_provider(request_rec *r, const char *name,
                                const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    const authn_provider *provider =
        ap_lookup_provider(AUTHN_PROVIDER_GROUP, name, AUTHN_PROVIDER_VERSION);
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

/* The throttle counts what this provider refuses, and what the last provider does not know. */
static enum eas_lockout_outcome outcome_at_provider(enum eas_rc rc, bool is_last)
{
    return rc == EAS_OK                   ? EAS_LOCKOUT_RIGHT
           : rc == EAS_DENIED             ? EAS_LOCKOUT_WRONG
           : rc == EAS_UNKNOWN && is_last ? EAS_LOCKOUT_WRONG
                                          : EAS_LOCKOUT_NO_ANSWER;
}

static enum eas_rc verify_at_provider(request_rec *r, const char *name, bool is_last,
                                      struct verification *verification,
                                      const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_credentials *credentials = verification->credentials;
    const struct eas_password_request log_on = { .login = { .user = credentials->name },
                                                 .password = credentials->password };
    const struct eas_throttle_request request = {
        .log_on = &log_on,
        .rules = &verification->rules,
        .address = r->useragent_ip,
        .vhost = apr_psprintf(r->pool, "%s:%u", r->server->server_hostname, r->server->port),
    };
    struct eas_throttle_attempt attempt = { .busy = false };
    apr_interval_time_t waited = 0;
    enum eas_rc rc = eas_throttle_begin_elsewhere(eas_throttle(), r->pool, &request, &attempt, err);

    while (attempt.busy && waited < WAIT_MAX) {
        apr_sleep(WAIT_STEP);
        waited += WAIT_STEP;
        rc = eas_throttle_begin_elsewhere(eas_throttle(), r->pool, &request, &attempt, err);
    }
    if (rc == EAS_OK) {
        rc = ask_provider(r, name, credentials, identity_out, err);
        eas_throttle_end(eas_throttle(), r->pool, &verification->rules, &attempt,
                         outcome_at_provider(rc, is_last));
    }
    eas_throttle_log(r, &verification->rules, &attempt);
    verification->is_about_account = true;
    return rc;
}

enum eas_rc eas_provider_verify(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    struct eas_credentials trimmed = *credentials;
    struct verification verification = start(r, &trimmed);
    const apr_array_header_t *names = eas_auth_server_of(r->server)->providers;
    enum eas_rc rc = EAS_OK;
    int i;

    /* Some providers ignore blanks: with them, a name would have a count of failures for each. */
    trimmed.name = eas_identity_trim(credentials->name, &trimmed.name_len);
    if (trimmed.name_len != credentials->name_len) {
        trimmed.name = apr_pstrmemdup(r->pool, trimmed.name, trimmed.name_len);
    }
    if (names == NULL) {
        rc = verify_at_kdc(r, &verification, identity_out, err);
    }
    /*
     * As in mod_auth_basic, a provider is asked only about users that are unknown to those before
     * it.
     */
    for (i = 0; names != NULL && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (strcmp(name, "kdc") == 0) {
            rc = verify_at_kdc(r, &verification, identity_out, err);
        }
        else {
            rc = verify_at_provider(r, name, i == names->nelts - 1, &verification, identity_out,
                                    err);
        }
        if (rc != EAS_UNKNOWN) {
            break;
        }
    }
    finish(r, &verification, rc, err);
    return rc;
}

enum eas_rc eas_provider_change(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_secret *new_password,
                                struct eas_password_change *change_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    struct verification verification = start(r, credentials);
    const apr_interval_time_t before = eas_request_of(r)->kdc_waited;
    const struct eas_change_request request = {
        .log_on = { .authority = conf->authority,
                    .vhost_key = conf->vhost_key,
                    .credentials = credentials,
                    .rules = &verification.rules,
                    .address = r->useragent_ip },
        .new_password = new_password,
        .due_within =
            eas_auth_password_change(conf) == EAS_CHANGE_ON ? -1 : eas_auth_password_warn(conf),
    };
    struct eas_change_result result = { .waited = before };
    enum eas_rc rc;

    /* No other provider is asked about a name that the KDC does not know. */
    verification.rules.count_unknown_users = verification.rules.charge_unknown_users = true;
    rc = eas_change_password(conf->verifier, r->pool, &request, &result, err);
    eas_request_waited(r, result.waited - before);
    eas_throttle_log(r, &verification.rules, &result.attempt);
    verification.is_about_account = result.attempt.asked_at != 0;
    *change_out = result.change;
    finish(r, &verification, rc, err);
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
    struct verification verification = start(r, &credentials);
    const struct eas_identity *identity;
    struct eas_err err;
    enum eas_rc rc;

    /* The next provider of AuthBasicProvider may know them. */
    verification.rules.count_unknown_users = false;
    verification.rules.charge_unknown_users = true;
    rc = credentials.password->len == 0 ? eas_fail(&err, EAS_DENIED, 1083, "the password is empty")
                                        : verify_at_kdc(r, &verification, &identity, &err);
    finish(r, &verification, rc, &err);
    eas_counters_log_on(EAS_COUNTERS_BY_BASIC, rc);
    if (rc == EAS_OK) {
        rc = eas_account_accept(
            r, identity, identity->authenticated_by == EAS_BY_CACHE ? "cached" : "basic", &err);
    }
    if (rc == EAS_OK) {
        return AUTH_GRANTED;
    }
    eas_log_error(r, &err);
    switch (rc) {
    case EAS_UNKNOWN:
        return AUTH_USER_NOT_FOUND;
    case EAS_DENIED:
    case EAS_EXPIRED:
    case EAS_FORBIDDEN:
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
