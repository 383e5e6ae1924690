/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kcd.c - the façade of constrained delegation: from an identity to a token for a backend */

#include "delegation/kcd.h"
#include "auth/kdc.h"
#include "auth/lru.h"
#include "auth/ticket.h"
#include "delegation/gateway.h"
#include "delegation/mint.h"
#include "delegation/s4u.h"

#include <apr_atomic.h>
#include <apr_strings.h>
#include <stdlib.h>

struct eas_kcd {
    struct eas_lru *tickets;
    struct eas_mint *mint;
};

struct eas_kcd_account {
    struct eas_kcd *kcd;
    struct eas_gateway *gateway;
    const struct eas_realms *realms;
    apr_interval_time_t timeout;
};

/* How long a ticket stays that has replaced a refused one, though it be refused too. */
#define REPLACED_STAYS apr_time_from_sec(60)

/* What the cache keeps; immutable. */
struct kept {
    volatile apr_uint32_t refs;
    struct eas_ticket *ticket;
    apr_time_t replaced_at; /* when it took the place of a refused one, or 0 */
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
        free(kept);
    }
}

struct eas_kcd *eas_kcd_create(apr_pool_t *pool, apr_size_t cache_bytes)
{
    static const struct eas_lru_ops ops = { kept_retain, kept_release };
    struct eas_kcd *kcd = apr_palloc(pool, sizeof(*kcd));

    kcd->tickets = eas_lru_create(pool, cache_bytes, ops);
    kcd->mint = eas_mint_create(pool);
    return kcd;
}

struct eas_kcd_account *eas_kcd_account_create(apr_pool_t *pool, struct eas_kcd *kcd,
                                               struct eas_keytab *keytab,
                                               const struct eas_realms *realms,
                                               apr_interval_time_t kdc_timeout)
{
    struct eas_kcd_account *account = apr_palloc(pool, sizeof(*account));

    account->kcd = kcd;
    account->gateway = eas_gateway_create(pool, keytab);
    account->realms = realms;
    account->timeout = kdc_timeout;
    return account;
}

/*
 * Whose ticket, for what, delegated by whom, and by which right: a ticket that a password paid for
 * must not serve a user whom only another module has proved.  No part can hold a newline.
 */
static const char *cache_key(apr_pool_t *pool, const struct eas_kcd_account *account,
                             const struct eas_kcd_wish *wish, apr_size_t *len)
{
    const char *right = wish->identity->evidence != NULL ? "proxy" : "self";
    struct iovec parts[] = {
        { (char *)right, strlen(right) },
        { (char *)"\n", 1 },
        { (char *)wish->identity->principal, strlen(wish->identity->principal) },
        { (char *)"\n", 1 },
        { (char *)wish->spn, strlen(wish->spn) },
        { (char *)"\n", 1 },
        { (char *)&account, sizeof(account) },
    };

    return apr_pstrcatv(pool, parts, sizeof(parts) / sizeof(parts[0]), len);
}

/* S4U2Self, and a look at whom the name led to. */
static enum eas_rc transition(struct eas_kcd_account *account, struct eas_kdc *kdc,
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

static enum eas_rc exchange(struct eas_kcd_account *account, struct eas_kdc *kdc, apr_pool_t *pool,
                            const struct eas_kcd_wish *wish, struct eas_ticket **ticket,
                            struct eas_err *err)
{
    struct eas_ticket *self;
    enum eas_rc rc;

    if (wish->identity->evidence != NULL) {
        return eas_s4u_proxy(kdc, account->gateway, wish->identity->evidence, EAS_S4U_FROM_PASSWORD,
                             wish->spn, ticket, err);
    }
    rc = transition(account, kdc, pool, &wish->identity->login, &self, err);
    if (rc == EAS_OK) {
        rc = eas_s4u_proxy(kdc, account->gateway, self, EAS_S4U_FROM_TRANSITION, wish->spn, ticket,
                           err);
        eas_ticket_unref(self);
    }
    return rc;
}

/* In a conversation of its own. */
static enum eas_rc fetch(struct eas_kcd_account *account, apr_pool_t *pool,
                         const struct eas_kcd_wish *wish, struct eas_ticket **ticket,
                         apr_interval_time_t *waited, struct eas_err *err)
{
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, account->timeout, err);

    if (rc == EAS_OK) {
        rc = exchange(account, &kdc, pool, wish, ticket, err);
        *waited += kdc.waited;
    }
    eas_kdc_close(&kdc);
    return rc;
}

