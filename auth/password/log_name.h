/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/log_name.h - the name of a refused log-on, as the error log has it */

#ifndef EAS_AUTH_PASSWORD_LOG_NAME_H
#define EAS_AUTH_PASSWORD_LOG_NAME_H

#include "auth/base/seal.h"

struct eas_log_name {
    const char *account; /* as the KDC names it, or NULL */
    const char *typed;
    bool shown; /* EasKcdLogNames: the typed name itself, not its hash */
};

/*
 * ` (account alice@CORP.EXAMPLE.COM)`; without an account ` (name "alice")`, escaped and cut, or
 * ` (name #1a2b3c4d)`: a hash with a key, for a user may type the password as the name.  Letter case
 * does not change it.  "" if OpenSSL fails.
 */
const char *eas_log_name(apr_pool_t *pool, const struct eas_keyring *keyring,
                         const struct eas_log_name *name);

#endif
