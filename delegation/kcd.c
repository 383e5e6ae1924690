/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kcd.c - constrained delegation: from an identity to a token for a backend */

#include "delegation/kcd.h"
#include "auth/base/counters.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/service_tgt.h"
#include "auth/kerberos/ticket.h"
#include "delegation/kerberos/s4u.h"
#include "delegation/services.h"
#include "delegation/ticket_cache.h"

#include <apr_strings.h>
#include <string.h>

struct eas_kcd {
    struct eas_workers *workers;
    struct eas_ticket_cache *cache;
    struct eas_token_maker *token_maker;
};

struct eas_kcd_principal {
    struct eas_kcd *kcd;
    struct eas_service_tgt *service_tgt;
    struct eas_services *services;
    const struct eas_realms *realms;
    apr_interval_time_t timeout; /* of the exchanges of one request */
    const char *realm;
    const char *text; /* the principal and its realms; the same in every process */
    apr_size_t text_len;
};

struct eas_kcd *eas_kcd_create(struct eas_workers *workers,
                               const struct eas_shared_cache *shared_cache, apr_size_t cache_bytes)
{
    apr_pool_t *pool = eas_workers_pool(workers);
    struct eas_kcd *kcd = apr_palloc(pool, sizeof(*kcd));

    kcd->workers = workers;
    kcd->cache = eas_ticket_cache_create(pool, cache_bytes, shared_cache);
    kcd->token_maker = eas_token_maker_create(pool);
    return kcd;
}

struct eas_kcd_principal *eas_kcd_principal_create(struct eas_kcd *kcd,
                                                   struct eas_service_tgt *service_tgt,
                                                   const struct eas_realms *realms,
                                                   apr_interval_time_t kdc_timeout)
{
    apr_pool_t *pool = eas_workers_pool(kcd->workers);
    struct eas_kcd_principal *principal = apr_palloc(pool, sizeof(*principal));
    const struct eas_keytab *keytab = eas_service_tgt_keytab(service_tgt);
    krb5_const_principal us = eas_keytab_principal(keytab);

    principal->kcd = kcd;
    principal->service_tgt = service_tgt;
    principal->services = eas_services_create(pool);
    principal->realms = realms;
    principal->timeout = kdc_timeout;
    principal->realm = apr_pstrmemdup(pool, us->realm.data, us->realm.length);
    principal->text = apr_pstrcat(pool, eas_keytab_principal_name(keytab), "\n",
                                  eas_identity_realms_text(pool, realms), NULL);
    principal->text_len = strlen(principal->text);
    return principal;
}

/*
 * Text: the kind of evidence, the user, the service, the delegation principal.  A ticket from a
 * password's evidence must not serve a user that another module authenticated.  A certificate stands
 * for its user by its digest, so that no name leads to its ticket.  No part except the last can hold a
 * newline.
 */
static struct eas_bytes cache_key(apr_pool_t *pool, const struct eas_kcd_principal *principal,
                                  const struct eas_kcd_request *request)
{
    const char *right = request->identity->evidence != NULL      ? "proxy\n"
                        : request->identity->certificate.len > 0 ? "certificate\n"
                                                                 : "self\n";
    struct iovec parts[] = {
        { (char *)right, strlen(right) },
        { (char *)request->identity->principal, strlen(request->identity->principal) },
        { (char *)"\n", 1 },
        { (char *)request->spn, strlen(request->spn) },
        { (char *)"\n", 1 },
        { (char *)principal->text, principal->text_len },
    };
    struct eas_bytes key;

    key.at = (unsigned char *)apr_pstrcatv(pool, parts, sizeof(parts) / sizeof(parts[0]), &key.len);
    return key;
}

/* --- exchanges with the KDC ------------------------------------------------------------------- */

/*
 * S4U2Self leaves an enterprise name as it is, and backends without AD's SIDs would take it for the
 * user's name.  The PAC has the account's name, for which S4U2Self is repeated.
 */
