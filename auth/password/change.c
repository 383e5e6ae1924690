/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/change.c - change of a password: throttle and job */

#include "auth/password/change.h"
#include "auth/base/clock.h"
#include "auth/kerberos/ticket.h"

#include <apr_strings.h>
#include <stdatomic.h>
#include <string.h>

/* As for log-ons (auth/password/credentials.c). */
#define RETRY_DELAY apr_time_from_msec(20)

/* The part of the wait by which the job ends earlier: its caller hears what became of the change. */
#define ANSWER_PART 10

/* Arguments and result of the job. */
struct change {
    apr_pool_t *pool;
    const struct eas_verifier *verifier;
    struct eas_password_request request; /* with the old password */
    struct eas_secret *new_password;
    struct eas_throttle_rules rules;
    const char *address;
    apr_interval_time_t due_within;
    apr_time_t until; /* of eas_clock_now(): no change begins later, and none is waited for */
    struct eas_password_change result;
    struct eas_throttle_attempt attempt;
    atomic_bool logged; /* a caller has taken what is to be logged once */
};

/* --- the job ---------------------------------------------------------------------------------- */

static void *prepare(apr_pool_t *pool, const void *arguments)
{
    struct change *change = apr_pmemdup(pool, arguments, sizeof(*change));
    struct eas_password_request *request = &change->request;

    change->pool = pool;
    change->address = apr_pstrdup(pool, change->address);
    request->login.user = apr_pstrdup(pool, request->login.user);
    request->login.realm = apr_pstrdup(pool, request->login.realm);
    request->password = eas_secret_make(pool, request->password->bytes, request->password->len);
    change->new_password =
        eas_secret_make(pool, change->new_password->bytes, change->new_password->len);
    return change;
}

/* Whether the right password ends soon.  The KDC has said it in the evidence ticket. */
static bool ends_soon(const struct change *change, const struct eas_identity *identity)
{
    const struct eas_pac *pac =
        eas_ticket_pac(identity->evidence, NULL, change->request.authority->keytab);

    return pac != NULL && pac->fault == NULL && pac->logon_info.password_ends != 0
           && pac->logon_info.password_ends - apr_time_now() <= change->due_within;
}

static enum eas_rc check_due(struct eas_job *job, struct change *change, struct eas_err *err)
{
    struct eas_identity *identity;
    enum eas_rc rc;

    if (change->due_within < 0) {
        return EAS_OK;
    }
    rc = eas_password_verify(change->pool, job, &change->request, &identity, err);
    if (rc == EAS_EXPIRED) {
        return EAS_OK;
    }
    return rc != EAS_OK || ends_soon(change, identity)
               ? rc
               : eas_fail(err, EAS_FORBIDDEN, 1329,
                          "the password has not expired, and EasKcdPasswordChange lets no other be "
                          "changed here");
}

static enum eas_rc change_password(struct eas_job *job, struct change *change, struct eas_err *err)
{
    const struct eas_throttle *throttle = change->verifier->throttle;
    enum eas_rc rc = check_due(job, change, err);
    apr_interval_time_t left = change->until - eas_clock_now();

    if (rc == EAS_OK && left <= 0) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 1332,
                      "EasKcdKdcTimeout leaves no time to change a password; check whether the "
                      "domain controllers are slow");
    }
    if (rc == EAS_OK) {
        rc = eas_password_change(change->pool, job, &change->request, change->new_password, left,
                                 &change->result, err);
    }
    if (rc == EAS_OK) {
        eas_throttle_end_changed(throttle, change->pool, &change->rules, &change->attempt,
                                 change->new_password);
    }
    else {
        /* The domain's opinion of the new password says nothing of the old one. */
        eas_throttle_end(throttle, change->pool, &change->rules, &change->attempt,
                         change->result.principal != NULL
                             ? EAS_LOCKOUT_NO_ANSWER
                             : eas_throttle_outcome(&change->rules, rc, err));
    }
    return rc;
}

static enum eas_rc run(struct eas_job *job, void *data, struct eas_err *err)
{
    struct change *change = data;
    const struct eas_throttle_request request = { .log_on = &change->request,
                                                  .rules = &change->rules,
                                                  .address = change->address,
                                                  .for_change = true };
    enum eas_rc rc = eas_throttle_begin(change->verifier->throttle, change->pool, job, &request,
                                        &change->attempt, err);

