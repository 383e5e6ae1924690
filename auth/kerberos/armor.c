/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/armor.c - FAST (RFC 6113): the gateway's TGT protects the log-ons of users */

#include "auth/kerberos/armor.h"
#include "auth/base/thread.h"

#include <apr_strings.h>
#include <string.h>

/* After a realm has issued no TGT to the gateway. */
#define PAUSE apr_time_from_sec(600)

enum offer { OFFER_UNKNOWN, OFFER_FAST, OFFER_NONE };

/* State of a realm. */
struct realm {
    const char *name;
    enum offer offer;
    struct eas_ticket *tgt; /* the gateway's TGT of another realm, or NULL */
    apr_time_t refused_at;
    struct realm *next;
};

struct eas_armor {
    apr_pool_t *pool;
    struct eas_service_tgt *service_tgt;
    apr_thread_mutex_t *mutex; /* for the pool and the realms; never held during an exchange */
    struct realm *realms;      /* few: log-ons follow referrals only to configured ones */
};

static bool is_without_answer(krb5_error_code code)
{
    return ((unsigned)eas_kdc_cause(code) & (EAS_KDC_UNREACHABLE | EAS_KDC_UNRESOLVED)) != 0;
}

static apr_status_t armor_cleanup(void *data)
{
    struct realm *realm;

    for (realm = ((struct eas_armor *)data)->realms; realm != NULL; realm = realm->next) {
        eas_ticket_unref(realm->tgt);
    }
    return APR_SUCCESS;
}

struct eas_armor *eas_armor_create(apr_pool_t *pool, struct eas_service_tgt *service_tgt)
{
    struct eas_armor *armor = apr_pcalloc(pool, sizeof(*armor));

    apr_pool_create(&armor->pool, pool);
    armor->service_tgt = service_tgt;
    armor->mutex = eas_thread_make_mutex(pool);
    /* Subpools end before the cleanups of their parent run, and the realms lie in this one. */
    apr_pool_cleanup_register(armor->pool, armor, armor_cleanup, apr_pool_cleanup_null);
    return armor;
}

/* Under the mutex. */
static struct realm *realm_of(struct eas_armor *armor, krb5_const_principal client)
{
    const krb5_data *name = &client->realm;
    struct realm *realm;

    for (realm = armor->realms; realm != NULL; realm = realm->next) {
        if (strlen(realm->name) == name->length
            && memcmp(realm->name, name->data, name->length) == 0) {
            return realm;
        }
    }
    realm = apr_pcalloc(armor->pool, sizeof(*realm));
    realm->name = apr_pstrmemdup(armor->pool, name->data, name->length);
    realm->next = armor->realms;
    armor->realms = realm;
    return realm;
}

static void set_offer(struct eas_armor *armor, krb5_const_principal client, enum offer offer)
{
    apr_thread_mutex_lock(armor->mutex);
    realm_of(armor, client)->offer = offer;
    apr_thread_mutex_unlock(armor->mutex);
}

void eas_armor_note(struct eas_armor *armor, const struct eas_kdc *kdc, krb5_const_principal client)
{
    if (armor != NULL && !kdc->as.preauth.is_reply) {
        set_offer(armor, client, kdc->as.preauth.offers_fast ? OFFER_FAST : OFFER_NONE);
    }
}

/* Any result but OFFER_UNKNOWN comes without an error. */
static enum offer offer_of(struct eas_armor *armor, struct eas_kdc *kdc,
                           const struct eas_as_request *request, krb5_error_code *code)
{
    enum offer offer;

    apr_thread_mutex_lock(armor->mutex);
    offer = realm_of(armor, request->client)->offer;
    apr_thread_mutex_unlock(armor->mutex);
    if (offer == OFFER_UNKNOWN) {
        *code = eas_as_probe(kdc, request->client, request->service);
        if (*code == KRB5KDC_ERR_PREAUTH_REQUIRED) {
            eas_armor_note(armor, kdc, request->client);
            offer =
                kdc->as.preauth.offers_fast || kdc->as.preauth.is_reply ? OFFER_FAST : OFFER_NONE;
        }
        else if (*code == KRB5KDC_ERR_POLICY) { /* perhaps for want of armour */
            offer = OFFER_FAST;
            *code = 0;
        }
    }
    return offer;
}

