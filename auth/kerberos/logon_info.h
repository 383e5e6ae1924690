/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/logon_info.h - names and groups of an account, in a PAC ([MS-PAC]) */

#ifndef EAS_AUTH_KERBEROS_LOGON_INFO_H
#define EAS_AUTH_KERBEROS_LOGON_INFO_H

#include "auth/kerberos/sid.h"

#include <apr_pools.h>
#include <apr_time.h>

/* A KERB_VALIDATION_INFO ([MS-PAC] 2.5).  All octets are those that were parsed. */
struct eas_logon_info {
    struct eas_bytes name;            /* sAMAccountName, UTF-16LE */
    struct eas_bytes domain;          /* the SID of the account's domain, or none */
    struct eas_bytes groups;          /* of that domain: RIDs, each with its attributes */
    struct eas_bytes extra;           /* SIDs, each after the number of its subauthorities */
    struct eas_bytes resource_domain; /* the SID of the gateway's domain, or none */
    struct eas_bytes resource_groups; /* its domain local groups, as groups */
    unsigned long primary_group;      /* an RID of domain */
    apr_time_t password_ends;         /* when the password must be changed; 0: never */
    bool sensitive;                   /* "Account is sensitive and cannot be delegated" */
    bool transition;                  /* "Use any authentication protocol" */
};

/*
 * Parses the whole structure.  Untrusted octets.  False: it is malformed, or holds a group that is
 * not in effect, which no KDC issues.
 */
bool eas_logon_info_parse(struct eas_bytes octets, struct eas_logon_info *info_out);

/* Whether the account is in the group, also by way of others: the KDC has resolved nested groups. */
bool eas_logon_info_has(const struct eas_logon_info *info, const struct eas_sid *group);

/* The UPN in a UPN_DNS_INFO ([MS-PAC] 2.10), UTF-16LE.  Untrusted octets.  Empty: none. */
struct eas_bytes eas_logon_info_upn(struct eas_bytes octets);

/*
 * UTF-16LE as UTF-8 in pool.  NULL for an empty text, half of a character, unpaired surrogates and
 * control characters.
 */
const char *eas_logon_info_text(apr_pool_t *pool, struct eas_bytes utf16);

#endif
