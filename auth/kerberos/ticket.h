/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/ticket.h - a Kerberos ticket with its session key, shared by whoever needs it */

#ifndef EAS_AUTH_KERBEROS_TICKET_H
#define EAS_AUTH_KERBEROS_TICKET_H

#include "auth/base/error.h"
#include "auth/kerberos/ticket_key.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <krb5/krb5.h>
#include <stdbool.h>

/*
 * Immutable after creation, but for what its session key remembers, and counted by references, so that threads, caches and requests can hold
 * the same ticket without locks or copies.  It lives outside pools and outside any krb5_context
 * (libkrb5's data types do not depend on one); the last reference cleanses its keys.
 */
struct eas_ticket;

/* Takes over *creds (allocated by libkrb5) and leaves it empty.  Returns one reference. */
struct eas_ticket *eas_ticket_take(krb5_creds *creds);

struct eas_ticket *eas_ticket_ref(struct eas_ticket *ticket);
void eas_ticket_unref(struct eas_ticket *ticket); /* NULL is allowed */

/* Gives the caller's reference to the pool, which drops it when it goes.  Returns ticket. */
struct eas_ticket *eas_ticket_to_pool(struct eas_ticket *ticket, apr_pool_t *pool);

/* For reading only: libkrb5's functions take non-const pointers, but do not write. */
krb5_creds *eas_ticket_creds(const struct eas_ticket *ticket);

/* How many keys stay ready with a ticket: requests of one user seldom overlap so that a third is wanted. */
#define EAS_TICKET_KEYS 2

/* The session key, ready for use; to be given back, so that it need not be made again.  A failure lends
 * none. */
krb5_error_code eas_ticket_checkout_key(const struct eas_ticket *ticket, krb5_context ctx,
                                        struct eas_ticket_key **key_out);
void eas_ticket_checkin_key(const struct eas_ticket *ticket, struct eas_ticket_key *key);

/* The same ticket, perhaps in another copy? */
bool eas_ticket_same(const struct eas_ticket *a, const struct eas_ticket *b);

bool eas_ticket_forwardable(const struct eas_ticket *ticket);
apr_time_t eas_ticket_end(const struct eas_ticket *ticket);

/*
 * When it should no longer be used for something new: five minutes before its end, as much as
 * clocks may differ, but at most a quarter of its life.
 */
apr_time_t eas_ticket_stale_at(const struct eas_ticket *ticket);

/* When to get another in its place while it can still be used: twice as long before its end. */
apr_time_t eas_ticket_renew_at(const struct eas_ticket *ticket);

/* Half of its life is over. */
apr_time_t eas_ticket_half_at(const struct eas_ticket *ticket);

/* The ticket as bytes in pool, in libkrb5's ccache format; a secret, to be sealed at once. */
enum eas_rc eas_ticket_marshal(const struct eas_ticket *ticket, apr_pool_t *pool,
                               const unsigned char **out, apr_size_t *len_out, struct eas_err *err);

/* One reference to the ticket in the bytes, or NULL if there is none. */
struct eas_ticket *eas_ticket_unmarshal(const unsigned char *bytes, apr_size_t len);

/* Bytes that it occupies, without the keys to lend; near enough to bound a cache by. */
apr_size_t eas_ticket_size(const struct eas_ticket *ticket);

#endif