/* --- the gateway's TGTs ----------------------------------------------------------------------- */

static krb5_error_code fetch_other_tgt(struct eas_kdc *kdc, struct eas_ticket *ours,
                                       const krb5_data *realm, struct eas_ticket **tgt_out)
{
    krb5_creds *tgt = NULL;
    krb5_principal server = NULL;
    krb5_error_code code =
        krb5_build_principal_ext(kdc->ctx, &server, realm->length, realm->data, KRB5_TGS_NAME_SIZE,
                                 KRB5_TGS_NAME, realm->length, realm->data, 0);

    if (code == 0) {
        code = eas_kdc_get_ticket(kdc, eas_ticket_creds(ours), server, &tgt);
    }
    if (code == 0) {
        *tgt_out = eas_ticket_take(tgt);
        krb5_free_creds(kdc->ctx, tgt);
    }
    krb5_free_principal(kdc->ctx, server);
    return code;
}

/* The gateway's TGT of another realm, with a reference for the caller. */
static krb5_error_code other_tgt(struct eas_armor *armor, struct eas_kdc *kdc,
                                 struct eas_ticket *ours, krb5_const_principal client,
                                 struct eas_ticket **tgt_out)
{
    struct eas_ticket *tgt = NULL;
    apr_time_t now = apr_time_now();
    struct realm *realm;
    krb5_error_code code;
    bool pause;

    apr_thread_mutex_lock(armor->mutex);
    realm = realm_of(armor, client);
    pause = now - realm->refused_at >= 0 && now - realm->refused_at < PAUSE;
    if (realm->tgt != NULL && now < eas_ticket_stale_at(realm->tgt)) {
        tgt = eas_ticket_ref(realm->tgt);
    }
    apr_thread_mutex_unlock(armor->mutex);
    if (tgt != NULL || pause) {
        *tgt_out = tgt;
        return tgt != NULL ? 0 : KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN;
    }
    code = fetch_other_tgt(kdc, ours, &client->realm, &tgt);
    apr_thread_mutex_lock(armor->mutex);
    if (code == 0) {
        eas_ticket_unref(realm->tgt);
        realm->tgt = eas_ticket_ref(tgt);
        *tgt_out = tgt;
    }
    else if (!is_without_answer(code)) {
        realm->refused_at = now;
    }
    apr_thread_mutex_unlock(armor->mutex);
    return code;
}

static krb5_error_code get_tgt(struct eas_armor *armor, struct eas_kdc *kdc,
                               krb5_const_principal client, struct eas_ticket **tgt_out)
{
    struct eas_ticket *ours;
    struct eas_err err;
    krb5_error_code code;
    enum eas_rc rc = eas_service_tgt_get(armor->service_tgt, kdc, &ours, &err);

    if (rc != EAS_OK) {
        code = rc == EAS_UNAVAILABLE ? KRB5_KDC_UNREACH : KRB5_ERR_FAST_REQUIRED;
        krb5_set_error_message(kdc->ctx, code, "%s", err.text);
        return code;
    }
    if (krb5_realm_compare(kdc->ctx, eas_ticket_creds(ours)->client, client)) {
        *tgt_out = ours;
        return 0;
    }
    code = other_tgt(armor, kdc, ours, client, tgt_out);
    eas_ticket_unref(ours);
    return code;
}

/* The KDC does not accept it; its realm may have new keys. */
static void forget_tgt(struct eas_armor *armor, krb5_const_principal client,
                       const struct eas_ticket *tgt)
{
    struct realm *realm;

    eas_service_tgt_forget(armor->service_tgt, tgt);
    apr_thread_mutex_lock(armor->mutex);
    realm = realm_of(armor, client);
    if (realm->tgt == tgt) {
        eas_ticket_unref(realm->tgt);
        realm->tgt = NULL;
    }
    apr_thread_mutex_unlock(armor->mutex);
}

