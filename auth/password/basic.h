/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/basic.h - reads an Authorization header of the Basic scheme (RFC 7617) */

#ifndef EAS_AUTH_PASSWORD_BASIC_H
#define EAS_AUTH_PASSWORD_BASIC_H

#include "auth/base/error.h"
#include "auth/base/secret.h"

#include <apr_pools.h>

/* What a client presented: the name as typed (UTF-8, not yet parsed) and the password. */
struct eas_credentials {
    const char *name;
    apr_size_t name_len;
    struct eas_secret *password;
};

/*
 * Reads the value of an Authorization header; NULL stands for no header.  Results are in the pool,
 * the password in a secret of its own.
 *
 * EAS_OK with *out set, or with *out NULL if these are no credentials at all: no header, any other
 * scheme (Outlook's empty `Bearer` probe too), or a bare `Basic`.  EAS_DENIED if it is Basic that
 * proves nothing: bad base64, no colon, an empty password or one with a NUL; also several headers,
 * which httpd hands on as one joined by commas.
 *
 * The charset is UTF-8, as our challenge says; octets that are not UTF-8 are read as ISO-8859-1,
 * which is what Outlook sends.
 */
enum eas_rc eas_basic_parse(apr_pool_t *pool, const char *header, struct eas_credentials **out,
                            struct eas_err *err);

#endif
