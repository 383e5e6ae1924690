/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kcd.c - the façade of constrained delegation: from an identity to a token for a backend */

#include "delegation/kcd.h"
#include "auth/kdc.h"
#include "auth/lru.h"
#include "auth/ticket.h"
#include "delegation/gateway.h"
#include "delegation/mint.h"
#include "delegation/s4u.h"

#include <apr_strings.h>

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

static void retain_ticket(void *value)
{
    eas_ticket_ref(value);
}

static void release_ticket(void *value)
{
    eas_ticket_unref(value);
}

struct eas_kcd *eas_kcd_create(apr_pool_t *pool, apr_size_t cache_bytes)
{
    static const struct eas_lru_ops ops = { retain_ticket, release_ticket };
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

enum eas_rc eas_kcd_ticket(struct eas_kcd_account *account, apr_pool_t *pool,
                           const struct eas_kcd_wish *wish, struct eas_kcd_grant *grant,
                           struct eas_err *err)
{
    struct eas_lru *tickets = account->kcd->tickets;
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
    ticket = eas_lru_get(tickets, key, key_len, apr_time_now());
    if (ticket == NULL) {
        grant->source = EAS_KCD_FETCHED;
        rc = fetch(account, pool, wish, &ticket, &grant->waited, err);
        if (rc != EAS_OK) {
            return rc;
        }
        eas_lru_put(tickets, key, key_len, ticket, eas_ticket_size(ticket),
                    eas_ticket_stale_at(ticket));
    }
    grant->ticket = eas_ticket_to_pool(ticket, pool);
    return EAS_OK;
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
                          const struct eas_kcd_grant *grant, const char **value_out,
                          struct eas_err *err)
{
    return eas_mint_token(account->kcd->mint, pool, grant->ticket, value_out, err);
}
