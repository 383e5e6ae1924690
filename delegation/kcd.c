/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kcd.c - the façade of constrained delegation: from an identity to a token for a backend */

#include "delegation/kcd.h"
#include "auth/kerberos/kdc.h"
#include "auth/base/lru.h"
#include "auth/base/secret.h"
#include "auth/kerberos/ticket.h"
#include "delegation/kerberos/service_tgt.h"
#include "delegation/kerberos/token.h"
#include "delegation/kerberos/s4u.h"

#include <apr_atomic.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

/* How long a ticket stays that has replaced a refused one, though it be refused too. */
#define REPLACED_STAYS apr_time_from_sec(60)

/* How long the KDC's refusal to delegate is believed. */
#define REFUSAL_STAYS apr_time_from_sec(10)

/* How soon a ticket may be renewed, in seconds: the new one may end no later than the old one. */
#define RENEW_AGAIN_AFTER 30

struct eas_kcd {
    struct eas_workers *workers;
    const struct eas_shared_cache *shared_cache;
    struct eas_lru *tickets;
    struct eas_token_maker *mint;
};

struct eas_kcd_principal {
    struct eas_kcd *kcd;
    struct eas_service_tgt *gateway;
    const struct eas_realms *realms;
    apr_interval_time_t timeout;
    const char *realm; /* the gateway's own */
    const char *name;  /* the same for the same account and realms in whatever process */
    apr_size_t name_len;
};

/* What the cache keeps; immutable but for the counters. */
struct kept {
    volatile apr_uint32_t refs;
    volatile apr_uint32_t renewed_at; /* when it came, or was last to be renewed, in seconds */
    struct eas_ticket *ticket;        /* or NULL: the KDC refuses, and err is why */
    apr_time_t replaced_at;           /* when it took the place of a refused one, or 0 */
    struct eas_err *err;
};

static void kept_retain(void *value)
{
    apr_atomic_inc32(&((struct kept *)value)->refs);
}

static void kept_release(void *value)
{
    struct kept *kept = value;

    if (apr_atomic_dec32(&kept->refs) == 0) {
        eas_ticket_unref(kept->ticket);
        free(kept->err);
        free(kept);
    }
}

struct eas_kcd *eas_kcd_create(struct eas_workers *workers,
                               const struct eas_shared_cache *shared_cache, apr_size_t cache_bytes)
{
    static const struct eas_lru_ops ops = { kept_retain, kept_release };
    apr_pool_t *pool = eas_workers_pool(workers);
    struct eas_kcd *kcd = apr_palloc(pool, sizeof(*kcd));

    kcd->workers = workers;
    kcd->shared_cache = shared_cache;
    kcd->tickets = eas_lru_create(pool, cache_bytes, ops);
    kcd->mint = eas_token_maker_create(pool);
    return kcd;
}

struct eas_kcd_principal *eas_kcd_principal_create(struct eas_kcd *kcd, struct eas_keytab *keytab,
                                                   const struct eas_realms *realms,
                                                   apr_interval_time_t kdc_timeout)
{
    apr_pool_t *pool = eas_workers_pool(kcd->workers);
    struct eas_kcd_principal *account = apr_palloc(pool, sizeof(*account));
    krb5_const_principal us = eas_keytab_principal(keytab);

    account->kcd = kcd;
    account->gateway = eas_service_tgt_create(pool, keytab);
    account->realms = realms;
    account->timeout = kdc_timeout;
    account->realm = apr_pstrmemdup(pool, us->realm.data, us->realm.length);
    account->name = apr_pstrcat(pool, eas_keytab_principal_name(keytab), "\n",
                                eas_identity_realms_text(pool, realms), NULL);
    account->name_len = strlen(account->name);
    return account;
}

/*
 * As text: whose ticket, for what, by which right, delegated by whom: a ticket that a password paid for must
 * not serve a user whom only another module has proved.  No part but the last can hold a newline.
 */
