/* SPDX-License-Identifier: Apache-2.0 */
/* auth/proof.c - the façade of password proof: from what was typed to an identity */

#include "auth/proof.h"
#include "auth/ticket.h"

#include <apr_strings.h>
#include <string.h>

/* What the job takes along, and what it leaves. */
struct proof_job {
    apr_pool_t *pool;
    const struct eas_prover *prover;
    const struct eas_authority *authority;
    struct eas_login login;
    struct eas_secret *password;
    unsigned char key[EAS_MEMORY_KEY_SIZE];
    apr_interval_time_t remember;
    struct eas_identity *identity; /* result */
};

/* --- the shelf: the principal, a NUL, and the evidence ------------------------------------- */

static void put_on_shelf(const struct proof_job *job, apr_time_t expires)
{
    const struct eas_shelf *shelf = job->prover->shelf;
    const struct eas_identity *identity = job->identity;
    apr_time_t stale_at = eas_ticket_stale_at(identity->evidence);
    apr_size_t name_len = strlen(identity->principal) + 1, len;
    const unsigned char *ticket;
    struct eas_secret *record;
    struct eas_err ignored;

    if (eas_ticket_marshal(identity->evidence, job->pool, &ticket, &len, &ignored) == EAS_OK) {
        record = eas_secret_room(job->pool, name_len + len);
        memcpy(record->bytes, identity->principal, name_len);
        memcpy(record->bytes + name_len, ticket, len);
        shelf->put(shelf, job->pool, job->key, sizeof(job->key), record->bytes, record->len,
                   expires < stale_at ? expires : stale_at);
    }
}

/* From a record, which is remembered here too; NULL if it is none of ours. */
static struct eas_identity *take_record(const struct eas_prover *prover, apr_pool_t *pool,
                                        const unsigned char *key, const unsigned char *value,
                                        apr_size_t len, apr_time_t expires)
{
    const unsigned char *nul = memchr(value, '\0', len);
    struct eas_identity *identity;
    struct eas_ticket *evidence;

    if (nul == NULL) {
        return NULL;
    }
    evidence = eas_ticket_unmarshal(nul + 1, len - (apr_size_t)(nul + 1 - value));
    if (evidence == NULL) {
        return NULL;
    }
    identity = apr_pcalloc(pool, sizeof(*identity));
    identity->principal = apr_pstrdup(pool, (const char *)value);
    identity->proof = EAS_PROOF_CACHED;
    identity->evidence = eas_ticket_to_pool(evidence, pool);
    eas_memory_remember(prover->memory, key, identity, expires);
    return identity;
}

static struct eas_identity *find_near(const struct eas_prover *prover, apr_pool_t *pool,
                                      const unsigned char *key)
{
    const struct eas_shelf *shelf = prover->shelf;
    const unsigned char *value;
    apr_time_t expires;
    apr_size_t len;

    return shelf->find_near(shelf, pool, key, EAS_MEMORY_KEY_SIZE, &value, &len, &expires)
               ? take_record(prover, pool, key, value, len, expires)
               : NULL;
}

static struct eas_identity *find_far(const struct proof_job *job)
{
    const struct eas_shelf *shelf = job->prover->shelf;
    const unsigned char *value;
    apr_time_t expires;
    apr_size_t len;

    return shelf->find_far(shelf, job->pool, job->key, sizeof(job->key), &value, &len, &expires)
               ? take_record(job->prover, job->pool, job->key, value, len, expires)
               : NULL;
}

/* --- the job ----------------------------------------------------------------------------------- */

static void *prepare(apr_pool_t *pool, const void *ask)
{
    struct proof_job *job = apr_pmemdup(pool, ask, sizeof(*job));

    job->pool = pool;
    job->login.user = apr_pstrdup(pool, job->login.user);
    job->login.realm = apr_pstrdup(pool, job->login.realm);
    job->password = eas_secret_make(pool, job->password->bytes, job->password->len);
    return job;
}

/* Another flight may have landed since the asker looked, here or at another gateway. */
static struct eas_identity *find_meanwhile(const struct proof_job *job)
{
    struct eas_identity *identity = NULL;

    if (job->remember > 0) {
        identity = eas_memory_recall(job->prover->memory, job->key, apr_time_now(), job->pool);
    }
    return identity == NULL && job->remember > 0 ? find_far(job) : identity;
}

static enum eas_rc run(struct eas_kdc_job *kdc_job, void *data, struct eas_err *err)
{
    struct proof_job *job = data;
    enum eas_rc rc = EAS_OK;

    job->identity = find_meanwhile(job);
    if (job->identity == NULL) {
        rc = eas_password_prove(job->pool, kdc_job, job->authority, &job->login, job->password,
                                &job->identity, err);
        if (rc == EAS_OK && job->remember > 0) {
            apr_time_t expires = apr_time_now() + job->remember;

            eas_memory_remember(job->prover->memory, job->key, job->identity, expires);
            put_on_shelf(job, expires);
        }
    }
    eas_secret_wipe(job->password);
    return rc;
}

static enum eas_rc ask_kdc(const struct eas_prover *prover, apr_pool_t *pool,
                           const struct eas_proof_wish *wish, const struct proof_job *ask,
                           struct eas_identity **out, apr_interval_time_t *waited,
                           struct eas_err *err)
{
    struct eas_kdc_task task = { ask->login.realm, wish->authority->kdc_timeout, prepare, run };
    struct eas_kdc_job *job;
    enum eas_rc rc = eas_kdc_pool_ask(prover->kdcs, &task, ask->key, sizeof(ask->key), ask,
                                      wish->authority->kdc_timeout - *waited, &job, waited, err);

    if (rc == EAS_OK) {
        const struct proof_job *done = eas_kdc_job_copy(job);

        *out = apr_pmemdup(pool, done->identity, sizeof(**out));
        (*out)->principal = apr_pstrdup(pool, done->identity->principal);
        eas_ticket_to_pool(eas_ticket_ref(done->identity->evidence), pool);
        eas_kdc_job_release(job);
    }
    return rc;
}

enum eas_rc eas_proof_of(const struct eas_prover *prover, apr_pool_t *pool,
                         const struct eas_proof_wish *wish, struct eas_identity **out,
                         apr_interval_time_t *waited, struct eas_err *err)
{
    struct proof_job ask = { NULL,
                             prover,
                             wish->authority,
                             { NULL, NULL, false },
                             wish->credentials->password,
                             { 0 },
                             wish->remember,
                             NULL };
    enum eas_rc rc;

    if (prover->memory == NULL) {
        return eas_fail(err, EAS_UNAVAILABLE, 1256, "this httpd process cannot prove passwords");
    }
    rc = eas_memory_key(prover->memory, wish->scope, wish->credentials, ask.key, err);
    if (rc != EAS_OK) {
        return rc;
    }
    *out = NULL;
    if (wish->remember > 0) {
        *out = eas_memory_recall(prover->memory, ask.key, apr_time_now(), pool);
        if (*out == NULL) {
            *out = find_near(prover, pool, ask.key);
        }
    }
    if (*out != NULL) {
        return EAS_OK;
    }
    rc = eas_identity_parse(pool, wish->credentials->name, wish->credentials->name_len,
                            &wish->authority->realms, &ask.login, err);
    return rc == EAS_OK ? ask_kdc(prover, pool, wish, &ask, out, waited, err) : rc;
}
