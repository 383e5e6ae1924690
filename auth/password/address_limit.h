/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/address_limit.h - Token bucket of failed log-ons for each client address */

#ifndef EAS_AUTH_PASSWORD_ADDRESS_LIMIT_H
#define EAS_AUTH_PASSWORD_ADDRESS_LIMIT_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * Limits guesses at many names from one address.  The lockout (auth/password/lockout.h) counts by
 * AD user, and has no record for a name that is no user's.
 *
 * A log-on that the KDC was asked about and that failed takes one token.  A bucket refills
 * steadily, so the next try is possible after one interval, and a clock step has little effect.
 *
 * A token is looked for before the question, and taken after the answer.  So log-ons at the same
 * time may overdraw the bucket, at most by a whole one, and refills pay this debt first.
 *
 * An IPv4 address or an IPv6 /64, the usual prefix of one subscriber, has one record.  The table
 * may lose records under a flood of addresses; those addresses then have full buckets.
 * Thread-safe.
 */

/* Capacity of a bucket, and the interval after which it gets another token: 600 an hour. */
#define EAS_ADDRESS_LIMIT_BURST 100
#define EAS_ADDRESS_LIMIT_REFILL apr_time_from_sec(6)

/* The key of the address's record. */
struct eas_address_limit_key {
    unsigned char bytes[EAS_SHM_TABLE_KEY_SIZE];
};

/*
 * Makes the key of r->useragent_ip, which mod_remoteip may have set: IPv4, IPv6 with or without a
 * zone, or IPv4-mapped IPv6.  All other texts have one key in common.  EAS_OK or EAS_UNAVAILABLE.
 */
enum eas_rc eas_address_limit_key(const struct eas_keyring *keyring, const char *address,
                                  struct eas_address_limit_key *key_out, struct eas_err *err);

/* Whether the bucket has a token.  True if the table is unusable: the lockout works without it. */
bool eas_address_limit_has_tokens(struct eas_shm_table *buckets,
                                  const struct eas_address_limit_key *key, apr_time_t now);

/*
 * Takes a token, also one that is not there; true if the bucket is empty by it.  *empty_for_out is
 * the time until the bucket has a token again.
 */
bool eas_address_limit_take(struct eas_shm_table *buckets, const struct eas_address_limit_key *key,
                            apr_time_t now, apr_interval_time_t *empty_for_out);

#endif
