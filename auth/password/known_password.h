/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/known_password.h - the last proved password of an account, as a keyed digest: it authenticates nobody */

#ifndef EAS_AUTH_PASSWORD_KNOWN_PASSWORD_H
#define EAS_AUTH_PASSWORD_KNOWN_PASSWORD_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * Whoever presents it may have it put to the KDC when others may not: while guesses of others have
 * locked the account here, or their failures have used up the budget of an address.  It is also what
 * tells that a password has changed: then what was remembered as proved before is worth nothing.
 *
 * A sealed record for each account, beside those of auth/password/lockout.h and in the same store.
 * Thread-safe.
 */

/* Was this digest the last one proved, and within known_for?  No, where anything fails. */
bool eas_known_password_is(struct eas_shm_table *accounts, const struct eas_keyring *ring,
                           apr_pool_t *pool, const unsigned char account[EAS_SHM_TABLE_KEY_SIZE],
                           const unsigned char digest[EAS_SEAL_MAC_SIZE],
                           apr_interval_time_t known_for, apr_time_t now);

/*
 * The digest was proved by a question that was asked at that time; keep_for is how long to remember
 * it.  True if it is another one than the last, or there was none: the password has changed, for all
 * that is known.
 */
bool eas_known_password_learn(struct eas_shm_table *accounts, const struct eas_keyring *ring,
                              apr_pool_t *pool, const unsigned char account[EAS_SHM_TABLE_KEY_SIZE],
                              const unsigned char digest[EAS_SEAL_MAC_SIZE], apr_time_t asked_at,
                              apr_interval_time_t keep_for);

#endif
