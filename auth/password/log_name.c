/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/log_name.c - the name of a refused log-on, as the error log has it */

#include "auth/password/log_name.h"
#include "auth/base/utf8.h"

#include <apr_escape.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/* Octets of a name that are shown. */
#define SHOWN_MAX 64

/* Octets of a hash: few names share one, and none leads back to its name. */
#define HASH_SIZE 4

static const char *hash(apr_pool_t *pool, const struct eas_keyring *keyring, const char *typed)
{
    char *folded = apr_pstrdup(pool, typed), *p;
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct eas_bytes part;
    struct eas_err ignored;

    for (p = folded; *p != '\0'; p++) {
        *p = (char)apr_tolower(*p);
    }
    part = eas_bytes_of_text(folded);
    return eas_seal_mac(keyring, 0, EAS_SEAL_LOG_NAME, &part, 1, mac, &ignored) == EAS_OK
               ? apr_pescape_hex(pool, mac, HASH_SIZE, 0)
               : NULL;
}

/* No quote ends the name too early, and no line does.  httpd escapes the rest. */
static const char *show(apr_pool_t *pool, const char *typed)
{
    size_t len = strlen(typed), i, n;
    char *shown = apr_pstrmemdup(pool, typed, len < SHOWN_MAX ? len : SHOWN_MAX);

    len = strlen(shown);
    for (i = 0; i<len; i += n> 0 ? n : 1) {
        n = eas_utf8_length(shown + i, len - i);
        if (n == 0 || shown[i] == '"' || apr_iscntrl(shown[i])) {
            shown[i] = '?';
        }
    }
    return apr_psprintf(pool, " (name \"%s\"%s)", shown, typed[len] != '\0' ? ", cut" : "");
}

const char *eas_log_name(apr_pool_t *pool, const struct eas_keyring *keyring,
                         const struct eas_log_name *name)
{
    const char *hex;

    if (name->account != NULL) {
        return apr_psprintf(pool, " (account %s)", name->account);
    }
    if (name->shown) {
        return show(pool, name->typed);
    }
    hex = hash(pool, keyring, name->typed);
    return hex != NULL ? apr_psprintf(pool, " (name #%s)", hex) : "";
}
