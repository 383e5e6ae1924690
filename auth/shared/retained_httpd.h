/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/retained_httpd.h - Memory that outlives graceful restarts */

#ifndef EAS_AUTH_SHARED_RETAINED_HTTPD_H
#define EAS_AUTH_SHARED_RETAINED_HTTPD_H

#include "auth/base/seal.h"
#include "auth/base/shm_table.h"

#include <httpd.h>
#include <stdbool.h>

#define EAS_RETAINED_SECRET_SIZE 32
#define EAS_RETAINED_SEGMENTS 4

/*
 * A segment of anonymous shared memory; none if the size is 0.  The system commits its pages on
 * first use.
 */
struct eas_retained_layout {
    apr_size_t size;
    bool is_table; /* formatted for auth/base/shm_table.h; otherwise all zero */
};

/*
 * A random secret and its segments, as ap_retained_data_create() keeps them.  httpd reloads the
 * module and clears pconf meanwhile, so the segments hold no pointers into either.  Later versions
 * of the module read it, too: this structure never changes.
 */
struct eas_retained {
    unsigned char secret[EAS_RETAINED_SECRET_SIZE];
    void *segments[EAS_RETAINED_SEGMENTS]; /* NULL: none, or the system had no memory */
    bool is_complete;                      /* all segments of the layout are there */
};

/*
 * Attaches the retained data of that name; the first call creates it, and logs how many records of
 * another version of the module are dropped (EAS3092).  A name ends with a number from 1 to 99,
 * and stands for one layout.  NULL if OpenSSL provides no random bytes.
 */
const struct eas_retained *eas_retained_attach(
    server_rec *s, const char *name,
    const struct eas_retained_layout layout[EAS_RETAINED_SEGMENTS]);

/*
 * Has the parent process log when records of the table are evicted (EAS1073).  In post_config; what
 * is in the plural.
 */
void eas_retained_watch(apr_pool_t *pconf, struct eas_shm_table *table, const char *what);

void eas_retained_register_hooks(apr_pool_t *pool);

/* A keyring of the secret, in pool.  Errors are those of eas_seal_keyring_create(). */
enum eas_rc eas_retained_keyring(const struct eas_retained *retained, apr_pool_t *pool,
                                 struct eas_keyring **out, struct eas_err *err);

#endif