/* --- log-ons ---------------------------------------------------------------------------------- */

/* *refused_out: the KDC does not accept the armour, and no password was sent. */
static krb5_error_code armored_log_on(struct eas_armor *armor, struct eas_kdc *kdc,
                                      const struct eas_as_request *request, krb5_creds *tgt,
                                      bool *refused_out)
{
    struct eas_as_request armored = *request;
    struct eas_ticket *armor_tgt;
    unsigned before;
    krb5_error_code code = get_tgt(armor, kdc, request->client, &armor_tgt);

    *refused_out = code != 0;
    if (code != 0) {
        return code;
    }
    code = eas_kdc_ccache(kdc, eas_ticket_creds(armor_tgt), &armored.armor);
    if (code == 0) {
        before = kdc->messages;
        code = eas_as_log_on(kdc, &armored, tgt);
        *refused_out = kdc->as.unarmored && kdc->messages == before + 1;
        krb5_cc_destroy(kdc->ctx, armored.armor);
    }
    if (*refused_out && code == KRB5KDC_ERR_PREAUTH_REQUIRED) {
        set_offer(armor, request->client, OFFER_NONE);
    }
    else if (*refused_out) {
        forget_tgt(armor, request->client, armor_tgt);
    }
    eas_ticket_unref(armor_tgt);
    return code;
}

static krb5_error_code fail_required(struct eas_kdc *kdc, krb5_error_code code)
{
    const char *message;

    if (is_without_answer(code) || code == KRB5_ERR_FAST_REQUIRED) {
        return code;
    }
    message = krb5_get_error_message(kdc->ctx, code);
    krb5_set_error_message(kdc->ctx, KRB5_ERR_FAST_REQUIRED, "%s",
                           code == 0 ? "the KDC offers no FAST" : message);
    krb5_free_error_message(kdc->ctx, message);
    return KRB5_ERR_FAST_REQUIRED;
}

krb5_error_code eas_armor_log_on(struct eas_armor *armor, enum eas_armor_mode mode,
                                 struct eas_kdc *kdc, const struct eas_as_request *request,
                                 krb5_creds *tgt)
{
    krb5_error_code code = 0;
    bool refused = true;

    if (armor == NULL || mode == EAS_ARMOR_OFF) {
        return eas_as_log_on(kdc, request, tgt);
    }
    switch (offer_of(armor, kdc, request, &code)) {
    case OFFER_UNKNOWN:
        return code;
    case OFFER_FAST:
        code = armored_log_on(armor, kdc, request, tgt, &refused);
        break;
    case OFFER_NONE:
        break;
    }
    if (!refused) {
        return code;
    }
    return mode == EAS_ARMOR_REQUIRE ? fail_required(kdc, code) : eas_as_log_on(kdc, request, tgt);
}

krb5_error_code eas_armor_salt(struct eas_armor *armor, enum eas_armor_mode mode,
                               struct eas_kdc *kdc, apr_pool_t *pool, krb5_principal client,
                               const char **salt_out)
{
    struct eas_ticket *tgt = NULL;
    krb5_ccache ccache = NULL;
    krb5_error_code code;

    if (armor == NULL || mode == EAS_ARMOR_OFF) {
        return KRB5KDC_ERR_POLICY;
    }
    code = get_tgt(armor, kdc, client, &tgt);
    if (code == 0) {
        code = eas_kdc_ccache(kdc, eas_ticket_creds(tgt), &ccache);
    }
    if (code == 0) {
        code = eas_as_armored_salt(kdc, pool, client, ccache, salt_out);
        krb5_cc_destroy(kdc->ctx, ccache);
    }
    if (code == 0) {
        set_offer(armor, client, OFFER_FAST);
    }
    eas_ticket_unref(tgt);
    /* Without armour, the KDC's answer stands. */
    if (code != 0 && !is_without_answer(code) && mode == EAS_ARMOR_TRY) {
        code = KRB5KDC_ERR_POLICY;
    }
    return code;
}
