/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_quota.h - limit for the records of one owner in a table in shared memory */

#ifndef EAS_AUTH_BASE_SHM_QUOTA_H
#define EAS_AUTH_BASE_SHM_QUOTA_H

#include "auth/base/bytes.h"
#include "auth/base/shm_table.h"

/*
 * The records of an owner are listed in one more record.  Beyond the limit, a new record takes the
 * place of the owner's oldest, so that no number of them evicts the records of other owners.
 *
 * The list is not locked together with the records.  Two processes that put at once may replace the
 * same record.  Then one of the two new ones takes room of its own, and the limit holds still.
 */
struct eas_shm_quota {
    unsigned char owner[EAS_SHM_TABLE_KEY_SIZE]; /* key of the list */
    unsigned limit;                              /* 1 to EAS_SHM_QUOTA_MAX */
};

#define EAS_SHM_QUOTA_MAX 120

/* As eas_shm_table_put(). */
bool eas_shm_quota_put(struct eas_shm_table *table, const struct eas_shm_quota *quota,
                       const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], struct eas_bytes value,
                       apr_time_t now, apr_time_t expires);

/*
 * Makes the record the next one to be replaced.  It stays until then, so that its place is used
 * again: an owner who adds and removes records evicts no others either.
 */
void eas_shm_quota_release(struct eas_shm_table *table, const struct eas_shm_quota *quota,
                           const unsigned char key[EAS_SHM_TABLE_KEY_SIZE], apr_time_t now);

/* Whether a further record would replace one that has not expired. */
bool eas_shm_quota_is_full(struct eas_shm_table *table, const struct eas_shm_quota *quota,
                           apr_time_t now);

#endif
