/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/sid.h - security identifiers ([MS-DTYP] 2.4.2) */

#ifndef EAS_AUTH_KERBEROS_SID_H
#define EAS_AUTH_KERBEROS_SID_H

#include "auth/base/bytes.h"

#include <stdbool.h>

#define EAS_SID_SUBAUTHORITIES_MAX 15
#define EAS_SID_HEAD 8 /* revision, number of subauthorities, authority */
#define EAS_SID_MAX (EAS_SID_HEAD + 4 * EAS_SID_SUBAUTHORITIES_MAX)

/* The octets of an SID; EAS_SID_RELATIVE octets are an RID, which each domain has. */
struct eas_sid {
    unsigned char at[EAS_SID_MAX];
    size_t len;
};

#define EAS_SID_RELATIVE 4

/* Reads `S-1-5-21-…`, whose authority is decimal.  False for any other text. */
bool eas_sid_parse(const char *text, struct eas_sid *sid_out);

/* The RID of a group that each domain has under this name, such as `Domain Admins`; else false. */
bool eas_sid_well_known(const char *name, struct eas_sid *sid_out);

/* Whether the octets are one whole SID. */
bool eas_sid_is_valid(struct eas_bytes octets);

#endif
