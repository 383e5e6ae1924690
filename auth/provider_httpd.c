/* SPDX-License-Identifier: Apache-2.0 */
/* auth/provider_httpd.c - who proves passwords: the KDC, or httpd's own authn providers */

#include "auth/provider_httpd.h"
#include "auth/config_httpd.h"
#include "auth/guard_httpd.h"
#include "auth/memory.h"
#include "auth/password.h"

#include <apr_strings.h>
#include <ap_provider.h>
#include <http_request.h>
#include <mod_auth.h>

/* How long to wait before looking again at an account that others are asking about. */
#define BUSY_NAP apr_time_from_msec(5)

/* What a proof by the KDC goes by, besides the credentials: nothing of a request. */
struct prover {
    const struct eas_authority *authority;
    const struct eas_guard *guard;
    struct eas_guard_rules rules;
    struct eas_memory *memory; /* NULL: remembers nothing */
    const char *scope;
};

/* While it would be refused for now, and there is time: somebody else may have proved it meanwhile. */
static enum eas_rc recall_or_begin(apr_pool_t *pool, const struct prover *prover,
                                   const unsigned char *key,
                                   const struct eas_credentials *credentials, const char *address,
                                   struct eas_identity **out, struct eas_guard_attempt *attempt,
                                   apr_interval_time_t *waited, struct eas_err *err)
{
    apr_time_t deadline = apr_time_now() + prover->authority->kdc_timeout;
    struct eas_login login = { NULL, NULL, false };
    enum eas_rc rc;

    for (;;) {
        if (prover->memory != NULL) {
            *out = eas_memory_recall(prover->memory, key, apr_time_now(), pool);
        }
        if (*out != NULL) {
            return EAS_OK;
        }
        rc = login.user != NULL ? EAS_OK
                                : eas_identity_parse(pool, credentials->name, credentials->name_len,
                                                     &prover->authority->realms, &login, err);
        if (rc != EAS_OK) {
            return rc;
        }
        rc = eas_guard_begin(pool, prover->guard, &prover->rules, prover->authority, &login,
                             credentials->password, address, attempt, waited, err);
        if (!attempt->busy || apr_time_now() >= deadline) {
            return rc;
        }
        apr_sleep(BUSY_NAP);
    }
}

/* From the memory of what the KDC has proved, or by the KDC.  May block for it. */
static enum eas_rc prove(apr_pool_t *pool, const struct prover *prover,
                         const struct eas_credentials *credentials, const char *address,
                         struct eas_identity **out, struct eas_guard_attempt *attempt,
                         apr_interval_time_t *waited, struct eas_err *err)
{
    unsigned char key[EAS_MEMORY_KEY_SIZE];
    enum eas_rc rc = EAS_OK;

    *out = NULL;
    memset(attempt, 0, sizeof(*attempt));
    if (prover->memory != NULL) {
        rc = eas_memory_key(prover->memory, prover->scope, credentials, key, err);
    }
    if (rc == EAS_OK) {
        rc = recall_or_begin(pool, prover, key, credentials, address, out, attempt, waited, err);
    }
    if (rc != EAS_OK || *out != NULL) {
        return rc;
    }
    rc = eas_password_prove(pool, prover->authority, credentials, out, waited, err);
    eas_guard_end(pool, prover->guard, &prover->rules, attempt, rc, err);
    if (rc == EAS_OK && prover->memory != NULL) {
        eas_memory_remember(prover->memory, key, *out, attempt->stamp,
                            apr_time_now() + prover->rules.proved_for);
    }
    return rc;
}

static enum eas_rc prove_by_kdc(request_rec *r, const struct eas_credentials *credentials,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_auth_server *conf = eas_auth_server_of(r->server);
    struct prover prover = { conf->authority, eas_guard(), eas_auth_guard_rules(conf), NULL,
                             conf->scope };
    struct eas_guard_attempt attempt;
    struct eas_identity *identity;
    apr_interval_time_t waited = 0;
    enum eas_rc rc;

    if (conf->authority == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 1061,
                        "the KDC's proof of passwords needs EasKcdKeytab in this virtual host or "
                        "outside");
    }
    if (prover.rules.proved_for > 0) {
        prover.memory = conf->memory;
    }
    rc = prove(r->pool, &prover, credentials, r->useragent_ip, &identity, &attempt, &waited, err);
    if (waited > 0) {
        eas_request_waited(r, waited);
    }
    eas_guard_tell(r, &prover.rules, &attempt);
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
        identity->proof = EAS_PROOF_OTHER;
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

enum eas_rc eas_provider_prove(request_rec *r, const struct eas_credentials *credentials,
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
    eas_guard_even_out(r, rc);
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
    eas_guard_even_out(r, rc);
    if (rc == EAS_OK) {
        eas_request_of(r)->identity = identity;
        r->user = apr_pstrdup(r->pool, identity->principal);
        apr_table_setn(r->subprocess_env, "EAS_KCD_USER", r->user);
        apr_table_setn(r->subprocess_env, "EAS_KCD_AUTH",
                       identity->proof == EAS_PROOF_CACHED ? "cached" : "basic");
        return AUTH_GRANTED;
    }
    eas_request_log(r, &err);
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