static enum eas_rc canonicalize_evidence(const struct eas_kcd_principal *principal,
                                         struct eas_kdc *kdc, apr_pool_t *pool,
                                         struct eas_ticket **evidence, struct eas_err *err)
{
    struct eas_keytab *keytab = eas_service_tgt_keytab(principal->service_tgt);
    const krb5_data *realm = &eas_ticket_creds(*evidence)->client->realm;
    const struct eas_pac *pac = eas_ticket_pac(*evidence, kdc->ctx, keytab);
    struct eas_login login = { .user = NULL };

    if (pac == NULL || pac->account == NULL) {
        return EAS_OK;
    }
    login.user = apr_pstrdup(pool, pac->account);
    login.realm = apr_pstrmemdup(pool, realm->data, realm->length);
    eas_ticket_unref(*evidence);
    return eas_s4u_self(kdc, principal->service_tgt, &login, evidence, err);
}

/* The canonical name may be that of an alias: a service, or a user of a foreign realm. */
static enum eas_rc fetch_evidence(const struct eas_kcd_principal *principal, struct eas_kdc *kdc,
                                  apr_pool_t *pool, const struct eas_identity *identity,
                                  struct eas_ticket **evidence, struct eas_err *err)
{
    const struct eas_login *login = &identity->login;
    const char *canonical;
    enum eas_rc rc = identity->certificate.len > 0
                         ? eas_s4u_self_certificate(kdc, principal->service_tgt,
                                                    identity->certificate, evidence, err)
                         : eas_s4u_self(kdc, principal->service_tgt, login, evidence, err);

    if (rc == EAS_OK && login->enterprise) {
        rc = canonicalize_evidence(principal, kdc, pool, evidence, err);
    }
    if (rc == EAS_OK) {
        rc = eas_kdc_user_name(kdc, pool, eas_ticket_creds(*evidence)->client, principal->realms,
                               &canonical, err);
        if (rc == EAS_DENIED) {
            rc = err->rc = EAS_FORBIDDEN;
        }
        if (rc != EAS_OK) {
            eas_ticket_unref(*evidence);
        }
    }
    return rc;
}

/* One name for all spellings of a user: that of the KDC's own ticket. */
static const char *user_of(struct eas_kdc *kdc, apr_pool_t *pool, const struct eas_ticket *evidence)
{
    char *name = NULL;
    const char *copy = "";

    if (krb5_unparse_name(kdc->ctx, eas_ticket_creds(evidence)->client, &name) == 0) {
        copy = apr_pstrdup(pool, name);
    }
    krb5_free_unparsed_name(kdc->ctx, name);
    return copy;
}

static enum eas_rc fetch_ticket(const struct eas_kcd_principal *principal, struct eas_kdc *kdc,
                                apr_pool_t *pool, const struct eas_kcd_request *request,
                                struct eas_ticket **ticket, struct eas_err *err)
{
    struct eas_s4u_proxy_request proxy = { .evidence = request->identity->evidence,
                                           .origin = EAS_S4U_FROM_PASSWORD,
                                           .spn = request->spn };
    struct eas_ticket *evidence = NULL;
    enum eas_rc rc = EAS_OK;

    if (proxy.evidence == NULL) {
        rc = fetch_evidence(principal, kdc, pool, request->identity, &evidence, err);
        proxy.evidence = evidence;
        proxy.origin = EAS_S4U_FROM_TRANSITION;
    }
    if (rc == EAS_OK) {
        rc = eas_s4u_proxy(kdc, principal->service_tgt, &proxy, ticket, err);
        if (rc == EAS_NO_SERVICE
            && !eas_services_refused(principal->services, request->spn,
                                     user_of(kdc, pool, proxy.evidence))) {
            rc = err->rc = EAS_MISCONFIGURED;
        }
        eas_ticket_unref(evidence);
    }
    return rc;
}

/* --- the job that fetches a ticket ------------------------------------------------------------ */

