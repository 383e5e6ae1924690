/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/credentials.c - the façade of password proof: from what was typed to an identity */

#include "auth/password/credentials.h"
#include "auth/kerberos/ticket.h"

#include <apr_atomic.h>
#include <apr_strings.h>
#include <string.h>

/* How long to wait before looking again at an account that others are asking about: at first, and at
 * most. */
#define BUSY_NAP apr_time_from_msec(5)
#define BUSY_NAP_MAX apr_time_from_msec(40)

/* What the job takes along, and what it leaves. */
struct proof_job {
    apr_pool_t *pool;
    const struct eas_verifier *verifier;
    const struct eas_authority *authority;
    struct eas_login login;
    struct eas_secret *password;
    unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE];
    struct eas_throttle_rules rules;
    const char *address;
    struct eas_identity *identity; /* result */
    struct eas_throttle_attempt attempt;
    volatile apr_uint32_t told; /* somebody logs what is to be logged once */
};

/* --- the shelf: the guard's stamp, the principal, a NUL, and the evidence -------------------- */

static void put_shared(const struct proof_job *job, apr_time_t expires)
{
    const struct eas_shared_cache *shared_cache = job->verifier->shared_cache;
    const struct eas_identity *identity = job->identity;
    apr_time_t stale_at = eas_ticket_stale_at(identity->evidence);
    apr_size_t name_len = strlen(identity->principal) + 1, len;
    const unsigned char *ticket;
    struct eas_secret *record;
    struct eas_err ignored;
    char *p;

    if (eas_ticket_marshal(identity->evidence, job->pool, &ticket, &len, &ignored) == EAS_OK) {
        record = eas_secret_room(job->pool, EAS_THROTTLE_VERSION_SIZE + name_len + len);
        p = record->bytes;
        eas_throttle_write_version(job->verifier->guard, &job->attempt.stamp, (unsigned char *)p);
        memcpy(p + EAS_THROTTLE_VERSION_SIZE, identity->principal, name_len);
        memcpy(p + EAS_THROTTLE_VERSION_SIZE + name_len, ticket, len);
        shared_cache->put(shared_cache, job->pool, job->key, sizeof(job->key), record->bytes,
                          record->len, expires < stale_at ? expires : stale_at);
    }
}

/* From a record, which is remembered here too; NULL if it is none of ours, or of an old password. */
static struct eas_identity *take_record(const struct eas_verifier *verifier, apr_pool_t *pool,
                                        const unsigned char *key, const unsigned char *value,
                                        apr_size_t len, apr_time_t expires)
{
    const unsigned char *name = value + EAS_THROTTLE_VERSION_SIZE, *nul;
    struct eas_identity *identity;
    struct eas_ticket *evidence;
    struct eas_password_version stamp;

    if (len < EAS_THROTTLE_VERSION_SIZE
        || !eas_throttle_read_version(verifier->guard, value, &stamp)) {
        return NULL;
    }
    len -= EAS_THROTTLE_VERSION_SIZE;
    nul = memchr(name, '\0', len);
    if (nul == NULL) {
        return NULL;
    }
    evidence = eas_ticket_unmarshal(nul + 1, len - (apr_size_t)(nul + 1 - name));
    if (evidence == NULL) {
        return NULL;
    }
    identity = apr_pcalloc(pool, sizeof(*identity));
    identity->principal = apr_pstrdup(pool, (const char *)name);
    identity->authenticated_by = EAS_BY_CACHE;
    identity->evidence = eas_ticket_to_pool(evidence, pool);
    eas_password_cache_put(verifier->memory, key, identity, stamp, expires);
    return identity;
}

static struct eas_identity *find_on_shelf(const struct eas_verifier *verifier, apr_pool_t *pool,
                                          const unsigned char *key,
                                          enum eas_shared_cache_reach reach)
{
    const struct eas_shared_cache *shared_cache = verifier->shared_cache;
    const unsigned char *value;
    apr_time_t expires;
    apr_size_t len;

    return shared_cache->find(shared_cache, pool, key, EAS_PASSWORD_CACHE_KEY_SIZE, reach, &value,
                              &len, &expires)
               ? take_record(verifier, pool, key, value, len, expires)
               : NULL;
}

/* --- the job ----------------------------------------------------------------------------------- */

static void *prepare(apr_pool_t *pool, const void *ask)
{
    struct proof_job *job = apr_pmemdup(pool, ask, sizeof(*job));

    job->pool = pool;
    job->login.user = apr_pstrdup(pool, job->login.user);
    job->login.realm = apr_pstrdup(pool, job->login.realm);
    job->address = apr_pstrdup(pool, job->address);
    job->password = eas_secret_make(pool, job->password->bytes, job->password->len);
    return job;
}

/* Another flight may have landed since the asker looked, here or at another gateway. */
static struct eas_identity *find_meanwhile(const struct proof_job *job)
{
    struct eas_identity *identity;

    if (job->rules.proved_for <= 0) {
        return NULL;
    }
    identity = eas_password_cache_get(job->verifier->memory, job->key, apr_time_now(), job->pool);
    return identity != NULL
               ? identity
               : find_on_shelf(job->verifier, job->pool, job->key, EAS_SHARED_CACHE_REMOTE);
}

