/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/known_password.h - Last verified password of an AD user, as a keyed digest */

#ifndef EAS_AUTH_PASSWORD_KNOWN_PASSWORD_H
#define EAS_AUTH_PASSWORD_KNOWN_PASSWORD_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_time.h>
#include <stdbool.h>

/*
 * A known password authenticates nobody.  It has two uses:
 *  - The KDC is asked about it although wrong guesses have locked the user here, or failures have
 *    emptied the token bucket of the client address.
 *  - Another password in its place shows that the password has changed.  Entries of the password
 *    cache with an older password version are then invalid.
 *
 * Each user has one sealed record, in the same table as the lockout records.  Thread-safe.
 */
struct eas_known_password {
    struct eas_shm_table *records;
    const struct eas_keyring *keyring;
    const unsigned char *user;   /* EAS_SHM_TABLE_KEY_SIZE bytes: the key of the lockout record */
    const unsigned char *digest; /* EAS_SEAL_MAC_SIZE bytes: of the password presented */
};

/*
 * Whether the digest is that of the last verified password, verified less than known_for before
 * now.  False on any failure.  Scratch is in pool.
 */
bool eas_known_password_is(const struct eas_known_password *presented, apr_pool_t *pool,
                           apr_interval_time_t known_for, apr_time_t now);

/*
 * Records a verified password for keep_for.  The KDC was asked about it at asked_at.  True if it
 * differs from the last one or there was none: the password may have changed.  Scratch is in pool.
 */
bool eas_known_password_learn(const struct eas_known_password *presented, apr_pool_t *pool,
                              apr_time_t asked_at, apr_interval_time_t keep_for);

#endif
