/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/service_tgt.c - the gateway's own credential: a TGT from the keytab */

#include "delegation/kerberos/service_tgt.h"

#include <apr_atomic.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <string.h>

#define PAUSE apr_time_from_sec(30)

struct eas_service_tgt {
    struct eas_keytab *keytab;
    volatile apr_uint32_t transition_seen;
    apr_thread_mutex_t *mutex; /* guards what follows; never held over an exchange */
    apr_thread_cond_t *fetched;
    bool fetching;
    unsigned fetches; /* that have begun; the last one counts */
    apr_time_t fetching_since;
    struct eas_ticket *tgt;
    apr_time_t tried_at; /* the last time to fetch one */
    struct eas_err refusal;
};

static apr_status_t gateway_cleanup(void *data)
{
    eas_ticket_unref(((struct eas_service_tgt *)data)->tgt);
    return APR_SUCCESS;
}

struct eas_service_tgt *eas_service_tgt_create(apr_pool_t *pool, struct eas_keytab *keytab)
{
    struct eas_service_tgt *gateway = apr_pcalloc(pool, sizeof(*gateway));

    gateway->keytab = keytab;
    apr_thread_mutex_create(&gateway->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    apr_thread_cond_create(&gateway->fetched, pool);
    apr_pool_cleanup_register(pool, gateway, gateway_cleanup, apr_pool_cleanup_null);
    return gateway;
}

struct eas_keytab *eas_service_tgt_keytab(const struct eas_service_tgt *gateway)
{
    return gateway->keytab;
}

static const struct eas_kdc_failure log_on_failures[] = {
    eas_kdc_failure(EAS_KDC_UNREACHABLE, EAS_UNAVAILABLE, 2010,
                    "no KDC answered; check the domain controllers and krb5.conf"),
    eas_kdc_failure(EAS_KDC_SKEW, EAS_UNAVAILABLE, 2011,
                    "the clocks of this machine and the KDC differ; synchronise them"),
    eas_kdc_failure(EAS_KDC_OTHER, EAS_MISCONFIGURED, 2012,
                    "the KDC refuses the gateway's own log-on; the keytab is older than the "
                    "account's password (export it again), the account is disabled, or "
                    "EasKcdPrincipal is no user or computer account"),
};

static enum eas_rc fetch(struct eas_service_tgt *gateway, struct eas_kdc *kdc,
                         struct eas_ticket **tgt_out, struct eas_err *err)
{
    krb5_creds creds;
    krb5_error_code code;
    enum eas_rc rc;

    memset(&creds, 0, sizeof(creds));
    eas_keytab_refresh(gateway->keytab);
    code = eas_kdc_log_on(kdc, (krb5_principal)eas_keytab_principal(gateway->keytab), NULL,
                          eas_keytab_handle(gateway->keytab), &creds);
    if (code != 0) {
        return eas_kdc_fail_by_cause(kdc, err, code, log_on_failures);
    }
    rc = eas_kdc_check_clock(creds.times.authtime, apr_time_now(), err);
    if (rc == EAS_OK) {
        *tgt_out = eas_ticket_take(&creds);
    }
    krb5_free_cred_contents(kdc->ctx, &creds);
    return rc;
}

/* Under the mutex: was one fetched, or refused, so recently that the KDC should be left alone? */
static bool paused(const struct eas_service_tgt *gateway, apr_time_t now)
{
    apr_interval_time_t since = now - gateway->tried_at;

    return since >= 0 && since < PAUSE;
}

/* Under the mutex: fetches, letting go of it meanwhile. */
static enum eas_rc fetch_unlocked(struct eas_service_tgt *gateway, struct eas_kdc *kdc,
                                  struct eas_err *err)
{
    struct eas_ticket *fresh = NULL;
    unsigned number = ++gateway->fetches;
    enum eas_rc rc;

