/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/address_limit.h - a budget of failures for each address that log-ons come from */

#ifndef EAS_AUTH_PASSWORD_ADDRESS_LIMIT_H
#define EAS_AUTH_PASSWORD_ADDRESS_LIMIT_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * Slows down whoever tries many names from one address: the lockout (auth/password/lockout.h) sees each account
 * alone, and names that nobody has not at all.  Only what has reached the KDC and failed costs
 * anything.  A budget refills steadily, so nobody is shut out for longer than it takes for one more
 * try, and a clock that steps does not matter for long.
 *
 * The record is one for each IPv4 address or IPv6 /64 (what one subscriber has), in a store from which
 * floods may push others: that only gives them a new budget.  Thread-safe.
 */

/* So many may fail at once, and one more after each interval: 600 an hour. */
#define EAS_ADDRESS_LIMIT_BURST 100
#define EAS_ADDRESS_LIMIT_REFILL apr_time_from_sec(6)

struct eas_address_limit_key {
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE]; /* of the record */
};

/*
 * The source that an address in text is, as httpd gives it (mod_remoteip has been at work): IPv4, IPv6
 * with or without a zone, or IPv4 in IPv6.  Anything else is one source of its own.  EAS_OK or
 * EAS_UNAVAILABLE.
 */
enum eas_rc eas_address_limit_key(const struct eas_keyring *ring, const char *address,
                                  struct eas_address_limit_key *source_out, struct eas_err *err);

/* Has it anything left?  Also if the store is unusable: the lockout does not depend on it. */
bool eas_address_limit_has_tokens(struct eas_shm_table *sources,
                                  const struct eas_address_limit_key *source, apr_time_t now);

/* Takes one; true if it was the last. */
bool eas_address_limit_take(struct eas_shm_table *sources,
                            const struct eas_address_limit_key *source, apr_time_t now);

#endif
