/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_logon_info.c - fuzz target of auth/kerberos/logon_info and sid */

#include "t/fuzz/fuzz.h"

#include "auth/base/utf8.h"
#include "t/unit/logon_infos.h"

#include <apr_strings.h>

static const unsigned char octets_of_domain[] = { 1, 4, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0,
                                                  1, 0, 0, 0, 2, 0, 0, 0, 3,  0, 0, 0 };

static struct eas_sid group_of(unsigned rid)
{
    struct eas_sid sid = { .len = sizeof(octets_of_domain) + 4 };

    memcpy(sid.at, octets_of_domain, sizeof(octets_of_domain));
    sid.at[1]++;
    logon_infos_dword(sid.at + sizeof(octets_of_domain), rid);
    return sid;
}

static void check_text(const char *text)
{
    check(text == NULL || (*text != '\0' && eas_utf8_is_valid(text, strlen(text))));
}

static void check_any_octets(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_sid group = group_of(512);
    struct eas_logon_info info;

    if (eas_logon_info_parse(input, &info)) {
        check(info.groups.len % 8 == 0 && info.resource_groups.len % 8 == 0);
        check(info.groups.len == 0 || eas_sid_is_valid(info.domain));
        eas_logon_info_has(&info, &group);
        check_text(eas_logon_info_text(pool, info.name));
    }
    check_text(eas_logon_info_text(pool, eas_logon_info_upn(input)));
}

/* Two octets of the input are an RID; it lies in one of three lists, by its lowest bits. */
static void check_groups(apr_pool_t *pool, struct eas_bytes input)
{
    size_t count = input.len / 2, i;
    unsigned *rids = apr_palloc(pool, (count + 1) * sizeof(*rids)),
             *resource_rids = apr_palloc(pool, (count + 1) * sizeof(*rids));
    struct eas_sid *extra = apr_palloc(pool, (count + 1) * sizeof(*extra)),
                   domain = { .len = sizeof(octets_of_domain) }, resource;
    struct logon_infos_parts parts = { .domain = &domain,
                                       .rids = rids,
                                       .extra = extra,
                                       .resource_domain = &resource,
                                       .resource_rids = resource_rids };
    struct eas_logon_info info;
    struct eas_bytes octets;

    memcpy(domain.at, octets_of_domain, sizeof(octets_of_domain));
    resource = domain;
    resource.at[12] = 9;
    for (i = 0; i < count; i++) {
        unsigned rid = input.at[2 * i] | (unsigned)input.at[2 * i + 1] << 8;

        switch (rid % 4) {
        case 0:
            resource_rids[parts.n_resource_rids++] = rid;
            break;
        case 1:
            extra[parts.n_extra++] = group_of(rid);
            break;
        default:
            rids[parts.n_rids++] = rid;
        }
    }
    octets = logon_infos_make(pool, &parts);
    check(eas_logon_info_parse(octets, &info));
    for (i = 0; i < count; i++) {
        struct eas_sid group = group_of(input.at[2 * i] | (unsigned)input.at[2 * i + 1] << 8);

        group.at[12] = input.at[2 * i] % 4 == 0 ? 9 : 1;
        check(eas_logon_info_has(&info, &group));
        group.at[12] = 7;
        check(!eas_logon_info_has(&info, &group));
    }
    check(!eas_logon_info_parse(eas_bytes_make(octets.at, octets.len - 1), &info));
}

/* Each text of an SID is the only one of its octets, but for the case of S and leading zeroes. */
static void check_sid(apr_pool_t *pool, struct eas_bytes input)
{
    const char *text = apr_pstrmemdup(pool, (const char *)input.at, input.len);
    struct eas_sid sid;

    if (eas_sid_parse(text, &sid)) {
        check(eas_sid_is_valid(eas_bytes_make(sid.at, sid.len)));
        check(!eas_sid_parse(apr_pstrcat(pool, text, "x", NULL), &sid));
    }
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    check_any_octets(pool, input);
    check_groups(pool, input);
    check_sid(pool, input);
}
