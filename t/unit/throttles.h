/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/throttles.h - Keyring and table for tests of the log-on throttle */

#ifndef EAS_T_UNIT_THROTTLES_H
#define EAS_T_UNIT_THROTTLES_H

#include "t/unit/unit.h"

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"
#include "auth/password/throttle.h"

#include <apr_shm.h>

#define THROTTLES_TABLE_SIZE ((apr_size_t)256 * 1024)

static inline const struct eas_keyring *throttles_keyring(apr_pool_t *pool)
{
    const struct eas_secret *secret =
        eas_secret_make(pool, "a secret of forty-eight octets, no more, no less", 48);
    struct eas_keyring *ring = NULL;
    struct eas_err err;

    assert_int_equal(eas_seal_keyring_create(pool, &secret, 1, &ring, &err), EAS_OK);
    return ring;
}

static inline struct eas_shm_table *throttles_table(apr_pool_t *pool)
{
    apr_shm_t *shm;

    assert_int_equal(apr_shm_create(&shm, THROTTLES_TABLE_SIZE, NULL, pool), APR_SUCCESS);
    eas_shm_table_format(apr_shm_baseaddr_get(shm), THROTTLES_TABLE_SIZE);
    return eas_shm_table_attach(apr_shm_baseaddr_get(shm), THROTTLES_TABLE_SIZE);
}

static inline const struct eas_throttle *throttles_throttle(apr_pool_t *pool)
{
    struct eas_throttle *throttle = apr_pcalloc(pool, sizeof(*throttle));

    throttle->keyring = throttles_keyring(pool);
    throttle->lockout_records = throttles_table(pool);
    throttle->strangers = throttles_table(pool);
    throttle->name_cache = throttles_table(pool);
    throttle->password_versions =
        apr_pcalloc(pool, EAS_THROTTLE_PASSWORD_VERSIONS * sizeof(apr_uint32_t));
    return throttle;
}

#endif