    gateway->fetching = true;
    gateway->fetching_since = apr_time_now();
    apr_thread_mutex_unlock(gateway->mutex);
    rc = fetch(gateway, kdc, &fresh, err);
    apr_thread_mutex_lock(gateway->mutex);
    if (rc == EAS_OK) {
        eas_ticket_unref(gateway->tgt);
        gateway->tgt = fresh;
        gateway->refusal.rc = EAS_OK;
    }
    else if (number == gateway->fetches) {
        gateway->refusal = *err;
    }
    if (rc == EAS_OK || number == gateway->fetches) {
        gateway->tried_at = apr_time_now();
    }
    if (number == gateway->fetches) {
        gateway->fetching = false;
    }
    apr_thread_cond_broadcast(gateway->fetched);
    return rc;
}

/* Under the mutex: is there a TGT that will last? */
static bool is_good(const struct eas_service_tgt *gateway, apr_time_t now)
{
    return gateway->tgt != NULL && now < eas_ticket_stale_at(gateway->tgt);
}

/* Under the mutex: until when is another's fetch to be waited for?  One that hangs is waited for by none. */
static apr_time_t awaited_until(const struct eas_service_tgt *gateway, const struct eas_kdc *kdc)
{
    apr_time_t until = gateway->fetching_since + kdc->timeout / 2;

    return !gateway->fetching ? 0 : until < kdc->deadline ? until : kdc->deadline;
}

/* Under the mutex: is there a TGT that will do, and should there be a fresh one? */
static bool wants_renewal(const struct eas_service_tgt *gateway, apr_time_t now)
{
    return is_good(gateway, now) && now >= eas_ticket_half_at(gateway->tgt) && !gateway->fetching
           && !paused(gateway, now);
}

enum eas_rc eas_service_tgt_get(struct eas_service_tgt *gateway, struct eas_kdc *kdc,
                                struct eas_ticket **tgt_out, struct eas_err *err)
{
    enum eas_rc rc = EAS_OK;
    apr_time_t now;

    apr_thread_mutex_lock(gateway->mutex);
    while (!is_good(gateway, now = apr_time_now()) && now < awaited_until(gateway, kdc)) {
        apr_thread_cond_timedwait(gateway->fetched, gateway->mutex,
                                  awaited_until(gateway, kdc) - now);
    }
    if (wants_renewal(gateway, now)) {
        rc = fetch_unlocked(gateway, kdc, err);
        if (rc != EAS_OK && is_good(gateway, now)) {
            rc = EAS_OK;
            kdc->ntstatus = 0;
        }
    }
    else if (!is_good(gateway, now) && now >= kdc->deadline) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 2013, "the gateway's own log-on takes too long");
    }
    else if (!is_good(gateway, now) && gateway->refusal.rc == EAS_MISCONFIGURED
             && paused(gateway, now)) {
        *err = gateway->refusal;
        rc = err->rc;
    }
    else if (!is_good(gateway, now)) {
        rc = fetch_unlocked(gateway, kdc, err);
    }
    if (rc == EAS_OK) {
        *tgt_out = eas_ticket_ref(gateway->tgt);
    }
    apr_thread_mutex_unlock(gateway->mutex);
    return rc;
}

void eas_service_tgt_forget(struct eas_service_tgt *gateway, const struct eas_ticket *tgt)
{
    apr_thread_mutex_lock(gateway->mutex);
    if (gateway->tgt == tgt) {
        eas_ticket_unref(gateway->tgt);
        gateway->tgt = NULL;
    }
    apr_thread_mutex_unlock(gateway->mutex);
}

void eas_service_tgt_note_transition(struct eas_service_tgt *gateway)
{
    apr_atomic_set32(&gateway->transition_seen, 1);
}

bool eas_service_tgt_may_transition(const struct eas_service_tgt *gateway)
{
    return apr_atomic_read32((volatile apr_uint32_t *)&gateway->transition_seen) != 0;
}
