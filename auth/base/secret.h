/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/secret.h - passwords and keys in memory */

#ifndef EAS_AUTH_BASE_SECRET_H
#define EAS_AUTH_BASE_SECRET_H

#include <apr_file_info.h>
#include <stdbool.h>

/*
 * A NUL that len does not count follows the bytes, because krb5 takes C strings; so a caller of
 * krb5 refuses a secret with a NUL inside.  The bytes are cleansed with the pool, or earlier by
 * eas_secret_wipe().  No function formats or logs a secret.
 */
struct eas_secret {
    char *bytes;
    apr_size_t len;
};

/* A copy of the bytes, in pool. */
struct eas_secret *eas_secret_make(apr_pool_t *pool, const char *bytes, apr_size_t len);

/* A secret of len bytes that the caller fills in. */
struct eas_secret *eas_secret_room(apr_pool_t *pool, apr_size_t len);

/* Only these of its bytes are the secret from now on.  A NUL is written behind them. */
void eas_secret_narrow(struct eas_secret *secret, char *bytes, apr_size_t len);

/* Has bytes that lie in pool cleansed with it: a secret among others. */
void eas_secret_mark(apr_pool_t *pool, char *bytes, apr_size_t len);

/* Cleanses the bytes and sets len to 0. */
void eas_secret_wipe(struct eas_secret *secret);

/* Sets octets to zero, as OPENSSL_cleanse() does, by the C library's fast memset(). */
void eas_secret_erase(void *octets, apr_size_t len);

/* Whether the mode of a file with secrets lets everybody read it, or others than the owner write. */
bool eas_secret_is_exposed(apr_fileperms_t protection);

#endif
