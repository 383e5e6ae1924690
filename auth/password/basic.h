/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/basic.h - Parser of Basic credentials (RFC 7617) */

#ifndef EAS_AUTH_PASSWORD_BASIC_H
#define EAS_AUTH_PASSWORD_BASIC_H

#include "auth/base/error.h"
#include "auth/base/secret.h"

#include <apr_pools.h>

/* Credentials of a request: the login name as typed, in UTF-8, and the password. */
struct eas_credentials {
    const char *name;
    apr_size_t name_len;
    struct eas_secret *password;
};

/*
 * Parses the value of an Authorization header.  NULL stands for no header.  Results are in pool;
 * the password is in a secret of its own.
 *
 * EAS_OK with *out NULL: no credentials.  There is no header, another scheme (also Outlook's empty
 * `Bearer`), or a bare `Basic`.  EAS_OK with *out set: credentials.  EAS_DENIED: Basic with invalid
 * base64, without a colon, or with a password that is empty or holds a NUL.  EAS_DENIED also for
 * several headers, which httpd joins by commas.
 *
 * The charset is UTF-8, as in the challenge.  Octets that are not UTF-8 are read as Windows-1252,
 * which Windows clients send.
 */
enum eas_rc eas_basic_parse(apr_pool_t *pool, const char *header, struct eas_credentials **out,
                            struct eas_err *err);

#endif
