/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/form.h - reads what the login form posts */

#ifndef EAS_AUTH_LOGIN_FORM_H
#define EAS_AUTH_LOGIN_FORM_H

#include "auth/base/error.h"
#include "auth/base/secret.h"

#include <apr_pools.h>
#include <stdbool.h>

/* A longer body is refused unread.  A password that is escaped throughout fits up to 5000 bytes. */
#define EAS_FORM_MAX 16384

/* What was posted, decoded. */
struct eas_form {
    const char *username; /* as typed, not yet parsed; not empty */
    apr_size_t username_len;
    struct eas_secret *password; /* byte by byte what was typed; not empty, without a NUL */
    bool trusted;                /* a private computer */
    const char
        *destination;  /* not yet judged (auth/login/destination.h); NULL if it was not posted */
    const char *token; /* not yet compared; NULL if it was not posted */
};

/*
 * Reads an application/x-www-form-urlencoded body with the fields `username`, `password`, `trusted`
 * (`0`, a public computer, also if it is missing; or `4`, a private one), `destination` and `token`;
 * others are ignored.  Results are in the pool; the body is not kept, its owner cleanses it.
 *
 * EAS_OK with *form_out set.  EAS_DENIED, also with *form_out set but without a password in it, if
 * there is no user name or no password.  EAS_MALFORMED if
 * the body is of another type, too long, has more than 64 fields, a field of ours twice, a bad
 * %-escape or a NUL anywhere, a `trusted` that is neither, or text that is not UTF-8.
 */
enum eas_rc eas_form_parse(apr_pool_t *pool, const char *content_type, const char *body,
                           apr_size_t len, struct eas_form **form_out, struct eas_err *err);

#endif
