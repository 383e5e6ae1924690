/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/service_tgt.c - the gateway's own TGT, from its keytab */

#include "auth/kerberos/service_tgt.h"
#include "auth/base/thread.h"
#include "auth/kerberos/as.h"

#include <apr_thread_cond.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Between log-ons, after a success or a refusal. */
#define PAUSE apr_time_from_sec(30)

struct eas_service_tgt {
    struct eas_keytab *keytab;
    atomic_bool transition_seen;
    atomic_uint void_kvno; /* of evidence that the KDC does not decrypt any longer; 0: none */
    _Atomic(apr_time_t) void_before; /* a KDC that issues evidence later has its key */
    apr_thread_mutex_t *mutex;       /* for the fields below; never held during an exchange */
    apr_thread_cond_t *fetched;
    bool fetching;
    unsigned fetches; /* begun so far; of several at a time the last one counts */
    apr_time_t fetching_since;
    struct eas_ticket *tgt;
    apr_time_t tried_at; /* end of the last fetch that counts */
    krb5_keytab tried;   /* the keys of the last fetch */
    struct eas_err refusal;
};

static apr_status_t service_tgt_cleanup(void *data)
{
    eas_ticket_unref(((struct eas_service_tgt *)data)->tgt);
    return APR_SUCCESS;
}

struct eas_service_tgt *eas_service_tgt_create(apr_pool_t *pool, struct eas_keytab *keytab)
{
    struct eas_service_tgt *service_tgt = apr_pcalloc(pool, sizeof(*service_tgt));

    service_tgt->keytab = keytab;
    service_tgt->mutex = eas_thread_make_mutex(pool);
    apr_thread_cond_create(&service_tgt->fetched, pool);
    apr_pool_cleanup_register(pool, service_tgt, service_tgt_cleanup, apr_pool_cleanup_null);
    return service_tgt;
}

struct eas_keytab *eas_service_tgt_keytab(const struct eas_service_tgt *service_tgt)
{
    return service_tgt->keytab;
}

static const struct eas_kdc_failure log_on_failures[] = {
    eas_kdc_failure(EAS_KDC_UNREACHABLE, EAS_UNAVAILABLE, 2010,
                    "no KDC answered; check the domain controllers and krb5.conf"),
    eas_kdc_failure(EAS_KDC_UNRESOLVED, EAS_UNAVAILABLE, 2014,
                    "the KDC's address cannot be looked up; check the name servers in "
                    "/etc/resolv.conf, or name the KDCs by address in krb5.conf"),
    eas_kdc_failure(EAS_KDC_SKEW, EAS_UNAVAILABLE, 2011,
                    "the clocks of this machine and the KDC differ; synchronise them"),
    eas_kdc_failure(EAS_KDC_OTHER, EAS_MISCONFIGURED, 2012, "the gateway's own log-on"),
};

/* The KDC refuses the log-on: the cause and the cure. */
static const char *refusal(krb5_error_code code)
{
    switch (eas_kdc_cause(code)) {
    case EAS_KDC_WRONG_PASSWORD:
        return "the keytab's key is not the account's: it is older than the account's password, or "
               "has another salt; export it again";
    case EAS_KDC_REVOKED:
        return "the account is disabled, locked or expired (Get-ADUser, Unlock-ADAccount)";
    case EAS_KDC_KEY_EXPIRED:
        return "the account's password has expired or must be changed; set \"password never "
               "expires\", or change it and export the keytab again";
    case EAS_KDC_UNKNOWN_CLIENT:
        return "there is no such account; EasKcdPrincipal, or the keytab's first entry that is no "
               "service, must name a user or computer account";
    case EAS_KDC_NO_KEY:
        return "the account and this machine have no encryption type in common; give the account "
               "AES keys (msDS-SupportedEncryptionTypes 24) and export the keytab again";
    case EAS_KDC_NO_ARMOR:
        return "the domain demands armour (FAST), without which only computers log on; let the "
               "gateway have a computer account";
    default:
        return "the account may not log on";
    }
}

static enum eas_rc fail_log_on(const struct eas_service_tgt *service_tgt, struct eas_kdc *kdc,
                               krb5_error_code code, struct eas_err *err)
{
    const char *message;

    if (eas_kdc_fail_by_cause(kdc, err, code, log_on_failures) != EAS_MISCONFIGURED) {
        return err->rc;
    }
    message = krb5_get_error_message(kdc->ctx, code);
    eas_fail(err, err->rc, err->tag, "the KDC refuses the log-on of %s: %s: %s",
             eas_keytab_principal_name(service_tgt->keytab), refusal(code), message);
    krb5_free_error_message(kdc->ctx, message);
    return err->rc;
}

/*
 * The account's keys without those of its newest version, in a keytab of their own; NULL without such
 * keys.  A keytab may get the new key before the account does.
 */
