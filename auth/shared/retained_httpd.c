/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/retained_httpd.c - Memory that outlives graceful restarts */

#include "auth/shared/retained_httpd.h"
#include "auth/base/shm_table.h"

#include <apr_shm.h>
#include <http_config.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

static void *make_segment(server_rec *s, struct eas_retained_layout layout)
{
    apr_shm_t *shm;
    void *memory;

    if (apr_shm_create(&shm, layout.size, NULL, s->process->pool) != APR_SUCCESS) {
        return NULL;
    }
    memory = apr_shm_baseaddr_get(shm);
    if (layout.is_table) {
        eas_shm_table_format(memory, layout.size);
    }
    return memory;
}

const struct eas_retained *eas_retained_attach(
    server_rec *s, const char *name, const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS])
{
    struct eas_retained *retained = ap_retained_data_get(name);
    unsigned char secret[EAS_RETAINED_SECRET_SIZE];
    int i;

    if (retained != NULL) {
        return retained;
    }
    if (RAND_priv_bytes(secret, sizeof(secret)) != 1) {
        return NULL;
    }
    retained = ap_retained_data_create(name, sizeof(*retained));
    memcpy(retained->secret, secret, sizeof(secret));
    OPENSSL_cleanse(secret, sizeof(secret));
    retained->is_complete = true;
    for (i = 0; i < EAS_RETAINED_SEGMENTS; i++) {
        if (layout[i].size > 0) {
            retained->segments[i] = make_segment(s, layout[i]);
            retained->is_complete = retained->is_complete && retained->segments[i] != NULL;
        }
    }
    return retained;
}

enum eas_rc eas_retained_keyring(const struct eas_retained *retained, apr_pool_t *pool,
                                 struct eas_keyring **out, struct eas_err *err)
{
    struct eas_secret *secret =
        eas_secret_make(pool, (const char *)retained->secret, sizeof(retained->secret));
    const struct eas_secret *secrets[] = { secret };
    enum eas_rc rc = eas_seal_keyring_create(pool, secrets, 1, out, err);

    eas_secret_wipe(secret);
    return rc;
}