struct ticket_job {
    apr_pool_t *pool;
    const struct eas_kcd_principal *principal;
    struct eas_kcd_request request;
    struct eas_bytes key;      /* followed by a NUL */
    apr_time_t renews;         /* a renewal: the old ticket's end; otherwise 0 */
    struct eas_ticket *ticket; /* result, held by the pool */
    enum eas_kcd_ticket_origin origin;
};

static bool load_shared(const struct ticket_job *job, enum eas_shared_cache_reach reach)
{
    return eas_ticket_cache_load(job->principal->kcd->cache, job->pool, job->key, reach,
                                 job->renews, apr_time_now());
}

static enum eas_ticket_cache_state find_cached(const struct ticket_job *job,
                                               apr_time_t renewable_until,
                                               struct eas_ticket **ticket, struct eas_err *err)
{
    const struct eas_ticket_cache_query query = { .key = job->key,
                                                  .spn = job->request.spn,
                                                  .refused = job->request.refused,
                                                  .renewable_until = renewable_until };

    return eas_ticket_cache_find(job->principal->kcd->cache, &query, apr_time_now(), ticket, err);
}

/* For a job: without the evidence, which has a count of its own. */
static struct eas_identity *copy_identity(apr_pool_t *pool, const struct eas_identity *original)
{
    struct eas_identity *identity = apr_pmemdup(pool, original, sizeof(*identity));

    identity->principal = apr_pstrdup(pool, identity->principal);
    identity->login.user = apr_pstrdup(pool, identity->login.user);
    identity->login.realm = apr_pstrdup(pool, identity->login.realm);
    identity->certificate.at =
        apr_pmemdup(pool, identity->certificate.at, identity->certificate.len);
    return identity;
}

static void *prepare_ticket(apr_pool_t *pool, const void *ask)
{
    struct ticket_job *job = apr_pmemdup(pool, ask, sizeof(*job));
    struct eas_identity *identity = copy_identity(pool, job->request.identity);

    job->pool = pool;
    job->key.at = apr_pmemdup(pool, job->key.at, job->key.len);
    job->request.spn = apr_pstrdup(pool, job->request.spn);
    job->request.identity = identity;
    if (identity->evidence != NULL) {
        eas_ticket_to_pool(eas_ticket_ref(identity->evidence), pool);
    }
    if (job->request.refused != NULL) {
        eas_ticket_to_pool(eas_ticket_ref((struct eas_ticket *)job->request.refused), pool);
    }
    return job;
}

/*
 * Whether a failure counts for further requests.  Without an answer about the user and the service, a
 * ticket that the cache has stays: the backend may have refused one request only.
 */
static bool is_of_ticket(enum eas_rc rc, const struct ticket_job *job)
{
    return rc != EAS_OK && rc != EAS_UNAVAILABLE && job->renews == 0
           && (rc != EAS_MISCONFIGURED || job->request.refused == NULL);
}

static enum eas_rc fetch(struct ticket_job *job, struct eas_job *kdc_job, struct eas_err *err)
{
    struct eas_ticket_cache *cache = job->principal->kcd->cache;
    bool replaces = job->request.refused != NULL;
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, kdc_job, job->principal->timeout, err);

    if (rc == EAS_OK) {
        rc = fetch_ticket(job->principal, &kdc, job->pool, &job->request, &job->ticket, err);
    }
    eas_kdc_close(&kdc);
    if (job->renews != 0) {
        eas_counters_add(rc == EAS_OK ? EAS_COUNTER_RENEWAL_DONE : EAS_COUNTER_RENEWAL_FAILED);
    }
    if (rc == EAS_OK) {
        eas_services_issued(job->principal->services, job->request.spn);
        eas_ticket_to_pool(job->ticket, job->pool);
        eas_ticket_cache_put(cache, job->pool, job->key, job->ticket, replaces, apr_time_now());
    }
    if (is_of_ticket(rc, job)) {
        eas_ticket_cache_put_refusal(cache, job->key, err, apr_time_now());
    }
    return rc;
}

