/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/guards.h - a keyring and a store, for tests of what guards passwords */

#ifndef EAS_T_UNIT_GUARDS_H
#define EAS_T_UNIT_GUARDS_H

#include "t/unit/unit.h"

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <apr_shm.h>

#define GUARDS_SIZE ((apr_size_t)256 * 1024)

static inline const struct eas_keyring *guards_keyring(apr_pool_t *pool)
{
    const struct eas_secret *secret =
        eas_secret_make(pool, "a secret of forty-eight octets, no more, no less", 48);
    struct eas_keyring *ring = NULL;
    struct eas_err err;

    assert_int_equal(eas_seal_keyring_create(pool, &secret, 1, &ring, &err), EAS_OK);
    return ring;
}

static inline struct eas_shm_table *guards_store(apr_pool_t *pool)
{
    apr_shm_t *shm;

    assert_int_equal(apr_shm_create(&shm, GUARDS_SIZE, NULL, pool), APR_SUCCESS);
    eas_shm_table_format(apr_shm_baseaddr_get(shm), GUARDS_SIZE);
    return eas_shm_table_attach(apr_shm_baseaddr_get(shm), GUARDS_SIZE);
}

#endif
