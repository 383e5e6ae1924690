/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/credentials.c - Credentials check: from login name and password to an identity */

#include "auth/password/credentials.h"
#include "auth/base/counters.h"
#include "auth/kerberos/service_tgt.h"
#include "auth/kerberos/ticket.h"

#include <apr_strings.h>
#include <stdatomic.h>
#include <string.h>

/* Delay of the next try while other log-ons of the user are under way: at first, and at most. */
#define RETRY_DELAY apr_time_from_msec(5)
#define RETRY_DELAY_MAX apr_time_from_msec(40)

/* Arguments and result of the job. */
struct log_on {
    apr_pool_t *pool;
    const struct eas_verifier *verifier;
    struct eas_password_request request;
    struct eas_password_cache_key key;
    struct eas_throttle_rules rules;
    const char *address;
    bool after_change;
    struct eas_identity *identity; /* result */
    struct eas_throttle_attempt attempt;
    atomic_bool logged; /* a caller has taken what is to be logged once */
};

/* --- shared cache: password version, principal, NUL, evidence ticket -------------------------- */

static void put_shared(const struct log_on *log_on, apr_time_t expires)
{
    const struct eas_shared_cache *shared_cache = log_on->verifier->shared_cache;
    const struct eas_identity *identity = log_on->identity;
    apr_time_t stale_at = eas_ticket_stale_at(identity->evidence);
    apr_size_t name_len = strlen(identity->principal) + 1, len;
    const unsigned char *ticket;
    struct eas_secret *record;
    struct eas_err ignored;
    char *p;

    if (eas_ticket_marshal(identity->evidence, log_on->pool, &ticket, &len, &ignored) == EAS_OK) {
        record = eas_secret_room(log_on->pool, EAS_THROTTLE_VERSION_SIZE + name_len + len);
        p = record->bytes;
        eas_throttle_write_version(log_on->verifier->throttle, &log_on->attempt.version,
                                   (unsigned char *)p);
        memcpy(p + EAS_THROTTLE_VERSION_SIZE, identity->principal, name_len);
        memcpy(p + EAS_THROTTLE_VERSION_SIZE + name_len, ticket, len);
        shared_cache->put(
            shared_cache, log_on->pool, eas_bytes_make(log_on->key.id, sizeof(log_on->key.id)),
            eas_bytes_make(record->bytes, record->len), expires < stale_at ? expires : stale_at);
    }
}

/* Keeps the record in the password cache.  NULL if it is invalid or of an old password. */
static struct eas_identity *read_record(const struct eas_verifier *verifier, apr_pool_t *pool,
                                        const struct eas_password_cache_key *key,
                                        struct eas_bytes record, apr_time_t expires)
{
    const unsigned char *name = record.at + EAS_THROTTLE_VERSION_SIZE, *nul;
    struct eas_identity *identity;
    struct eas_ticket *evidence;
    struct eas_password_version version;
    size_t len;

    if (record.len < EAS_THROTTLE_VERSION_SIZE
        || !eas_throttle_read_version(verifier->throttle, record.at, &version)) {
        return NULL;
    }
    len = record.len - EAS_THROTTLE_VERSION_SIZE;
    nul = memchr(name, '\0', len);
    if (nul == NULL) {
        return NULL;
    }
    evidence = eas_ticket_unmarshal(nul + 1, len - (size_t)(nul + 1 - name));
    if (evidence == NULL) {
        return NULL;
    }
    identity = apr_pcalloc(pool, sizeof(*identity));
    identity->principal = apr_pstrdup(pool, (const char *)name);
    identity->authenticated_by = EAS_BY_CACHE;
    identity->evidence = eas_ticket_to_pool(evidence, pool);
    eas_password_cache_put(verifier->cache, key, identity, version, expires);
    return identity;
}

/* Evidence of which the KDC has forgotten the key is none. */
static bool is_void(const struct eas_authority *authority, const struct eas_identity *identity)
{
    return identity != NULL && authority->service_tgt != NULL
           && eas_service_tgt_is_void(authority->service_tgt, identity->evidence);
}

