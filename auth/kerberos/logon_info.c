/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/logon_info.c - names and groups of an account, in a PAC ([MS-PAC]) */

#include "auth/kerberos/logon_info.h"

#include <apr_strings.h>
#include <stdint.h>
#include <string.h>

/*
 * NDR ([MS-RPCE] 2.2.6): two headers and a pointer, the fixed part of the structure, then what its
 * pointers point to, in their order.  These are offsets of fields.
 */
#define PASSWORD_MUST_CHANGE (20 + 40)
#define FIRST_STRING (20 + 48) /* EffectiveName, the first of six in a row */
#define PRIMARY_GROUP (20 + 104)
#define GROUPS (20 + 108) /* a number and a pointer, likewise below */
#define LOGON_SERVER (20 + 136)
#define LOGON_DOMAIN_NAME (20 + 144)
#define DOMAIN_SID (20 + 152)
#define USER_ACCOUNT_CONTROL (20 + 164)
#define EXTRA_SIDS (20 + 196)
#define RESOURCE_DOMAIN_SID (20 + 204)
#define RESOURCE_GROUPS (20 + 208)
#define DEFERRED (20 + 216)

/* The headers: version 1, little-endian, 8 octets. */
static const unsigned char headers[] = { 1, 0x10, 8, 0 };

#define STRINGS 6
#define STRING_SIZE 8 /* a length, a maximum, a pointer */
#define STRING_POINTER 4

/* An RID or a pointer to an SID, and attributes ([MS-PAC] 2.2.1, 2.2.2). */
#define GROUP_SIZE 8
#define GROUP_ENABLED 0x4ul
#define GROUP_USE_FOR_DENY_ONLY 0x10ul

/* [MS-SAMR] 2.2.1.12 */
#define USER_NOT_DELEGATED 0x4000ul
#define USER_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION 0x40000ul

static const struct eas_bytes none = { NULL, 0 };

