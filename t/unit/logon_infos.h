/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/logon_infos.h - KERB_VALIDATION_INFO, as a KDC encodes it; for unit tests and fuzz targets */

#ifndef EAS_T_UNIT_LOGON_INFOS_H
#define EAS_T_UNIT_LOGON_INFOS_H

#include "auth/kerberos/logon_info.h"

#include <apr_pools.h>
#include <string.h>

#define LOGON_INFOS_FIXED 236
#define LOGON_INFOS_ATTRIBUTES 7

struct logon_infos_parts {
    struct eas_bytes name;        /* UTF-16LE */
    const struct eas_sid *domain; /* NULL: none */
    const unsigned *rids;
    size_t n_rids;
    const struct eas_sid *extra;
    size_t n_extra;
    const struct eas_sid *resource_domain; /* NULL: none */
    const unsigned *resource_rids;
    size_t n_resource_rids;
    unsigned primary_group;
    unsigned flags; /* userAccountControl */
};

static inline void logon_infos_dword(unsigned char *at, unsigned long value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
    at[2] = (unsigned char)(value >> 16);
    at[3] = (unsigned char)(value >> 24);
}

static inline unsigned char *logon_infos_put(unsigned char *p, unsigned long value)
{
    logon_infos_dword(p, value);
    return p + 4;
}

static inline unsigned char *logon_infos_string(unsigned char *p, struct eas_bytes utf16)
{
    p = logon_infos_put(p, utf16.len / 2);
    p = logon_infos_put(p, 0);
    p = logon_infos_put(p, utf16.len / 2);
    memcpy(p, utf16.at, utf16.len);
    return p + ((utf16.len + 3) & ~(size_t)3);
}

static inline unsigned char *logon_infos_rids(unsigned char *field, unsigned char *p,
                                              const unsigned *rids, size_t count)
{
    size_t i;

    logon_infos_dword(field, count);
    logon_infos_dword(field + 4, count > 0);
    p = count > 0 ? logon_infos_put(p, count) : p;
    for (i = 0; i < count; i++) {
        p = logon_infos_put(p, rids[i]);
        p = logon_infos_put(p, LOGON_INFOS_ATTRIBUTES);
    }
    return p;
}

static inline unsigned char *logon_infos_sid(unsigned char *field, unsigned char *p,
                                             const struct eas_sid *sid)
{
    if (sid == NULL) {
        return p;
    }
    logon_infos_dword(field, 1);
    p = logon_infos_put(p, (sid->len - EAS_SID_HEAD) / 4);
    memcpy(p, sid->at, sid->len);
    return p + sid->len;
}

static inline unsigned char *logon_infos_extra(unsigned char *info, unsigned char *p,
                                               const struct logon_infos_parts *parts)
{
    size_t i;

    logon_infos_dword(info + 216, parts->n_extra);
    logon_infos_dword(info + 220, parts->n_extra > 0);
    p = parts->n_extra > 0 ? logon_infos_put(p, parts->n_extra) : p;
    for (i = 0; i < parts->n_extra; i++) {
        p = logon_infos_put(p, 1);
        p = logon_infos_put(p, LOGON_INFOS_ATTRIBUTES);
    }
    for (i = 0; i < parts->n_extra; i++) {
        p = logon_infos_put(p, (parts->extra[i].len - EAS_SID_HEAD) / 4);
        memcpy(p, parts->extra[i].at, parts->extra[i].len);
        p += parts->extra[i].len;
    }
    return p;
}

/* In pool.  A full name `x` and a domain name `C` stand beside what the parts say. */
static inline struct eas_bytes logon_infos_make(apr_pool_t *pool,
                                                const struct logon_infos_parts *parts)
{
    static const unsigned char headers[] = { 1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc };
    unsigned char *info =
        apr_pcalloc(pool, 1000 + parts->name.len + 8 * (parts->n_rids + parts->n_resource_rids)
                              + (12 + EAS_SID_MAX) * parts->n_extra);
    unsigned char *p = info + LOGON_INFOS_FIXED;

    memcpy(info, headers, sizeof(headers));
    logon_infos_dword(info + 68, parts->name.len | parts->name.len << 16);
    logon_infos_dword(info + 72, parts->name.len > 0);
    p = parts->name.len > 0 ? logon_infos_string(p, parts->name) : p;
    logon_infos_dword(info + 76, 2 | 2 << 16);
    logon_infos_dword(info + 80, 1);
    p = logon_infos_string(p, eas_bytes_make("x", 2));
    logon_infos_dword(info + 124, parts->primary_group);
    p = logon_infos_rids(info + 128, p, parts->rids, parts->n_rids);
    logon_infos_dword(info + 164, 2 | 2 << 16);
    logon_infos_dword(info + 168, 1);
    p = logon_infos_string(p, eas_bytes_make("C", 2));
    p = logon_infos_sid(info + 172, p, parts->domain);
    logon_infos_dword(info + 184, parts->flags);
    p = logon_infos_extra(info, p, parts);
    p = logon_infos_sid(info + 224, p, parts->resource_domain);
    p = logon_infos_rids(info + 228, p, parts->resource_rids, parts->n_resource_rids);
    return eas_bytes_make(info, (size_t)(p - info));
}

#endif
