/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/logon_info.c - facts about an account in the PAC of its ticket ([MS-PAC]) */

#include "delegation/check/logon_info.h"

#include <string.h>

/* Offsets of fields; two headers are before them ([MS-RPCE] 2.2.6). */
#define EFFECTIVE_NAME (20 + 48)
#define GROUP_COUNT (20 + 108)
#define GROUP_IDS (20 + 112)
#define USER_ACCOUNT_CONTROL (20 + 164)
#define DEFERRED (20 + 216)

/* Strings before the groups, each a length, a maximum and a pointer. */
#define STRINGS 6
#define STRING_SIZE 8

/* [MS-SAMR] 2.2.1.12 */
#define USER_NOT_DELEGATED 0x4000ul
#define USER_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION 0x40000ul

#define RID_PROTECTED_USERS 525

static unsigned word(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static unsigned long dword(const unsigned char *at)
{
    return word(at) | (unsigned long)word(at + 2) << 16;
}

/* The array of groups, behind the contents of the strings; false if the octets end before it. */
static bool find_groups(struct eas_bytes octets, size_t *at_out, unsigned long *count_out)
{
    size_t at = DEFERRED, i;

    for (i = 0; i < STRINGS; i++) {
        if (dword(octets.at + EFFECTIVE_NAME + i * STRING_SIZE + 4) != 0) {
            unsigned long count;

            if (octets.len - at < 12 || (count = dword(octets.at + at + 8)) > octets.len) {
                return false;
            }
            at += (12 + 2 * count + 3) & ~(size_t)3;
            if (at > octets.len) {
                return false;
            }
        }
    }
    *count_out = dword(octets.at + GROUP_COUNT);
    *at_out = at + 4;
    return dword(octets.at + GROUP_IDS) != 0 && octets.len - at >= 4
           && *count_out <= (octets.len - at - 4) / 8;
}

void eas_logon_info_read(apr_pool_t *pool, struct eas_bytes octets, struct eas_logon_info *info_out)
{
    unsigned long flags, count, i;
    size_t at;

    memset(info_out, 0, sizeof(*info_out));
    if (octets.len < DEFERRED) {
        return;
    }
    info_out->account = eas_pac_effective_name(pool, octets);
    flags = dword(octets.at + USER_ACCOUNT_CONTROL);
    info_out->sensitive = (flags & USER_NOT_DELEGATED) != 0;
    info_out->transition = (flags & USER_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION) != 0;
    if (find_groups(octets, &at, &count)) {
        for (i = 0; i < count; i++) {
            info_out->protected_user |= dword(octets.at + at + 8 * i) == RID_PROTECTED_USERS;
        }
    }
}

const char *eas_logon_info_upn(apr_pool_t *pool, struct eas_bytes octets)
{
    size_t len, at;

    if (octets.len < 12) {
        return NULL;
    }
    len = word(octets.at);
    at = word(octets.at + 2);
    return len == 0 || at > octets.len || len > octets.len - at
               ? NULL
               : eas_pac_utf8(pool, octets.at + at, len / 2);
}

void eas_logon_info_of(struct eas_kdc *kdc, apr_pool_t *pool, struct eas_keytab *keytab,
                       const struct eas_ticket *ticket, struct eas_logon_info *info_out)
{
    eas_logon_info_read(pool, eas_pac_buffer(kdc, pool, keytab, ticket, KRB5_PAC_LOGON_INFO),
                        info_out);
    info_out->upn =
        eas_logon_info_upn(pool, eas_pac_buffer(kdc, pool, keytab, ticket, KRB5_PAC_UPN_DNS_INFO));
}