static unsigned word(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static unsigned long dword(const unsigned char *at)
{
    return word(at) | (unsigned long)word(at + 2) << 16;
}

/* FILETIME ([MS-DTYP] 2.3.3): 100 ns since 1601.  The end of year 9999; later times mean never. */
#define FILETIME_MAX 2650467743990000000u

static apr_time_t read_time(const unsigned char *at)
{
    uint64_t time = (uint64_t)dword(at + 4) << 32 | dword(at), epoch = 116444736000000000u;

    return time <= epoch || time > FILETIME_MAX ? 0 : (apr_time_t)((time - epoch) / 10);
}

/* --- what pointers point to ------------------------------------------------------------------- */

/* After a failure nothing is left. */
struct cursor {
    struct eas_bytes left;
    bool failed;
};

static struct eas_bytes fail(struct cursor *cursor)
{
    cursor->failed = true;
    cursor->left = none;
    return none;
}

/* All begins at a multiple of four. */
static struct eas_bytes take(struct cursor *cursor, unsigned long count, size_t size)
{
    struct eas_bytes taken = cursor->left;
    size_t padded;

    if (cursor->failed || count > taken.len / size) {
        return fail(cursor);
    }
    taken.len = count * size;
    padded = (taken.len + 3) & ~(size_t)3;
    padded = padded < cursor->left.len ? padded : cursor->left.len;
    cursor->left = eas_bytes_make(cursor->left.at + padded, cursor->left.len - padded);
    return taken;
}

static unsigned long take_dword(struct cursor *cursor)
{
    struct eas_bytes taken = take(cursor, 1, 4);

    return taken.len == 4 ? dword(taken.at) : 0;
}

/* Of an RPC_UNICODE_STRING: before the characters, their greatest number, an offset, their number. */
static struct eas_bytes take_string(struct cursor *cursor, const unsigned char *field)
{
    struct eas_bytes string;
    unsigned long offset;

    if (dword(field + STRING_POINTER) == 0) {
        return none;
    }
    take_dword(cursor);
    offset = take_dword(cursor);
    string = take(cursor, take_dword(cursor), 2);
    return offset == 0 && string.len == word(field) ? string : fail(cursor);
}

/* Of a number and a pointer to as many groups. */
static struct eas_bytes take_groups(struct cursor *cursor, const unsigned char *field)
{
    unsigned long count = dword(field);
    struct eas_bytes groups;
    size_t i;

    if (dword(field + 4) == 0) {
        return count == 0 ? none : fail(cursor);
    }
    groups = take_dword(cursor) == count ? take(cursor, count, GROUP_SIZE) : fail(cursor);
    for (i = 0; i < groups.len; i += GROUP_SIZE) {
        unsigned long attributes = dword(groups.at + i + 4);

        if ((attributes & (GROUP_ENABLED | GROUP_USE_FOR_DENY_ONLY)) != GROUP_ENABLED) {
            return fail(cursor);
        }
    }
    return groups;
}

static struct eas_bytes take_sid(struct cursor *cursor, unsigned long pointer)
{
    unsigned long subauthorities;
    struct eas_bytes sid;

    if (pointer == 0) {
        return none;
    }
    subauthorities = take_dword(cursor);
    sid = subauthorities <= EAS_SID_SUBAUTHORITIES_MAX
              ? take(cursor, EAS_SID_HEAD + 4 * subauthorities, 1)
              : none;
    return eas_sid_is_valid(sid) ? sid : fail(cursor);
}

/* Behind the pointers and attributes. */
static struct eas_bytes take_extra(struct cursor *cursor, const unsigned char *field)
{
    struct eas_bytes heads = take_groups(cursor, field), extra = cursor->left;
    size_t i;

    for (i = 0; i < heads.len; i += GROUP_SIZE) {
        take_sid(cursor, dword(heads.at + i));
    }
    extra.len -= cursor->left.len;
    return cursor->failed ? none : extra;
}

bool eas_logon_info_parse(struct eas_bytes octets, struct eas_logon_info *info_out)
{
    struct cursor cursor = { octets, false };
    const unsigned char *at = octets.at;
    unsigned long flags;
    size_t i;

    memset(info_out, 0, sizeof(*info_out));
    take(&cursor, DEFERRED, 1);
    if (cursor.failed || memcmp(at, headers, sizeof(headers)) != 0) {
        return false;
    }
    info_out->name = take_string(&cursor, at + FIRST_STRING);
    for (i = 1; i < STRINGS; i++) {
        take_string(&cursor, at + FIRST_STRING + i * STRING_SIZE);
    }
    info_out->groups = take_groups(&cursor, at + GROUPS);
    take_string(&cursor, at + LOGON_SERVER);
    take_string(&cursor, at + LOGON_DOMAIN_NAME);
    info_out->domain = take_sid(&cursor, dword(at + DOMAIN_SID));
    info_out->extra = take_extra(&cursor, at + EXTRA_SIDS);
    info_out->resource_domain = take_sid(&cursor, dword(at + RESOURCE_DOMAIN_SID));
    info_out->resource_groups = take_groups(&cursor, at + RESOURCE_GROUPS);
    info_out->password_ends = read_time(at + PASSWORD_MUST_CHANGE);
    info_out->primary_group = dword(at + PRIMARY_GROUP);
    flags = dword(at + USER_ACCOUNT_CONTROL);
    info_out->sensitive = (flags & USER_NOT_DELEGATED) != 0;
    info_out->transition = (flags & USER_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION) != 0;
    return !cursor.failed && (info_out->groups.len == 0 || info_out->domain.len > 0)
           && (info_out->resource_groups.len == 0 || info_out->resource_domain.len > 0);
}

/* --- groups ----------------------------------------------------------------------------------- */

static bool has_rid(struct eas_bytes groups, unsigned long rid)
{
    size_t i;

    for (i = 0; i < groups.len; i += GROUP_SIZE) {
        if (dword(groups.at + i) == rid) {
            return true;
        }
    }
    return false;
}

/* Whether the group is the domain's SID and one more number. */
static bool is_of(const struct eas_sid *group, struct eas_bytes domain)
{
    return domain.len > 0 && group->len == domain.len + 4
           && memcmp(group->at + EAS_SID_HEAD, domain.at + EAS_SID_HEAD, domain.len - EAS_SID_HEAD)
                  == 0
           && memcmp(group->at + 2, domain.at + 2, EAS_SID_HEAD - 2) == 0;
}

static bool has_extra(struct eas_bytes extra, const struct eas_sid *group)
{
    const unsigned char *at = extra.at, *end = extra.at + extra.len;

    while (at < end) {
        size_t len = EAS_SID_HEAD + 4 * dword(at);

        if (len == group->len && memcmp(at + 4, group->at, len) == 0) {
            return true;
        }
        at += 4 + len;
    }
    return false;
}

bool eas_logon_info_has(const struct eas_logon_info *info, const struct eas_sid *group)
{
    unsigned long rid = dword(group->at + group->len - 4);

    if ((group->len == EAS_SID_RELATIVE && info->domain.len > 0) || is_of(group, info->domain)) {
        if (rid == info->primary_group || has_rid(info->groups, rid)) {
            return true;
        }
    }
    return (is_of(group, info->resource_domain) && has_rid(info->resource_groups, rid))
           || has_extra(info->extra, group);
}

/* --- names ------------------------------------------------------------------------------------ */

struct eas_bytes eas_logon_info_upn(struct eas_bytes octets)
{
    size_t len, at;

    if (octets.len < 12) {
        return none;
    }
    len = word(octets.at);
    at = word(octets.at + 2);
    return at > octets.len || len > octets.len - at ? none : eas_bytes_make(octets.at + at, len);
}

/* The length of the character in UTF-8. */
static size_t put_utf8(unsigned long character, char *out)
{
    size_t more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3, i;
    static const unsigned char lead[] = { 0x00, 0xc0, 0xe0, 0xf0 };

    out[0] = (char)(lead[more] | (character >> 6 * more));
    for (i = 1; i <= more; i++) {
        out[i] = (char)(0x80 | ((character >> 6 * (more - i)) & 0x3f));
    }
    return more + 1;
}

static bool is_control(unsigned long character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

const char *eas_logon_info_text(apr_pool_t *pool, struct eas_bytes utf16)
{
    size_t count = utf16.len / 2, i;
    char *text, *end;

    if (utf16.len == 0 || utf16.len % 2 != 0) {
        return NULL;
    }
    text = end = apr_palloc(pool, 3 * count + 1);
    for (i = 0; i < count; i++) {
        unsigned long character = word(utf16.at + 2 * i);

        if (character >= 0xd800 && character < 0xdc00 && i + 1 < count
            && word(utf16.at + 2 * i + 2) >> 10 == 0xdc00 >> 10) {
            i++;
            character = 0x10000 + ((character & 0x3ff) << 10) + (word(utf16.at + 2 * i) & 0x3ff);
        }
        else if (is_control(character) || (character >= 0xd800 && character < 0xe000)) {
            return NULL;
        }
        end += put_utf8(character, end);
    }
    *end = '\0';
    return text;
}