static krb5_keytab older_keys(krb5_context ctx, struct eas_keytab *keytab)
{
    krb5_const_principal us = eas_keytab_principal(keytab);
    krb5_keytab keys = eas_keytab_handle(keytab), older = NULL;
    krb5_keytab_entry newest, entry;
    krb5_kt_cursor cursor;
    char name[64];

    snprintf(name, sizeof(name), "MEMORY:eas-kcd-older-%p", (void *)&newest);
    if (krb5_kt_get_entry(ctx, keys, us, 0, 0, &newest) != 0) {
        return NULL;
    }
    if (krb5_kt_resolve(ctx, name, &older) == 0 && krb5_kt_start_seq_get(ctx, keys, &cursor) == 0) {
        while (krb5_kt_next_entry(ctx, keys, &entry, &cursor) == 0) {
            if (entry.vno != newest.vno && krb5_principal_compare(ctx, entry.principal, us)) {
                krb5_kt_add_entry(ctx, older, &entry);
            }
            krb5_free_keytab_entry_contents(ctx, &entry);
        }
        krb5_kt_end_seq_get(ctx, keys, &cursor);
    }
    krb5_free_keytab_entry_contents(ctx, &newest);
    if (older != NULL && krb5_kt_have_content(ctx, older) != 0) {
        krb5_kt_close(ctx, older);
        older = NULL;
    }
    return older;
}

static krb5_error_code log_on(struct eas_service_tgt *service_tgt, struct eas_kdc *kdc,
                              krb5_creds *creds)
{
    struct eas_keytab *keytab = service_tgt->keytab;
    struct eas_as_request request = { .password = NULL };
    krb5_keytab older;
    krb5_error_code code;

    request.client = (krb5_principal)eas_keytab_principal(keytab);
    request.keytab = eas_keytab_handle(keytab);
    code = eas_as_log_on(kdc, &request, creds);
    if (code != 0 && eas_kdc_cause(code) == EAS_KDC_WRONG_PASSWORD) {
        older = older_keys(kdc->ctx, keytab);
        if (older != NULL) {
            request.keytab = older;
            code = eas_as_log_on(kdc, &request, creds);
            krb5_kt_close(kdc->ctx, older);
        }
    }
    return code;
}

static enum eas_rc fetch(struct eas_service_tgt *service_tgt, struct eas_kdc *kdc,
                         struct eas_ticket **tgt_out, struct eas_err *err)
{
    krb5_creds creds;
    krb5_error_code code;
    enum eas_rc rc;

    memset(&creds, 0, sizeof(creds));
    code = log_on(service_tgt, kdc, &creds);
    if (code != 0) {
        return fail_log_on(service_tgt, kdc, code, err);
    }
    rc = eas_kdc_check_clock(creds.times.authtime, apr_time_now(), err);
    if (rc == EAS_OK) {
        *tgt_out = eas_ticket_take(&creds);
    }
    krb5_free_cred_contents(kdc->ctx, &creds);
    return rc;
}

/* Under the mutex. */
static bool paused(const struct eas_service_tgt *service_tgt, apr_time_t now)
{
    apr_interval_time_t since = now - service_tgt->tried_at;

    return since >= 0 && since < PAUSE;
}

/* Under the mutex.  The KDC's refusal of a log-on, while the keytab has no other keys. */
static bool is_refused(struct eas_service_tgt *service_tgt, apr_time_t now)
{
    if (service_tgt->refusal.rc != EAS_MISCONFIGURED || !paused(service_tgt, now)) {
        return false;
    }
    eas_keytab_refresh(service_tgt->keytab);
    return service_tgt->tried == eas_keytab_handle(service_tgt->keytab);
}

/* Under the mutex, which it unlocks during the exchange. */
static enum eas_rc fetch_unlocked(struct eas_service_tgt *service_tgt, struct eas_kdc *kdc,
                                  struct eas_err *err)
{
    struct eas_ticket *fresh = NULL;
    unsigned number = ++service_tgt->fetches;
    enum eas_rc rc;

    service_tgt->fetching = true;
    service_tgt->fetching_since = apr_time_now();
    eas_keytab_refresh(service_tgt->keytab);
    service_tgt->tried = eas_keytab_handle(service_tgt->keytab);
    apr_thread_mutex_unlock(service_tgt->mutex);
    rc = fetch(service_tgt, kdc, &fresh, err);
    apr_thread_mutex_lock(service_tgt->mutex);
    if (rc == EAS_OK) {
        eas_ticket_unref(service_tgt->tgt);
        service_tgt->tgt = fresh;
        service_tgt->refusal.rc = EAS_OK;
    }
    else if (number == service_tgt->fetches) {
        service_tgt->refusal = *err;
    }
    if (rc == EAS_OK || number == service_tgt->fetches) {
        service_tgt->tried_at = apr_time_now();
    }
    if (number == service_tgt->fetches) {
        service_tgt->fetching = false;
    }
    apr_thread_cond_broadcast(service_tgt->fetched);
    return rc;
}