    if (rc == EAS_OK) {
        rc = change_password(job, change, err);
    }
    eas_secret_wipe(change->request.password);
    eas_secret_wipe(change->new_password);
    return rc;
}

/* --- the caller ------------------------------------------------------------------------------- */

static void copy_result(apr_pool_t *pool, struct change *done, struct eas_change_result *result)
{
    result->change.principal = apr_pstrdup(pool, done->result.principal);
    result->change.reason = apr_pstrdup(pool, done->result.reason);
    result->attempt = done->attempt;
    result->attempt.user = apr_pstrdup(pool, done->attempt.user);
    if (atomic_exchange(&done->logged, true)) {
        result->attempt.locked_now = result->attempt.bucket_emptied_now = false;
        result->attempt.bucket_empty_for = 0;
    }
}

static enum eas_rc run_job(apr_pool_t *pool, struct change *arguments, struct eas_bytes key,
                           struct eas_change_result *result, struct eas_err *err)
{
    apr_interval_time_t wait = arguments->request.authority->kdc_timeout - result->waited;
    const struct eas_workers_task task = {
        .peer = arguments->request.login.realm,
        .prepare = prepare,
        .run = run,
        .key = key,
        .input = arguments,
    };
    struct eas_job *job;
    enum eas_rc rc;

    arguments->until = eas_clock_now() + wait - wait / ANSWER_PART;
    rc = eas_workers_run(arguments->verifier->workers, &task, wait, &job, &result->waited, err);
    if (job != NULL) {
        copy_result(pool, eas_job_copy(job), result);
        eas_job_release(job);
    }
    return rc;
}

/* Of the name and both passwords. */
static enum eas_rc make_key(const struct eas_verifier *verifier,
                            const struct eas_change_request *request,
                            unsigned char key[EAS_SEAL_MAC_SIZE], struct eas_err *err)
{
    const struct eas_credentials *old = request->log_on.credentials;
    const struct eas_bytes parts[] = {
        eas_bytes_of_text("change"),
        eas_bytes_of_text(request->log_on.vhost_key),
        eas_bytes_make(old->name, old->name_len),
        eas_bytes_make(old->password->bytes, old->password->len),
        eas_bytes_make(request->new_password->bytes, request->new_password->len),
    };

    return eas_seal_mac(verifier->throttle->keyring, 0, EAS_SEAL_PASSWORD, parts, 5, key, err);
}

enum eas_rc eas_change_password(const struct eas_verifier *verifier, apr_pool_t *pool,
                                const struct eas_change_request *request,
                                struct eas_change_result *result, struct eas_err *err)
{
    const struct eas_credentials_request *log_on = &request->log_on;
    struct change arguments = {
        .verifier = verifier,
        .request = { .authority = log_on->authority, .password = log_on->credentials->password },
        .new_password = (struct eas_secret *)request->new_password,
        .rules = *log_on->rules,
        .address = log_on->address,
        .due_within = request->due_within,
    };
    unsigned char key[EAS_SEAL_MAC_SIZE];
    enum eas_rc rc;

    result->change = (struct eas_password_change){ NULL, NULL };
    memset(&result->attempt, 0, sizeof(result->attempt));
    rc = eas_identity_parse(pool, log_on->credentials->name, log_on->credentials->name_len,
                            &log_on->authority->realms, &arguments.request.login, err);
    if (rc == EAS_OK) {
        rc = make_key(verifier, request, key, err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    rc = run_job(pool, &arguments, eas_bytes_make(key, sizeof(key)), result, err);
    /* While log-ons of the user are under way. */
    while (result->attempt.busy && result->waited + RETRY_DELAY < log_on->authority->kdc_timeout) {
        apr_sleep(RETRY_DELAY);
        result->waited += RETRY_DELAY;
        memset(&result->attempt, 0, sizeof(result->attempt));
        rc = run_job(pool, &arguments, eas_bytes_make(key, sizeof(key)), result, err);
    }
    return rc;
}