/* In the password cache, then in the shared cache. */
static struct eas_identity *find_cached(const struct eas_verifier *verifier, apr_pool_t *pool,
                                        const struct eas_authority *authority,
                                        const struct eas_password_cache_key *key,
                                        enum eas_shared_cache_reach reach)
{
    const struct eas_shared_cache *shared_cache = verifier->shared_cache;
    struct eas_identity *identity =
        eas_password_cache_get(verifier->cache, key, apr_time_now(), pool);
    struct eas_bytes record;
    apr_time_t expires;

    if (identity == NULL
        && shared_cache->find(shared_cache, pool, eas_bytes_make(key->id, sizeof(key->id)), reach,
                              &record, &expires)) {
        identity = read_record(verifier, pool, key, record, expires);
        if (identity != NULL) {
            eas_counters_add(EAS_COUNTER_PASSWORD_SHARED);
        }
    }
    else if (identity != NULL) {
        eas_counters_add(EAS_COUNTER_PASSWORD_PROCESS);
    }
    return is_void(authority, identity) ? NULL : identity;
}

/* --- the job ---------------------------------------------------------------------------------- */

static void *prepare(apr_pool_t *pool, const void *arguments)
{
    struct log_on *log_on = apr_pmemdup(pool, arguments, sizeof(*log_on));
    struct eas_password_request *request = &log_on->request;

    log_on->pool = pool;
    log_on->address = apr_pstrdup(pool, log_on->address);
    request->login.user = apr_pstrdup(pool, request->login.user);
    request->login.realm = apr_pstrdup(pool, request->login.realm);
    request->password = eas_secret_make(pool, request->password->bytes, request->password->len);
    return log_on;
}

/* A refusal of the new password is no guess, and must not be remembered when all KDCs know it. */
static enum eas_lockout_outcome outcome_of(const struct log_on *log_on, enum eas_rc rc,
                                           const struct eas_err *err)
{
    enum eas_lockout_outcome outcome = eas_throttle_outcome(&log_on->rules, rc, err);

    return outcome == EAS_LOCKOUT_WRONG && log_on->after_change ? EAS_LOCKOUT_NO_ANSWER : outcome;
}

/* The throttle counts an attempt before the KDC is asked, and always gets the result. */
static enum eas_rc verify(struct eas_job *job, struct log_on *log_on, struct eas_err *err)
{
    const struct eas_throttle_request request = { .log_on = &log_on->request,
                                                  .rules = &log_on->rules,
                                                  .address = log_on->address };
    const struct eas_verifier *verifier = log_on->verifier;
    enum eas_rc rc =
        eas_throttle_begin(verifier->throttle, log_on->pool, job, &request, &log_on->attempt, err);

    if (rc == EAS_OK) {
        rc = eas_password_verify(log_on->pool, job, &log_on->request, &log_on->identity, err);
        eas_throttle_end(verifier->throttle, log_on->pool, &log_on->rules, &log_on->attempt,
                         outcome_of(log_on, rc, err));
    }
    if (rc == EAS_OK && log_on->rules.cache_for > 0) {
        apr_time_t expires = apr_time_now() + log_on->rules.cache_for;

        eas_password_cache_put(verifier->cache, &log_on->key, log_on->identity,
                               log_on->attempt.version, expires);
        put_shared(log_on, expires);
    }
    return rc;
}

static enum eas_rc run(struct eas_job *job, void *data, struct eas_err *err)
{
    struct log_on *log_on = data;
    enum eas_rc rc = EAS_OK;

    /* Another job, or another gateway, may have finished since the caller looked. */
    if (log_on->rules.cache_for > 0) {
        log_on->identity = find_cached(log_on->verifier, log_on->pool, log_on->request.authority,
                                       &log_on->key, EAS_SHARED_CACHE_REMOTE);
    }
    if (log_on->identity == NULL) {
        eas_counters_add(EAS_COUNTER_PASSWORD_NOWHERE);
        rc = verify(job, log_on, err);
    }
    eas_secret_wipe(log_on->request.password);
    return rc;
}