/* What the cache has for the key, with a reference for the caller, unless it was refused. */
static enum eas_rc find(struct eas_kcd_account *account, const char *key, apr_size_t key_len,
                        const struct eas_kcd_wish *wish, struct eas_ticket **ticket,
                        struct eas_err *err)
{
    apr_time_t now = apr_time_now();
    struct kept *kept = eas_lru_get(account->kcd->tickets, key, key_len, now);
    enum eas_rc rc = EAS_OK;

    *ticket = NULL;
    if (kept == NULL) {
        return EAS_OK;
    }
    if (wish->refused == NULL || !eas_ticket_same(kept->ticket, wish->refused)) {
        *ticket = eas_ticket_ref(kept->ticket);
    }
    else if (now >= kept->replaced_at && now - kept->replaced_at < REPLACED_STAYS) {
        rc = eas_fail(err, EAS_BACKEND, 2110,
                      "the backend does not accept the ticket for %s, which has just been renewed",
                      wish->spn);
    }
    kept_release(kept);
    return rc;
}

static void keep(struct eas_kcd_account *account, const char *key, apr_size_t key_len,
                 const struct eas_kcd_wish *wish, struct eas_ticket *ticket)
{
    struct kept *kept = malloc(sizeof(*kept));

    if (kept == NULL) {
        return; /* not kept is only slower */
    }
    kept->refs = 1;
    kept->ticket = eas_ticket_ref(ticket);
    kept->replaced_at = wish->refused != NULL ? apr_time_now() : 0;
    eas_lru_put(account->kcd->tickets, key, key_len, kept, sizeof(*kept) + eas_ticket_size(ticket),
                eas_ticket_stale_at(ticket));
    kept_release(kept);
}

enum eas_rc eas_kcd_ticket(struct eas_kcd_account *account, apr_pool_t *pool,
                           const struct eas_kcd_wish *wish, struct eas_kcd_grant *grant,
                           struct eas_err *err)
{
    struct eas_ticket *ticket;
    apr_size_t key_len;
    const char *key;
    enum eas_rc rc;

    grant->waited = 0;
    if (wish->identity->evidence == NULL && !wish->transition) {
        return eas_fail(
            err, EAS_FORBIDDEN, 2040,
            "the user was not proved by a password and EasKcdProtocolTransition is Off");
    }
    key = cache_key(pool, account, wish, &key_len);
    grant->source = EAS_KCD_HIT;
    rc = find(account, key, key_len, wish, &ticket, err);
    if (rc == EAS_OK && ticket == NULL) {
        grant->source = EAS_KCD_FETCHED;
        rc = fetch(account, pool, wish, &ticket, &grant->waited, err);
        if (rc == EAS_OK) {
            keep(account, key, key_len, wish, ticket);
        }
    }
    if (rc == EAS_OK) {
        grant->ticket = eas_ticket_to_pool(ticket, pool);
    }
    return rc;
}

enum eas_rc eas_kcd_account_check(struct eas_kcd_account *account, apr_pool_t *pool,
                                  const struct eas_login *login, apr_interval_time_t *waited,
                                  struct eas_err *err)
{
    struct eas_ticket *ticket = NULL;
    struct eas_kdc kdc;
    enum eas_rc rc = eas_kdc_open(&kdc, account->timeout, err);

    if (rc == EAS_OK) {
        rc = transition(account, &kdc, pool, login, &ticket, err);
        *waited += kdc.waited;
    }
    if (rc == EAS_OK) {
        eas_ticket_unref(ticket);
    }
    eas_kdc_close(&kdc);
    return rc;
}

enum eas_rc eas_kcd_token(struct eas_kcd_account *account, apr_pool_t *pool,
                          const struct eas_ticket *ticket, const struct eas_binding *binding,
                          const char **value_out, struct eas_handshake **handshake_out,
                          struct eas_err *err)
{
    return eas_mint_token(account->kcd->mint, pool, ticket, binding, value_out, handshake_out, err);
}

enum eas_rc eas_kcd_verify(struct eas_kcd_account *account, apr_pool_t *pool,
                           struct eas_handshake *handshake, const char *value, struct eas_err *err)
{
    return eas_mint_verify(account->kcd->mint, pool, handshake, value, err);
}
