/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/form_token.c - anti-forgery token of an administrator's forms */

#include "delegation/status/form_token.h"

#include <stdint.h>

#define PURPOSE "status"
#define HOUR apr_time_from_sec(3600)

/* Three parts, so that no token of the login form, which has one, is equal. */
struct parts {
    uint64_t hour;
    struct eas_bytes at[3];
};

static void make_parts(struct parts *parts, const char *user, uint64_t hour)
{
    parts->hour = hour;
    parts->at[0] = eas_bytes_of_text(PURPOSE);
    parts->at[1] = eas_bytes_of_text(user);
    parts->at[2] = eas_bytes_make(&parts->hour, sizeof(parts->hour));
}

enum eas_rc eas_form_token_make(const struct eas_keyring *keyring, apr_pool_t *pool,
                                const char *user, apr_time_t now, const char **token_out,
                                struct eas_err *err)
{
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct parts parts;
    enum eas_rc rc;

    make_parts(&parts, user, (uint64_t)(now / HOUR));
    rc = eas_seal_mac(keyring, 0, EAS_SEAL_CSRF, parts.at, 3, mac, err);
    if (rc == EAS_OK) {
        *token_out = eas_seal_to_text(pool, mac, sizeof(mac));
    }
    return rc;
}

enum eas_rc eas_form_token_check(const struct eas_keyring *keyring, apr_pool_t *pool,
                                 const char *user, apr_time_t now, const char *token,
                                 struct eas_err *err)
{
    enum eas_rc rc = EAS_DENIED;
    struct eas_bytes mac;
    struct parts parts;
    unsigned ago;

    if (token != NULL && eas_seal_from_text(pool, token, &mac)) {
        for (ago = 0; rc == EAS_DENIED && ago < 2; ago++) {
            make_parts(&parts, user, (uint64_t)(now / HOUR) - ago);
            rc = eas_seal_mac_check(keyring, EAS_SEAL_CSRF, parts.at, 3, mac, err);
        }
    }
    return rc == EAS_DENIED
               ? eas_fail(err, EAS_FORBIDDEN, 2202,
                          "the form has no valid token; load the status again, and send its form "
                          "within an hour")
               : rc;
}