/* --- the caller ------------------------------------------------------------------------------- */

static void copy_attempt(apr_pool_t *pool, struct log_on *done,
                         struct eas_throttle_attempt *attempt)
{
    *attempt = done->attempt;
    attempt->user = apr_pstrdup(pool, done->attempt.user);
    if (atomic_exchange(&done->logged, true)) {
        attempt->locked_now = attempt->bucket_emptied_now = false;
        attempt->bucket_empty_for = 0;
    }
}

static enum eas_rc run_job(apr_pool_t *pool, const struct log_on *arguments,
                           struct eas_credentials_result *result, struct eas_err *err)
{
    apr_interval_time_t timeout = arguments->request.authority->kdc_timeout;
    struct eas_workers_task task = {
        .peer = arguments->request.login.realm,
        .prepare = prepare,
        .run = run,
        .key = eas_bytes_make(arguments->key.id, sizeof(arguments->key.id)),
        .input = arguments,
    };
    struct eas_job *job;
    enum eas_rc rc = eas_workers_run(arguments->verifier->workers, &task, timeout - result->waited,
                                     &job, &result->waited, err);

    if (job != NULL) {
        struct log_on *done = eas_job_copy(job);

        copy_attempt(pool, done, &result->attempt);
        if (rc == EAS_OK) {
            result->identity = apr_pmemdup(pool, done->identity, sizeof(*done->identity));
            result->identity->principal = apr_pstrdup(pool, done->identity->principal);
            eas_ticket_to_pool(eas_ticket_ref(done->identity->evidence), pool);
        }
        eas_job_release(job);
    }
    return rc;
}

/* While other log-ons of the user are under way, waits on the caller's thread, not on a worker. */
static enum eas_rc run_job_when_admitted(apr_pool_t *pool, const struct log_on *arguments,
                                         struct eas_credentials_result *result, struct eas_err *err)
{
    apr_interval_time_t delay = RETRY_DELAY;
    enum eas_rc rc;

    for (;;) {
        memset(&result->attempt, 0, sizeof(result->attempt));
        rc = run_job(pool, arguments, result, err);
        if (!result->attempt.busy
            || result->waited + delay >= arguments->request.authority->kdc_timeout) {
            return rc;
        }
        apr_sleep(delay);
        result->waited += delay;
        delay = delay < RETRY_DELAY_MAX ? 2 * delay : delay;
    }
}

enum eas_rc eas_credentials_check(const struct eas_verifier *verifier, apr_pool_t *pool,
                                  const struct eas_credentials_request *request,
                                  struct eas_credentials_result *result, struct eas_err *err)
{
    const struct eas_credentials *credentials = request->credentials;
    struct log_on arguments = { .verifier = verifier,
                                .request = { .authority = request->authority,
                                             .password = credentials->password },
                                .rules = *request->rules,
                                .address = request->address,
                                .after_change = request->after_change };
    unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE];
    enum eas_rc rc = EAS_OK;
    bool known;

    result->identity = NULL;
    memset(&result->attempt, 0, sizeof(result->attempt));
    if (verifier->cache == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 1256,
                        "this httpd process has no password cache and cannot verify passwords");
    }
    known = eas_password_cache_known_key(verifier->cache, request->vhost_key, credentials, digest,
                                         &arguments.key);
    if (!known) {
        rc = eas_password_cache_credentials_key(verifier->cache, request->vhost_key, credentials,
                                                &arguments.key, err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    if (request->rules->cache_for > 0) {
        result->identity =
            find_cached(verifier, pool, request->authority, &arguments.key, EAS_SHARED_CACHE_LOCAL);
        if (result->identity != NULL && !known) {
            eas_password_cache_keep_key(verifier->cache, digest, &arguments.key);
        }
        if (result->identity != NULL) {
            return EAS_OK;
        }
    }
    rc = eas_identity_parse(pool, credentials->name, credentials->name_len,
                            &request->authority->realms, &arguments.request.login, err);
    return rc == EAS_OK ? run_job_when_admitted(pool, &arguments, result, err) : rc;
}
