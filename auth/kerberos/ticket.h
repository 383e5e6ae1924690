/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/ticket.h - Kerberos ticket with its session key, counted by references */

#ifndef EAS_AUTH_KERBEROS_TICKET_H
#define EAS_AUTH_KERBEROS_TICKET_H

#include "auth/base/error.h"
#include "auth/kerberos/pac.h"
#include "auth/kerberos/ticket_key.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <krb5/krb5.h>
#include <stdbool.h>

/*
 * Immutable except for what is prepared for its use, and the PAC that was read.  Threads, caches and
 * requests hold the same ticket without locks or copies.  A ticket lies outside pools and needs no
 * krb5_context, because libkrb5's data types do not depend on one.  The last reference wipes its keys.
 */
struct eas_ticket;

/* Takes the contents of *creds, which libkrb5 allocated, and clears it.  One reference. */
struct eas_ticket *eas_ticket_take(krb5_creds *creds);

struct eas_ticket *eas_ticket_ref(struct eas_ticket *ticket);
void eas_ticket_unref(struct eas_ticket *ticket); /* NULL is allowed */

/* Transfers the caller's reference to the pool, whose cleanup drops it.  Returns ticket. */
struct eas_ticket *eas_ticket_to_pool(struct eas_ticket *ticket, apr_pool_t *pool);

/* Read-only: libkrb5's functions take non-const pointers, but do not write. */
krb5_creds *eas_ticket_creds(const struct eas_ticket *ticket);

/* Prepared keys that a ticket keeps.  More than two requests of a user seldom overlap. */
#define EAS_TICKET_KEYS 2

/* Checks out a prepared session key, which the caller checks in again.  None after a failure. */
krb5_error_code eas_ticket_checkout_key(const struct eas_ticket *ticket, krb5_context ctx,
                                        struct eas_ticket_key **key_out);
void eas_ticket_checkin_key(const struct eas_ticket *ticket, struct eas_ticket_key *key);

/*
 * The PAC of a ticket for the gateway, read once; it lives as long as the ticket.  NULL if the keytab
 * has no key for the ticket, or has it no longer.  ctx may be NULL.
 */
const struct eas_pac *eas_ticket_pac(const struct eas_ticket *ticket, krb5_context ctx,
                                     struct eas_keytab *keytab);

/* Takes the PAC, and frees it if the ticket has one.  NULL is allowed: it is read when it is needed. */
void eas_ticket_keep_pac(const struct eas_ticket *ticket, struct eas_pac *pac);

/*
 * A block that the tokens of the ticket share, made once; NULL: not made yet.  malloc() has
 * allocated it, it holds no secret, and it lives as long as the ticket.  Readers need no lock.
 */
const void *eas_ticket_prepared(const struct eas_ticket *ticket);

/* Takes the block, and frees it if another thread was first.  Returns the ticket's block. */
const void *eas_ticket_prepare(const struct eas_ticket *ticket, void *block);

/* Whether both are the same ticket, or copies of it. */
bool eas_ticket_same(const struct eas_ticket *a, const struct eas_ticket *b);

bool eas_ticket_forwardable(const struct eas_ticket *ticket);
apr_time_t eas_ticket_start(const struct eas_ticket *ticket);
apr_time_t eas_ticket_end(const struct eas_ticket *ticket);

/*
 * From this time, no new use begins: five minutes, the clock skew, before the end, but at most a
 * quarter of the ticket's life.
 */
apr_time_t eas_ticket_stale_at(const struct eas_ticket *ticket);

/* From this time, a ticket is renewed while it is in use: twice as long before the end. */
apr_time_t eas_ticket_renew_at(const struct eas_ticket *ticket);

/* Half of the ticket's life is over. */
apr_time_t eas_ticket_half_at(const struct eas_ticket *ticket);

/* The ticket in libkrb5's ccache format, in pool.  The bytes are secret; the caller seals them. */
enum eas_rc eas_ticket_marshal(const struct eas_ticket *ticket, apr_pool_t *pool,
                               const unsigned char **out, apr_size_t *len_out, struct eas_err *err);

/* A ticket with one reference, or NULL if the bytes are none. */
struct eas_ticket *eas_ticket_unmarshal(const unsigned char *bytes, apr_size_t len);

/* Approximate size in bytes, without the prepared keys; for the bound of a cache. */
apr_size_t eas_ticket_size(const struct eas_ticket *ticket);

#endif