/* Another job may have ended since the caller searched, here or at another gateway. */
static enum eas_rc run_ticket(struct eas_job *kdc_job, void *data, struct eas_err *err)
{
    struct ticket_job *job = data;
    enum eas_ticket_cache_state state = EAS_TICKET_CACHE_NOTHING;

    job->origin = EAS_KCD_SHARED;
    if (job->renews == 0) {
        state = find_cached(job, 0, &job->ticket, err);
    }
    if (state == EAS_TICKET_CACHE_NOTHING && load_shared(job, EAS_SHARED_CACHE_REMOTE)) {
        state = find_cached(job, 0, &job->ticket, err);
    }
    if (state == EAS_TICKET_CACHE_NOTHING) {
        job->origin = EAS_KCD_FETCHED;
        return fetch(job, kdc_job, err);
    }
    if (state == EAS_TICKET_CACHE_REFUSED) {
        return err->rc;
    }
    eas_services_issued(job->principal->services, job->request.spn);
    eas_ticket_to_pool(job->ticket, job->pool);
    return EAS_OK;
}

static struct eas_workers_task task_of(const struct ticket_job *ask)
{
    struct eas_workers_task task = { .peer = ask->principal->realm,
                                     .continued = ask->request.waited > 0,
                                     .prepare = prepare_ticket,
                                     .run = run_ticket,
                                     .key = ask->key,
                                     .input = ask };

    return task;
}

static void renew(const struct ticket_job *ask, const struct eas_ticket *ticket)
{
    struct eas_workers_task task = task_of(ask);
    struct ticket_job renewal = *ask;

    task.continued = false;
    renewal.renews = eas_ticket_end(ticket);
    renewal.request.refused = NULL;
    task.input = &renewal;
    eas_workers_run_in_background(ask->principal->kcd->workers, &task);
}

static enum eas_rc ask_kdc(struct ticket_job *ask, struct eas_kcd_result *result,
                           struct eas_err *err)
{
    const struct eas_kcd_principal *principal = ask->principal;
    struct eas_workers_task task = task_of(ask);
    struct eas_job *job;
    enum eas_rc rc;

    /* A caller whose ticket was refused must not join a job of callers that accept it.  The key's
     * NUL tells the two jobs apart. */
    task.key.len += ask->request.refused != NULL;
    rc = eas_workers_run(principal->kcd->workers, &task, principal->timeout - ask->request.waited,
                         &job, &result->waited, err);
    if (rc == EAS_OK) {
        const struct ticket_job *done = eas_job_copy(job);

        result->ticket = eas_ticket_to_pool(eas_ticket_ref(done->ticket), ask->pool);
        result->origin = done->origin;
    }
    if (job != NULL) {
        eas_job_release(job);
    }
    return rc;
}

/* A renewed ticket ends with the evidence at the latest. */
static apr_time_t renewable_until(const struct eas_identity *identity)
{
    return identity->evidence != NULL ? eas_ticket_end(identity->evidence) : APR_INT64_MAX;
}

enum eas_rc eas_kcd_ticket(const struct eas_kcd_principal *principal, apr_pool_t *pool,
                           const struct eas_kcd_request *request, struct eas_kcd_result *result,
                           struct eas_err *err)
{
    struct ticket_job ask = { .pool = pool, .principal = principal, .request = *request };
    apr_time_t until = renewable_until(request->identity);
    enum eas_ticket_cache_state state;
    struct eas_ticket *ticket;