/* Under the mutex. */
static bool is_good(const struct eas_service_tgt *service_tgt, apr_time_t now)
{
    return service_tgt->tgt != NULL && now < eas_ticket_stale_at(service_tgt->tgt);
}

/* Under the mutex: the latest time to wait for another thread's fetch; 0: do not wait. */
static apr_time_t wait_until(const struct eas_service_tgt *service_tgt, const struct eas_kdc *kdc)
{
    apr_time_t until = service_tgt->fetching_since + kdc->timeout / 2;

    return !service_tgt->fetching ? 0 : until < kdc->deadline ? until : kdc->deadline;
}

/* Under the mutex. */
static bool is_renewal_due(const struct eas_service_tgt *service_tgt, apr_time_t now)
{
    return is_good(service_tgt, now) && now >= eas_ticket_half_at(service_tgt->tgt)
           && !service_tgt->fetching && !paused(service_tgt, now);
}

enum eas_rc eas_service_tgt_get(struct eas_service_tgt *service_tgt, struct eas_kdc *kdc,
                                struct eas_ticket **tgt_out, struct eas_err *err)
{
    enum eas_rc rc = EAS_OK;
    apr_time_t now;

    apr_thread_mutex_lock(service_tgt->mutex);
    while (!is_good(service_tgt, now = apr_time_now()) && now < wait_until(service_tgt, kdc)) {
        apr_thread_cond_timedwait(service_tgt->fetched, service_tgt->mutex,
                                  wait_until(service_tgt, kdc) - now);
    }
    if (is_renewal_due(service_tgt, now)) {
        rc = fetch_unlocked(service_tgt, kdc, err);
        if (rc != EAS_OK && is_good(service_tgt, now)) {
            rc = EAS_OK;
            kdc->ntstatus = 0;
        }
    }
    else if (!is_good(service_tgt, now) && now >= kdc->deadline) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 2013, "the gateway's own log-on takes too long");
    }
    else if (!is_good(service_tgt, now) && is_refused(service_tgt, now)) {
        *err = service_tgt->refusal;
        rc = err->rc;
    }
    else if (!is_good(service_tgt, now)) {
        rc = fetch_unlocked(service_tgt, kdc, err);
    }
    if (rc == EAS_OK) {
        *tgt_out = eas_ticket_ref(service_tgt->tgt);
    }
    apr_thread_mutex_unlock(service_tgt->mutex);
    return rc;
}

void eas_service_tgt_forget(struct eas_service_tgt *service_tgt, const struct eas_ticket *tgt)
{
    apr_thread_mutex_lock(service_tgt->mutex);
    if (service_tgt->tgt == tgt) {
        eas_ticket_unref(service_tgt->tgt);
        service_tgt->tgt = NULL;
    }
    apr_thread_mutex_unlock(service_tgt->mutex);
}

void eas_service_tgt_note_transition(struct eas_service_tgt *service_tgt)
{
    atomic_store(&service_tgt->transition_seen, true);
}

bool eas_service_tgt_may_transition(const struct eas_service_tgt *service_tgt)
{
    return atomic_load(&service_tgt->transition_seen);
}

/* 0: no ticket. */
static krb5_kvno kvno_of(const struct eas_ticket *ticket)
{
    krb5_ticket *decoded;
    krb5_kvno kvno = 0;

    if (krb5_decode_ticket(&eas_ticket_creds(ticket)->ticket, &decoded) == 0) {
        kvno = decoded->enc_part.kvno;
        krb5_free_ticket(NULL, decoded);
    }
    return kvno;
}

bool eas_service_tgt_note_old_evidence(struct eas_service_tgt *service_tgt, krb5_context ctx,
                                       const struct eas_ticket *evidence)
{
    krb5_kvno kvno = kvno_of(evidence);
    krb5_keytab_entry newest;
    bool is_old = false;

    eas_keytab_refresh(service_tgt->keytab);
    if (krb5_kt_get_entry(ctx, eas_keytab_handle(service_tgt->keytab),
                          eas_keytab_principal(service_tgt->keytab), 0, 0, &newest)
        == 0) {
        is_old = kvno < newest.vno;
        krb5_free_keytab_entry_contents(ctx, &newest);
    }
    if (is_old) {
        atomic_store(&service_tgt->void_before, apr_time_from_sec(apr_time_sec(apr_time_now())));
    }
    if (is_old && kvno > atomic_load(&service_tgt->void_kvno)) {
        atomic_store(&service_tgt->void_kvno, kvno);
    }
    return is_old;
}

bool eas_service_tgt_is_void(const struct eas_service_tgt *service_tgt,
                             const struct eas_ticket *evidence)
{
    unsigned void_kvno = atomic_load(&service_tgt->void_kvno);

    return void_kvno != 0 && eas_ticket_start(evidence) < atomic_load(&service_tgt->void_before)
           && kvno_of(evidence) <= void_kvno;
}