static const char *cache_key(apr_pool_t *pool, const struct eas_kcd_principal *account,
                             const struct eas_kcd_request *request, apr_size_t *len)
{
    const char *right = request->identity->evidence != NULL ? "proxy\n" : "self\n";
    struct iovec parts[] = {
        { (char *)right, strlen(right) },
        { (char *)request->identity->principal, strlen(request->identity->principal) },
        { (char *)"\n", 1 },
        { (char *)request->spn, strlen(request->spn) },
        { (char *)"\n", 1 },
        { (char *)account->name, account->name_len },
    };

    return apr_pstrcatv(pool, parts, sizeof(parts) / sizeof(parts[0]), len);
}

/* --- exchanges with the KDC --------------------------------------------------------------------- */

/* S4U2Self, and a look at whom the name led to. */
static enum eas_rc transition(struct eas_kcd_principal *account, struct eas_kdc *kdc,
                              apr_pool_t *pool, const struct eas_login *login,
                              struct eas_ticket **evidence, struct eas_err *err)
{
    const char *canonical;
    enum eas_rc rc = eas_s4u_self(kdc, account->gateway, login, evidence, err);

    if (rc == EAS_OK) {
        rc = eas_kdc_user_name(kdc, pool, eas_ticket_creds(*evidence)->client, account->realms,
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

static enum eas_rc exchange(struct eas_kcd_principal *account, struct eas_kdc *kdc,
                            apr_pool_t *pool, const struct eas_kcd_request *request,
                            struct eas_ticket **ticket, struct eas_err *err)
{
    struct eas_ticket *self;
    enum eas_rc rc;

    if (request->identity->evidence != NULL) {
        return eas_s4u_proxy(kdc, account->gateway, request->identity->evidence,
                             EAS_S4U_FROM_PASSWORD, request->spn, ticket, err);
    }
    rc = transition(account, kdc, pool, &request->identity->login, &self, err);
    if (rc == EAS_OK) {
        rc = eas_s4u_proxy(kdc, account->gateway, self, EAS_S4U_FROM_TRANSITION, request->spn,
                           ticket, err);
        eas_ticket_unref(self);
    }
    return rc;
}

/* What a job takes along, and what it leaves. */
struct ticket_job {
    apr_pool_t *pool;
    struct eas_kcd_principal *account;
    struct eas_kcd_request request;
    const char *key;
    apr_size_t key_len;
    apr_time_t renews;         /* the end of the ticket that this is to outlast, or 0 */
    struct eas_ticket *ticket; /* result, held by the pool */
    enum eas_kcd_ticket_origin source;
};

/* --- the cache and the shelf -------------------------------------------------------------------- */

static void put(const struct ticket_job *job, struct eas_ticket *ticket, apr_time_t replaced_at,
                const struct eas_err *err, apr_time_t expires)
{
    struct kept *kept = calloc(1, sizeof(*kept));
    apr_size_t bytes = sizeof(*kept);

    if (kept == NULL) {
        return; /* not kept is only slower */
    }
    kept->refs = 1;
    kept->renewed_at = (apr_uint32_t)apr_time_sec(apr_time_now());
    kept->replaced_at = replaced_at;
    if (ticket != NULL) {
        kept->ticket = eas_ticket_ref(ticket);
        bytes += eas_ticket_size(ticket) + EAS_TICKET_KEYS * EAS_TICKET_KEY_SIZE;
    }
    else {
        kept->err = malloc(sizeof(*err));
        bytes += sizeof(*err);
    }
    if (kept->err != NULL) {
        *kept->err = *err;
    }
    if (ticket != NULL || kept->err != NULL) {
        eas_lru_put(job->account->kcd->tickets, job->key, job->key_len, kept, bytes, expires);
    }
    kept_release(kept);
}

/* A record is the time at which the ticket took the place of a refused one, and the ticket. */
static void put_shared(const struct ticket_job *job, struct eas_ticket *ticket,
                       apr_time_t replaced_at)
{
    const struct eas_shared_cache *shared_cache = job->account->kcd->shared_cache;
    const unsigned char *bytes;
    struct eas_secret *record;
    struct eas_err ignored;
    apr_size_t len;

    if (eas_ticket_marshal(ticket, job->pool, &bytes, &len, &ignored) == EAS_OK) {
        record = eas_secret_room(job->pool, sizeof(replaced_at) + len);
        memcpy(record->bytes, &replaced_at, sizeof(replaced_at));
        memcpy(record->bytes + sizeof(replaced_at), bytes, len);
        shared_cache->put(shared_cache, job->pool, eas_bytes_make(job->key, job->key_len),
                          eas_bytes_make(record->bytes, record->len), eas_ticket_stale_at(ticket));
    }
}

/* Puts into the cache what was found on the shelf, if that can be used. */
static bool take_record(const struct ticket_job *job, const unsigned char *value, apr_size_t len)
{
    struct eas_ticket *ticket;
    apr_time_t replaced_at;
    bool taken;

    if (len < sizeof(replaced_at)) {
        return false;
    }
    memcpy(&replaced_at, value, sizeof(replaced_at));
    ticket = eas_ticket_unmarshal(value + sizeof(replaced_at), len - sizeof(replaced_at));
    taken = ticket != NULL && eas_ticket_end(ticket) > job->renews;
    if (taken) {
        put(job, ticket, replaced_at, NULL, eas_ticket_stale_at(ticket));
    }
    eas_ticket_unref(ticket);
    return taken;
}

static bool look_up_shared(const struct ticket_job *job, enum eas_shared_cache_reach reach)
{
    const struct eas_shared_cache *shared_cache = job->account->kcd->shared_cache;
    struct eas_bytes value;
    apr_time_t expires;

    return shared_cache->find(shared_cache, job->pool, eas_bytes_make(job->key, job->key_len),
                              reach, &value, &expires)
           && take_record(job, value.at, value.len);
}

static void renew(const struct ticket_job *ask, const struct eas_ticket *ticket);

/* Is it time, and would there be a longer one to be had? */
static bool wants_renewal(const struct ticket_job *ask, struct kept *kept, apr_time_t now)
{
    const struct eas_ticket *evidence = ask->request.identity->evidence;
    apr_uint32_t tried = kept->renewed_at, seconds = (apr_uint32_t)apr_time_sec(now);

    return now >= eas_ticket_renew_at(kept->ticket)
           && (evidence == NULL || eas_ticket_end(evidence) > eas_ticket_end(kept->ticket))
           && seconds - tried >= RENEW_AGAIN_AFTER
           && apr_atomic_cas32(&kept->renewed_at, seconds, tried) == tried;
}

/*
 * What the cache has: EAS_OK with a reference to the ticket; EAS_OK with NULL if nothing that can be
 * used; else why there is none to be had.  Has it renewed in time, but not from a flight, which the
 * renewal would only join.
 */
static enum eas_rc look_up(const struct ticket_job *ask, bool in_flight, struct eas_ticket **ticket,
                           struct eas_err *err)
{
    apr_time_t now = apr_time_now();
    struct kept *kept = eas_lru_get(ask->account->kcd->tickets, ask->key, ask->key_len, now);
    const struct eas_ticket *refused = ask->request.refused;
    enum eas_rc rc = EAS_OK;

    *ticket = NULL;
    if (kept == NULL) {
        return EAS_OK;
    }
    if (kept->ticket == NULL) {
        *err = *kept->err;
        rc = err->rc;
    }
    else if (refused == NULL || !eas_ticket_same(kept->ticket, refused)) {
        *ticket = eas_ticket_ref(kept->ticket);
        if (!in_flight && wants_renewal(ask, kept, now)) {
            renew(ask, kept->ticket);
        }
    }
    else if (now >= kept->replaced_at && now - kept->replaced_at < REPLACED_STAYS) {
        rc = eas_fail(err, EAS_BACKEND, 2110,
                      "the backend does not accept the ticket for %s, which has just been renewed",
                      ask->request.spn);
    }
    kept_release(kept);
    return rc;
}

/* --- the job ------------------------------------------------------------------------------------ */

static void *prepare_ticket(apr_pool_t *pool, const void *ask)
{
    struct ticket_job *job = apr_pmemdup(pool, ask, sizeof(*job));
    struct eas_identity *identity = apr_pmemdup(pool, job->request.identity, sizeof(*identity));

    job->pool = pool;
    job->key = apr_pmemdup(pool, job->key, job->key_len);
    job->request.spn = apr_pstrdup(pool, job->request.spn);
    job->request.identity = identity;
    identity->principal = apr_pstrdup(pool, identity->principal);
    identity->login.user = apr_pstrdup(pool, identity->login.user);
    identity->login.realm = apr_pstrdup(pool, identity->login.realm);
    if (identity->evidence != NULL) {
        eas_ticket_to_pool(eas_ticket_ref(identity->evidence), pool);
    }
    if (job->request.refused != NULL) {
        eas_ticket_to_pool(eas_ticket_ref((struct eas_ticket *)job->request.refused), pool);
    }
    return job;
}

/* From the KDC, in a conversation of its own. */
static enum eas_rc fetch(struct ticket_job *job, struct eas_job *kdc_job, struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, kdc_job, job->account->timeout, err);

    if (rc == EAS_OK) {
        rc = exchange(job->account, &kdc, job->pool, &job->request, &job->ticket, err);
    }
    eas_kdc_close(&kdc);
    if (rc == EAS_OK) {
        apr_time_t replaced_at = job->request.refused != NULL ? apr_time_now() : 0;

        eas_ticket_to_pool(job->ticket, job->pool);
        put(job, job->ticket, replaced_at, NULL, eas_ticket_stale_at(job->ticket));
        put_shared(job, job->ticket, replaced_at);
    }
    /* A ticket that is known to be bad is not used again because no other is to be had just now. */
    else if ((rc != EAS_UNAVAILABLE || job->request.refused != NULL) && job->renews == 0) {
        put(job, NULL, 0, err, apr_time_now() + REFUSAL_STAYS);
    }
    return rc;
}

/*
 * Unless another flight has landed since the asker looked, here or, if nothing is here, at another
 * gateway.
 */
static enum eas_rc run_ticket(struct eas_job *kdc_job, void *data, struct eas_err *err)
{
    struct ticket_job *job = data;
    enum eas_rc rc = EAS_OK;

    job->source = EAS_KCD_SHARED;
    if (job->renews == 0) {
        rc = look_up(job, true, &job->ticket, err);
    }
    if (rc == EAS_OK && job->ticket == NULL && look_up_shared(job, EAS_SHARED_CACHE_REMOTE)) {
        rc = look_up(job, true, &job->ticket, err);
    }
    if (job->ticket != NULL) {
        eas_ticket_to_pool(job->ticket, job->pool);
    }
    else if (rc == EAS_OK) {
        job->source = EAS_KCD_FETCHED;
        rc = fetch(job, kdc_job, err);
    }
    return rc;
}

static struct eas_workers_task task_of(const struct ticket_job *ask)
{
    struct eas_workers_task task = {
        .peer = ask->account->realm,
        .timeout = ask->account->timeout,
        .continued = ask->request.waited > 0,
        .prepare = prepare_ticket,
        .run = run_ticket,
        .key = eas_bytes_make(ask->key, ask->key_len),
        .input = ask,
    };

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
    eas_workers_run_in_background(ask->account->kcd->workers, &task);
}

static enum eas_rc ask_kdc(struct ticket_job *ask, struct eas_kcd_result *result,
                           struct eas_err *err)
{
    struct eas_kcd_principal *account = ask->account;
    struct eas_workers_task task = task_of(ask);
    struct eas_job *job;
    enum eas_rc rc;

    /* Who cannot use what is there shares no flight with those who know nothing of that. */
    task.key.len += ask->request.refused != NULL;
    rc = eas_workers_run(account->kcd->workers, &task, account->timeout - ask->request.waited, &job,
                         &result->waited, err);
    if (rc == EAS_OK) {
        const struct ticket_job *done = eas_job_copy(job);

        result->ticket = eas_ticket_to_pool(eas_ticket_ref(done->ticket), ask->pool);
        result->source = done->source;
    }
    if (job != NULL) {
        eas_job_release(job);
    }
    return rc;
}

enum eas_rc eas_kcd_ticket(struct eas_kcd_principal *account, apr_pool_t *pool,
                           const struct eas_kcd_request *request, struct eas_kcd_result *result,
                           struct eas_err *err)
{
    struct ticket_job ask = { pool, account, *request, NULL, 0, 0, NULL, EAS_KCD_HIT };
    struct eas_ticket *ticket;
    enum eas_rc rc;

    result->waited = 0;
    if (request->identity->evidence == NULL && !request->transition) {
        return eas_fail(
            err, EAS_FORBIDDEN, 2040,
            "the user was not proved by a password and EasKcdProtocolTransition is Off");
    }
    ask.key = cache_key(pool, account, request, &ask.key_len);
    result->key = ask.key;
    result->source = EAS_KCD_HIT;
    rc = look_up(&ask, false, &ticket, err);
    if (rc == EAS_OK && ticket == NULL && look_up_shared(&ask, EAS_SHARED_CACHE_LOCAL)) {
        result->source = EAS_KCD_SHARED;
        rc = look_up(&ask, false, &ticket, err);
    }
    if (rc == EAS_OK && ticket == NULL) {
        return ask_kdc(&ask, result, err);
    }
    if (rc == EAS_OK) {
        result->ticket = eas_ticket_to_pool(ticket, pool);
    }
    return rc;
}

/* --- is the account still good? --------------------------------------------------------------- */

struct check_job {
    apr_pool_t *pool;
    struct eas_kcd_principal *account;
    struct eas_login login;
};

static void *prepare_check(apr_pool_t *pool, const void *ask)
{
    struct check_job *job = apr_pmemdup(pool, ask, sizeof(*job));

    job->pool = pool;
    job->login.user = apr_pstrdup(pool, job->login.user);
    job->login.realm = apr_pstrdup(pool, job->login.realm);
    return job;
}

static enum eas_rc run_check(struct eas_job *kdc_job, void *data, struct eas_err *err)
{
    struct check_job *job = data;
    struct eas_ticket *ticket = NULL;
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, kdc_job, job->account->timeout, err);

    if (rc == EAS_OK) {
        rc = transition(job->account, &kdc, job->pool, &job->login, &ticket, err);
    }
    if (rc == EAS_OK) {
        eas_ticket_unref(ticket);
    }
    eas_kdc_close(&kdc);
    return rc;
}

enum eas_rc eas_kcd_check_user(struct eas_kcd_principal *account, apr_pool_t *pool,
                               const struct eas_login *login, apr_interval_time_t *waited,
                               struct eas_err *err)
{
    struct check_job ask = { pool, account, *login };
    const char *key =
        apr_pstrcat(pool, "check\n", login->user, "\n", login->realm, "\n", account->name, NULL);
    struct eas_workers_task task = {
        .peer = account->realm,
        .timeout = account->timeout,
        .continued = *waited > 0,
        .prepare = prepare_check,
        .run = run_check,
        .key = eas_bytes_of_text(key),
        .input = &ask,
    };
    struct eas_job *job;
    enum eas_rc rc = eas_workers_run(account->kcd->workers, &task, account->timeout - *waited, &job,
                                     waited, err);

    if (job != NULL) {
        eas_job_release(job);
    }
    return rc;
}

enum eas_rc eas_kcd_token(struct eas_kcd_principal *account, apr_pool_t *pool,
                          const struct eas_ticket *ticket,
                          const struct eas_channel_binding *binding, const char **value_out,
                          struct eas_pending_ap **pending_out, struct eas_err *err)
{
    return eas_token_make(account->kcd->mint, pool, ticket, binding, value_out, pending_out, err);
}

enum eas_rc eas_kcd_verify(struct eas_kcd_principal *account, apr_pool_t *pool,
                           const struct eas_pending_ap *pending, const char *value,
                           struct eas_err *err)
{
    return eas_token_verify(account->kcd->mint, pool, pending, value, err);
}
