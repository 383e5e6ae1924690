/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/ticket.c - Kerberos ticket with its session key, counted by references */

#include "auth/kerberos/ticket.h"
#include "auth/base/secret.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Clock skew that Kerberos allows. */
#define MARGIN apr_time_from_sec(300)

struct eas_ticket {
    atomic_uint refs;
    krb5_creds creds;
    _Atomic(struct eas_ticket_key *) keys[EAS_TICKET_KEYS]; /* NULL: not made yet, or checked out */
    _Atomic(struct eas_pac *) pac;                          /* NULL: not read yet */
    _Atomic(void *) prepared;
};

struct eas_ticket *eas_ticket_take(krb5_creds *creds)
{
    struct eas_ticket *ticket = malloc(sizeof(*ticket));
    int i;

    if (ticket == NULL) {
        abort(); /* as APR's pools do */
    }
    atomic_init(&ticket->refs, 1);
    ticket->creds = *creds;
    atomic_init(&ticket->pac, NULL);
    atomic_init(&ticket->prepared, NULL);
    for (i = 0; i < EAS_TICKET_KEYS; i++) {
        atomic_init(&ticket->keys[i], NULL);
    }
    memset(creds, 0, sizeof(*creds));
    return ticket;
}

struct eas_ticket *eas_ticket_ref(struct eas_ticket *ticket)
{
    atomic_fetch_add(&ticket->refs, 1);
    return ticket;
}

void eas_ticket_unref(struct eas_ticket *ticket)
{
    if (ticket != NULL && atomic_fetch_sub(&ticket->refs, 1) == 1) {
        int i;

        for (i = 0; i < EAS_TICKET_KEYS; i++) {
            eas_ticket_key_free(atomic_load(&ticket->keys[i]));
        }
        eas_pac_free(atomic_load(&ticket->pac));
        free(atomic_load(&ticket->prepared));
        /* Needs no context, and wipes the session key. */
        krb5_free_cred_contents(NULL, &ticket->creds);
        free(ticket);
    }
}

static apr_status_t unref_cleanup(void *data)
{
    eas_ticket_unref(data);
    return APR_SUCCESS;
}

struct eas_ticket *eas_ticket_to_pool(struct eas_ticket *ticket, apr_pool_t *pool)
{
    apr_pool_cleanup_register(pool, ticket, unref_cleanup, apr_pool_cleanup_null);
    return ticket;
}

krb5_creds *eas_ticket_creds(const struct eas_ticket *ticket)
{
    return (krb5_creds *)&ticket->creds;
}

/* Makes another key if all are checked out. */
krb5_error_code eas_ticket_checkout_key(const struct eas_ticket *ticket, krb5_context ctx,
                                        struct eas_ticket_key **key_out)
{
    struct eas_ticket *writable = (struct eas_ticket *)ticket;
    int i;

    for (i = 0; i < EAS_TICKET_KEYS; i++) {
        *key_out = atomic_exchange(&writable->keys[i], NULL);
        if (*key_out != NULL) {
            return 0;
        }
    }
    return eas_ticket_key_make(ctx, &ticket->creds.keyblock, key_out);
}

void eas_ticket_checkin_key(const struct eas_ticket *ticket, struct eas_ticket_key *key)
{
    struct eas_ticket *writable = (struct eas_ticket *)ticket;
    int i;

    for (i = 0; i < EAS_TICKET_KEYS; i++) {
        struct eas_ticket_key *none = NULL;

        if (atomic_compare_exchange_strong(&writable->keys[i], &none, key)) {
            return;
        }
    }
    eas_ticket_key_free(key);
}

/* A caller without a context gets one for this. */
static struct eas_pac *read_pac(const krb5_data *ticket, krb5_context ctx,
                                struct eas_keytab *keytab)
{
    struct eas_pac *pac;
    krb5_context own;

    if (ctx != NULL) {
        return eas_pac_read(ctx, keytab, ticket);
    }
    if (krb5_init_context(&own) != 0) {
        return NULL;
    }
    pac = eas_pac_read(own, keytab, ticket);
    krb5_free_context(own);
    return pac;
}

void eas_ticket_keep_pac(const struct eas_ticket *ticket, struct eas_pac *pac)
{
    struct eas_ticket *writable = (struct eas_ticket *)ticket;
    struct eas_pac *none = NULL;

    if (!atomic_compare_exchange_strong(&writable->pac, &none, pac)) {
        eas_pac_free(pac); /* another thread has read it meanwhile */
    }
}

