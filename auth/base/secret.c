/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/secret.c - passwords and keys in memory */

#include "auth/base/secret.h"

#include <string.h>

static apr_status_t wipe_cleanup(void *data)
{
    eas_secret_wipe(data);
    return APR_SUCCESS;
}

static struct eas_secret *mark(apr_pool_t *pool, char *bytes, apr_size_t len)
{
    struct eas_secret *secret = apr_palloc(pool, sizeof(*secret));

    secret->bytes = bytes;
    secret->len = len;
    /* A pre-cleanup runs before the pool's subpools and cleanups. */
    apr_pool_pre_cleanup_register(pool, secret, wipe_cleanup);
    return secret;
}

void eas_secret_mark(apr_pool_t *pool, char *bytes, apr_size_t len)
{
    mark(pool, bytes, len);
}

struct eas_secret *eas_secret_room(apr_pool_t *pool, apr_size_t len)
{
    char *bytes = apr_palloc(pool, len + 1);

    bytes[len] = '\0';
    return mark(pool, bytes, len);
}

struct eas_secret *eas_secret_make(apr_pool_t *pool, const char *bytes, apr_size_t len)
{
    struct eas_secret *secret = eas_secret_room(pool, len);

    memcpy(secret->bytes, bytes, len);
    return secret;
}

void eas_secret_narrow(struct eas_secret *secret, char *bytes, apr_size_t len)
{
    secret->bytes = bytes;
    secret->len = len;
    bytes[len] = '\0';
}

/* Volatile: a compiler does not know the function, and so cannot leave out its call. */
static void *(*const volatile set)(void *, int, size_t) = memset;

void eas_secret_erase(void *octets, apr_size_t len)
{
    set(octets, 0, len);
}

void eas_secret_wipe(struct eas_secret *secret)
{
    eas_secret_erase(secret->bytes, secret->len);
    secret->len = 0;
}

bool eas_secret_is_exposed(apr_fileperms_t protection)
{
    return (protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE | APR_FPROT_GWRITE)) != 0;
}