/* The guard counts what is asked before it is asked, and hears of the answer always. */
static enum eas_rc ask_guarded(struct eas_job *kdc_job, struct proof_job *job, struct eas_err *err)
{
    const struct eas_throttle *guard = job->verifier->guard;
    enum eas_rc rc =
        eas_throttle_begin(job->pool, kdc_job, guard, &job->rules, job->authority, &job->login,
                           job->password, job->address, &job->attempt, err);

    if (rc == EAS_OK) {
        rc = eas_password_verify(job->pool, kdc_job, job->authority, &job->login, job->password,
                                 &job->identity, err);
        eas_throttle_end(job->pool, guard, &job->rules, &job->attempt, rc, err);
    }
    if (rc == EAS_OK && job->rules.proved_for > 0) {
        apr_time_t expires = apr_time_now() + job->rules.proved_for;

        eas_password_cache_put(job->verifier->memory, job->key, job->identity, job->attempt.stamp,
                               expires);
        put_shared(job, expires);
    }
    return rc;
}

static enum eas_rc run(struct eas_job *kdc_job, void *data, struct eas_err *err)
{
    struct proof_job *job = data;
    enum eas_rc rc = EAS_OK;

    job->identity = find_meanwhile(job);
    if (job->identity == NULL) {
        rc = ask_guarded(kdc_job, job, err);
    }
    eas_secret_wipe(job->password);
    return rc;
}

/* What the guard did, for this asker. */
static void tell(apr_pool_t *pool, struct proof_job *done, struct eas_throttle_attempt *attempt)
{
    *attempt = done->attempt;
    attempt->account = apr_pstrdup(pool, done->attempt.account);
    if (apr_atomic_xchg32(&done->told, 1) != 0) {
        attempt->locked_now = attempt->source_spent_now = false;
    }
}

static enum eas_rc ask_kdc(const struct eas_verifier *verifier, apr_pool_t *pool,
                           const struct eas_credentials_request *request,
                           const struct proof_job *ask, struct eas_identity **out,
                           struct eas_throttle_attempt *attempt, apr_interval_time_t *waited,
                           struct eas_err *err)
{
    struct eas_workers_task task = {
        .peer = ask->login.realm,
        .timeout = request->authority->kdc_timeout,
        .prepare = prepare,
        .run = run,
        .key = eas_bytes_make(ask->key, sizeof(ask->key)),
        .input = ask,
    };
    struct eas_job *job;
    enum eas_rc rc = eas_workers_run(verifier->workers, &task,
                                     request->authority->kdc_timeout - *waited, &job, waited, err);

    if (job != NULL) {
        struct proof_job *done = eas_job_copy(job);

        tell(pool, done, attempt);
        if (rc == EAS_OK) {
            *out = apr_pmemdup(pool, done->identity, sizeof(**out));
            (*out)->principal = apr_pstrdup(pool, done->identity->principal);
            eas_ticket_to_pool(eas_ticket_ref(done->identity->evidence), pool);
        }
        eas_job_release(job);
    }
    return rc;
}

/* While others ask about this account, as many as may: waits for what they hear, on no KDC's thread. */
static enum eas_rc ask_in_turn(const struct eas_verifier *verifier, apr_pool_t *pool,
                               const struct eas_credentials_request *request,
                               const struct proof_job *ask, struct eas_identity **out,
                               struct eas_throttle_attempt *attempt, apr_interval_time_t *waited,
                               struct eas_err *err)
{
    apr_interval_time_t nap = BUSY_NAP;
    enum eas_rc rc;

    for (;;) {
        memset(attempt, 0, sizeof(*attempt));
        rc = ask_kdc(verifier, pool, request, ask, out, attempt, waited, err);
        if (!attempt->busy || *waited + nap >= request->authority->kdc_timeout) {
            return rc;
        }
        apr_sleep(nap);
        *waited += nap;
        nap = nap < BUSY_NAP_MAX ? 2 * nap : nap;
    }
}

enum eas_rc eas_credentials_check(const struct eas_verifier *verifier, apr_pool_t *pool,
                                  const struct eas_credentials_request *request,
                                  struct eas_identity **out, struct eas_throttle_attempt *attempt,
                                  apr_interval_time_t *waited, struct eas_err *err)
{
    struct proof_job ask = { .verifier = verifier,
                             .authority = request->authority,
                             .password = request->credentials->password,
                             .rules = *request->rules,
                             .address = request->address };
    enum eas_rc rc;

    memset(attempt, 0, sizeof(*attempt));
    if (verifier->memory == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 1256, "this httpd process cannot prove passwords");
    }
    rc = eas_password_cache_key(verifier->memory, request->scope, request->credentials, ask.key,
                                err);
    if (rc != EAS_OK) {
        return rc;
    }
    *out = NULL;
    if (request->rules->proved_for > 0) {
        *out = eas_password_cache_get(verifier->memory, ask.key, apr_time_now(), pool);
        if (*out == NULL) {
            *out = find_on_shelf(verifier, pool, ask.key, EAS_SHARED_CACHE_LOCAL);
        }
    }
    if (*out != NULL) {
        return EAS_OK;
    }
    rc = eas_identity_parse(pool, request->credentials->name, request->credentials->name_len,
                            &request->authority->realms, &ask.login, err);
    return rc == EAS_OK ? ask_in_turn(verifier, pool, request, &ask, out, attempt, waited, err)
                        : rc;
}
