/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/sid.c - security identifiers ([MS-DTYP] 2.4.2) */

#include "auth/kerberos/sid.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REVISION 1
#define AUTHORITY_MAX 0xffffffffffffull

/* A decimal number after a hyphen; moves *text behind it. */
static bool read_number(const char **text, uint64_t max, uint64_t *number_out)
{
    const char *p = *text;
    uint64_t number = 0;

    if (p[0] != '-' || !apr_isdigit(p[1])) {
        return false;
    }
    for (p++; apr_isdigit(*p); p++) {
        number = number * 10 + (uint64_t)(*p - '0');
        if (number > max) {
            return false;
        }
    }
    *text = p;
    *number_out = number;
    return true;
}

static void put_little(unsigned char *at, uint64_t number)
{
    int i;

    for (i = 0; i < 4; i++) {
        at[i] = (unsigned char)(number >> 8 * i);
    }
}

bool eas_sid_parse(const char *text, struct eas_sid *sid_out)
{
    uint64_t number;
    int i;

    if ((*text != 'S' && *text != 's')
        || (text++, !read_number(&text, REVISION, &number) || number != REVISION)
        || !read_number(&text, AUTHORITY_MAX, &number)) {
        return false;
    }
    sid_out->at[0] = REVISION;
    for (i = 0; i < 6; i++) {
        sid_out->at[2 + i] = (unsigned char)(number >> 8 * (5 - i));
    }
    sid_out->len = EAS_SID_HEAD;
    while (*text != '\0') {
        if (sid_out->len == EAS_SID_MAX || !read_number(&text, UINT32_MAX, &number)) {
            return false;
        }
        put_little(sid_out->at + sid_out->len, number);
        sid_out->len += 4;
    }
    sid_out->at[1] = (unsigned char)((sid_out->len - EAS_SID_HEAD) / 4);
    return sid_out->at[1] > 0;
}

/* [MS-DTYP] 2.4.2.4, without those that the root domain of a forest has alone. */
bool eas_sid_well_known(const char *name, struct eas_sid *sid_out)
{
    static const struct {
        const char *name;
        unsigned rid;
    } all[] = { { "Domain Admins", 512 },
                { "Domain Users", 513 },
                { "Domain Guests", 514 },
                { "Protected Users", 525 } };
    size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (apr_cstr_casecmp(name, all[i].name) == 0) {
            put_little(sid_out->at, all[i].rid);
            sid_out->len = EAS_SID_RELATIVE;
            return true;
        }
    }
    return false;
}

bool eas_sid_is_valid(struct eas_bytes octets)
{
    return octets.len > EAS_SID_HEAD && octets.at[0] == REVISION
           && octets.at[1] <= EAS_SID_SUBAUTHORITIES_MAX
           && octets.len == EAS_SID_HEAD + 4 * (size_t)octets.at[1];
}
