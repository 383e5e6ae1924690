/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/form.h - parser of the login form */

#ifndef EAS_AUTH_LOGIN_FORM_H
#define EAS_AUTH_LOGIN_FORM_H

#include "auth/base/error.h"
#include "auth/base/secret.h"

#include <apr_pools.h>
#include <stdbool.h>

/* The longest body.  A password of 5000 bytes fits, even if each byte is escaped. */
#define EAS_FORM_MAX 16384

/* The decoded fields. */
struct eas_form {
    const char *username; /* as typed, in UTF-8; for auth/identity.h to parse */
    apr_size_t username_len;
    struct eas_secret *password;             /* as typed; not empty, without a NUL */
    struct eas_secret *new_password, *again; /* of a change; NULL if missing or empty */
    bool trusted;                            /* a private computer */
    const char *destination; /* unchecked (auth/login/destination.h); NULL if missing */
    const char *token;       /* unchecked (auth/login/csrf_httpd.h); NULL if missing */
};

/*
 * Parses an application/x-www-form-urlencoded body.  Its fields are `username`, `password`,
 * `trusted` (`0` or missing: a public computer; `4`: a private one), `destination` and `token`;
 * `new_password` and `new_password_again` for a change; others are ignored.  Results are in pool
 * and do not refer to the body, which its owner cleanses.
 *
 * EAS_OK.  EAS_DENIED without a user name or a password; *form_out is set, its password is NULL.
 * EAS_MALFORMED for
 *  - another content type, a body that is too long, more than 64 fields;
 *  - a duplicate of a field above, another value of `trusted`;
 *  - a bad percent-escape, a NUL, text that is not UTF-8.
 * A user name that is not UTF-8 is read as Windows-1252.
 */
enum eas_rc eas_form_parse(apr_pool_t *pool, const char *content_type, const char *body,
                           apr_size_t len, struct eas_form **form_out, struct eas_err *err);

#endif