const struct eas_pac *eas_ticket_pac(const struct eas_ticket *ticket, krb5_context ctx,
                                     struct eas_keytab *keytab)
{
    if (atomic_load(&ticket->pac) == NULL) {
        eas_ticket_keep_pac(ticket, read_pac(&ticket->creds.ticket, ctx, keytab));
    }
    return atomic_load(&ticket->pac);
}

const void *eas_ticket_prepared(const struct eas_ticket *ticket)
{
    return atomic_load_explicit(&ticket->prepared, memory_order_acquire);
}

const void *eas_ticket_prepare(const struct eas_ticket *ticket, void *block)
{
    struct eas_ticket *writable = (struct eas_ticket *)ticket;
    void *first = NULL;

    if (atomic_compare_exchange_strong(&writable->prepared, &first, block)) {
        return block;
    }
    free(block);
    return first;
}

bool eas_ticket_same(const struct eas_ticket *a, const struct eas_ticket *b)
{
    const krb5_data *left = &a->creds.ticket, *right = &b->creds.ticket;

    return a == b
           || (left->length == right->length && memcmp(left->data, right->data, left->length) == 0);
}

bool eas_ticket_forwardable(const struct eas_ticket *ticket)
{
    return (ticket->creds.ticket_flags & TKT_FLG_FORWARDABLE) != 0;
}

apr_time_t eas_ticket_end(const struct eas_ticket *ticket)
{
    return apr_time_from_sec((apr_time_t)(uint32_t)ticket->creds.times.endtime);
}

apr_time_t eas_ticket_start(const struct eas_ticket *ticket)
{
    const krb5_ticket_times *times = &ticket->creds.times;

    return apr_time_from_sec(
        (apr_time_t)(uint32_t)(times->starttime ? times->starttime : times->authtime));
}

static apr_interval_time_t margin_of(const struct eas_ticket *ticket)
{
    apr_interval_time_t quarter = (eas_ticket_end(ticket) - eas_ticket_start(ticket)) / 4;

    quarter -= quarter % APR_USEC_PER_SEC;
    return quarter < 0 ? 0 : quarter < MARGIN ? quarter : MARGIN;
}

apr_time_t eas_ticket_stale_at(const struct eas_ticket *ticket)
{
    return eas_ticket_end(ticket) - margin_of(ticket);
}

apr_time_t eas_ticket_renew_at(const struct eas_ticket *ticket)
{
    return eas_ticket_end(ticket) - 2 * margin_of(ticket);
}

apr_time_t eas_ticket_half_at(const struct eas_ticket *ticket)
{
    return eas_ticket_start(ticket) + (eas_ticket_end(ticket) - eas_ticket_start(ticket)) / 2;
}

enum eas_rc eas_ticket_marshal(const struct eas_ticket *ticket, apr_pool_t *pool,
                               const unsigned char **out, apr_size_t *len_out, struct eas_err *err)
{
    krb5_context ctx = NULL;
    krb5_data *data = NULL;
    struct eas_secret *copy;
    krb5_error_code code = krb5_init_context(&ctx);

    if (code == 0) {
        code = krb5_marshal_credentials(ctx, eas_ticket_creds(ticket), &data);
    }
    if (code == 0) {
        copy = eas_secret_make(pool, data->data, data->length);
        *out = (const unsigned char *)copy->bytes;
        *len_out = copy->len;
        OPENSSL_cleanse(data->data, data->length);
        krb5_free_data(ctx, data);
    }
    if (ctx != NULL) {
        krb5_free_context(ctx);
    }
    return code == 0 ? EAS_OK
                     : eas_fail(err, EAS_UNAVAILABLE, 1024, "libkrb5 cannot encode a ticket");
}

struct eas_ticket *eas_ticket_unmarshal(const unsigned char *bytes, apr_size_t len)
{
    krb5_data data = { 0, (unsigned)len, (char *)bytes };
    struct eas_ticket *ticket = NULL;
    krb5_context ctx = NULL;
    krb5_creds *creds;

    if (krb5_init_context(&ctx) == 0 && krb5_unmarshal_credentials(ctx, &data, &creds) == 0) {
        ticket = eas_ticket_take(creds);
        krb5_free_creds(ctx, creds);
    }
    if (ctx != NULL) {
        krb5_free_context(ctx);
    }
    return ticket;
}

apr_size_t eas_ticket_size(const struct eas_ticket *ticket)
{
    const krb5_creds *c = &ticket->creds;

    return sizeof(*ticket) + c->ticket.length + c->second_ticket.length + c->keyblock.length + 512;
}