    result->waited = 0;
    if (request->identity->evidence == NULL && !request->transition) {
        return eas_fail(
            err, EAS_FORBIDDEN, 2040,
            "the user was not authenticated by a password, and EasKcdProtocolTransition is Off");
    }
    ask.key = cache_key(pool, principal, request);
    result->key = (const char *)ask.key.at;
    result->origin = EAS_KCD_HIT;
    state = find_cached(&ask, until, &ticket, err);
    if (state == EAS_TICKET_CACHE_NOTHING && load_shared(&ask, EAS_SHARED_CACHE_LOCAL)) {
        result->origin = EAS_KCD_SHARED;
        state = find_cached(&ask, until, &ticket, err);
    }
    if (state == EAS_TICKET_CACHE_NOTHING) {
        return ask_kdc(&ask, result, err);
    }
    if (state == EAS_TICKET_CACHE_REFUSED) {
        return err->rc;
    }
    result->ticket = eas_ticket_to_pool(ticket, pool);
    if (result->origin == EAS_KCD_SHARED) {
        eas_services_issued(principal->services, request->spn);
    }
    if (state == EAS_TICKET_CACHE_RENEWAL_DUE) {
        renew(&ask, ticket);
    }
    return EAS_OK;
}

/* --- the job that gets evidence by S4U2Self --------------------------------------------------- */

struct evidence_job {
    apr_pool_t *pool;
    const struct eas_kcd_principal *principal;
    const struct eas_identity *identity;
    struct eas_ticket *evidence; /* result, held by the pool */
};

static void *prepare_evidence(apr_pool_t *pool, const void *ask)
{
    struct evidence_job *job = apr_pmemdup(pool, ask, sizeof(*job));

    job->pool = pool;
    job->identity = copy_identity(pool, job->identity);
    return job;
}

static enum eas_rc run_evidence(struct eas_job *kdc_job, void *data, struct eas_err *err)
{
    struct evidence_job *job = data;
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, kdc_job, job->principal->timeout, err);

    if (rc == EAS_OK) {
        rc = fetch_evidence(job->principal, &kdc, job->pool, job->identity, &job->evidence, err);
    }
    if (rc == EAS_OK) {
        eas_ticket_to_pool(job->evidence, job->pool);
        eas_ticket_pac(job->evidence, kdc.ctx, eas_service_tgt_keytab(job->principal->service_tgt));
    }
    eas_kdc_close(&kdc);
    return rc;
}

static const char *evidence_key(apr_pool_t *pool, const struct eas_kcd_principal *principal,
                                const struct eas_identity *identity)
{
    const struct eas_login *login = &identity->login;

    return identity->certificate.len > 0
               ? apr_pstrcat(pool, "certificate\n", identity->principal, "\n", principal->text,
                             NULL)
               : apr_pstrcat(pool, login->enterprise ? "upn\n" : "evidence\n", login->user, "\n",
                             login->realm, "\n", principal->text, NULL);
}

enum eas_rc eas_kcd_evidence(const struct eas_kcd_principal *principal, apr_pool_t *pool,
                             const struct eas_identity *identity, struct eas_ticket **evidence_out,
                             apr_interval_time_t *waited, struct eas_err *err)
{
    struct evidence_job ask = { .pool = pool, .principal = principal, .identity = identity };
    const char *key = evidence_key(pool, principal, identity);
    struct eas_workers_task task = { .peer = principal->realm,
                                     .continued = *waited > 0,
                                     .prepare = prepare_evidence,
                                     .run = run_evidence,
                                     .key = eas_bytes_of_text(key),
                                     .input = &ask };
    struct eas_job *job;
    enum eas_rc rc = eas_workers_run(principal->kcd->workers, &task, principal->timeout - *waited,
                                     &job, waited, err);

    if (rc == EAS_OK) {
        const struct evidence_job *done = eas_job_copy(job);

        *evidence_out = eas_ticket_ref(done->evidence);
    }
    if (job != NULL) {
        eas_job_release(job);
    }
    return rc;
}

enum eas_rc eas_kcd_token(const struct eas_kcd_principal *principal, apr_pool_t *pool,
                          const struct eas_token_request *request, struct eas_token *token_out,
                          struct eas_err *err)
{
    return eas_token_make(principal->kcd->token_maker, pool, request, token_out, err);
}
