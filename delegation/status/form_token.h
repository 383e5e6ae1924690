/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/form_token.h - anti-forgery token of an administrator's forms */

#ifndef EAS_DELEGATION_STATUS_FORM_TOKEN_H
#define EAS_DELEGATION_STATUS_FORM_TOKEN_H

#include "auth/base/seal.h"

#include <apr_time.h>

/*
 * A MAC of the user and the hour.  The page that has it goes to that user alone, so a form of
 * another site has none.  It needs no cookie, and serves programs as well as browsers.
 */

/* In pool.  EAS_OK, or EAS_UNAVAILABLE. */
enum eas_rc eas_form_token_make(const struct eas_keyring *keyring, apr_pool_t *pool,
                                const char *user, apr_time_t now, const char **token_out,
                                struct eas_err *err);

/*
 * EAS_OK for a token of this user, of this hour or the one before; EAS_FORBIDDEN; EAS_UNAVAILABLE.
 * NULL is no token.
 */
enum eas_rc eas_form_token_check(const struct eas_keyring *keyring, apr_pool_t *pool,
                                 const char *user, apr_time_t now, const char *token,
                                 struct eas_err *err);

#endif
