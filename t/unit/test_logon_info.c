/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_logon_info.c - names and groups of an account, in a PAC */

#include "t/unit/logon_infos.h"
#include "t/unit/unit.h"

#include <apr_strings.h>

#define DOMAIN "S-1-5-21-1-2-3"
#define OTHER "S-1-5-21-4-5-6"

static struct eas_sid sid(const char *text)
{
    struct eas_sid parsed;

    assert_true(eas_sid_parse(text, &parsed));
    return parsed;
}

/* bob: two groups of his domain, two SIDs of others, a domain local group. */
static struct eas_bytes bob(apr_pool_t *pool)
{
    static const unsigned rids[] = { 513, 1104 }, resource_rids[] = { 2001 };
    static struct eas_sid domain, other, extra[2];
    struct logon_infos_parts parts = { .name = eas_bytes_make("b\0o\0b", 6),
                                       .domain = &domain,
                                       .rids = rids,
                                       .n_rids = COUNT_OF(rids),
                                       .extra = extra,
                                       .n_extra = COUNT_OF(extra),
                                       .resource_domain = &other,
                                       .resource_rids = resource_rids,
                                       .n_resource_rids = COUNT_OF(resource_rids),
                                       .primary_group = 515,
                                       .flags = 0x10 };

    domain = sid(DOMAIN);
    other = sid(OTHER);
    extra[0] = sid("S-1-18-1");
    extra[1] = sid(OTHER "-519");
    return logon_infos_make(pool, &parts);
}

static void test_groups(void **state)
{
    static const struct {
        const char *group;
        bool has;
    } rows[] = {
        { DOMAIN "-513", true },
        { DOMAIN "-1104", true },
        { DOMAIN "-515", true },
        { DOMAIN "-1105", false },
        { DOMAIN "-2001", false },
        { DOMAIN "-519", false },
        { DOMAIN, false },
        { OTHER "-513", false },
        { OTHER "-519", true },
        { OTHER "-2001", true },
        { OTHER "-2002", false },
        { OTHER "-1104", false },
        { OTHER, false },
        { "S-1-18-1", true },
        { "S-1-18-2", false },
        { "S-1-5-22-1-2-3-513", false },
        { "S-1-4-21-1-2-3-513", false },
        { "S-1-5-21-1-2-513", false },
        { "S-1-5-21-1-2-3-513-513", false },
    };
    struct eas_logon_info info;
    size_t i;

    assert_true(eas_logon_info_parse(bob(*state), &info));
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_sid group = sid(rows[i].group);

        if (eas_logon_info_has(&info, &group) != rows[i].has) {
            fail_msg("%s: not %d", rows[i].group, rows[i].has);
        }
    }
}

/* A name that each domain has means the account's own domain. */
static void test_well_known_groups(void **state)
{
    static const unsigned rids[] = { 512 };
    struct eas_sid users, admins, domain = sid(DOMAIN), extra = sid(OTHER "-512");
    struct logon_infos_parts foreign = { .domain = &domain, .extra = &extra, .n_extra = 1 },
                             nowhere = { .primary_group = 513 },
                             resource = { .domain = &domain,
                                          .resource_domain = &domain,
                                          .resource_rids = rids,
                                          .n_resource_rids = 1 };
    struct eas_logon_info info;

    assert_true(eas_sid_well_known("Domain Users", &users));
    assert_true(eas_sid_well_known("Domain Admins", &admins));
    assert_true(eas_logon_info_parse(bob(*state), &info));
    assert_true(eas_logon_info_has(&info, &users));
    assert_false(eas_logon_info_has(&info, &admins));
    assert_true(eas_logon_info_parse(logon_infos_make(*state, &foreign), &info));
    assert_false(eas_logon_info_has(&info, &admins));
    assert_true(eas_logon_info_parse(logon_infos_make(*state, &nowhere), &info));
    assert_false(eas_logon_info_has(&info, &users));
    assert_true(eas_logon_info_parse(logon_infos_make(*state, &resource), &info));
    assert_false(eas_logon_info_has(&info, &admins));
}

static void test_flags(void **state)
{
    struct logon_infos_parts parts = { .flags = 0x4010 };
    struct eas_logon_info info;

    assert_true(eas_logon_info_parse(bob(*state), &info));
    assert_false(info.sensitive || info.transition);
    assert_true(eas_logon_info_parse(logon_infos_make(*state, &parts), &info));
    assert_true(info.sensitive && !info.transition);
    parts.flags = 0x40010;
    assert_true(eas_logon_info_parse(logon_infos_make(*state, &parts), &info));
    assert_true(!info.sensitive && info.transition);
}

/* Each cut is malformed; valgrind and AddressSanitizer watch that nothing is read beyond it. */
static void test_truncated(void **state)
{
    struct eas_bytes whole = bob(*state);
    struct eas_logon_info info;
    size_t len;

    for (len = 0; len < whole.len; len++) {
        unsigned char *copy = test_malloc(len);

        memcpy(copy, whole.at, len);
        assert_false(eas_logon_info_parse(eas_bytes_make(copy, len), &info));
        test_free(copy);
    }
}

/* Counts, pointers and headers that do not fit the octets. */
static void test_inconsistent(void **state)
{
    /* A header; a name's length and number; numbers of groups and SIDs; a pointer to the domain. */
    static const struct {
        size_t at;
        unsigned long value;
    } rows[] = {
        { 0, 0x00081101 }, { 0, 0x00080001 },   { 68, 8 },  { 240, 2 }, { 244, 0xffffffff },
        { 128, 3 },        { 128, 0xffffffff }, { 172, 0 }, { 216, 3 }, { 216, 1 },
        { 224, 0 },        { 132, 0 },          { 228, 2 },
    };
    struct eas_logon_info info;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_bytes octets = bob(*state);

        logon_infos_dword((unsigned char *)octets.at + rows[i].at, rows[i].value);
        if (eas_logon_info_parse(octets, &info)) {
            fail_msg("row %d", (int)i);
        }
    }
}

/* A group that is not enabled, or for denial only, decides nothing: the whole is refused. */
static void test_groups_not_in_effect(void **state)
{
    static const unsigned long attributes[] = { 0, 3, 0x17, 0x10 };
    struct eas_logon_info info;
    size_t i;

    for (i = 0; i < COUNT_OF(attributes); i++) {
        struct eas_bytes octets = bob(*state);

        /* Behind a name of 20 octets, another of 16, and the number of groups. */
        logon_infos_dword((unsigned char *)octets.at + LOGON_INFOS_FIXED + 20 + 16 + 4 + 4,
                          attributes[i]);
        assert_false(eas_logon_info_parse(octets, &info));
    }
}

static void test_names(void **state)
{
    static const struct {
        const char *utf16;
        size_t len;
        const char *name;
    } rows[] = {
        { "b\0o\0b\0", 6, "bob" },
        { "\xe4\0x\0", 4, "\xc3\xa4x" },
        { "\xac\x20", 2, "\xe2\x82\xac" },
        { "\x3d\xd8\x00\xde", 4, "\xf0\x9f\x98\x80" },
        { "\x3d\xd8x\0", 4, NULL },
        { "x\0\x3d\xd8", 4, NULL },
        { "\x00\xde", 2, NULL },
        { "b\0\0\0b\0", 6, NULL },
        { "b\0\n\0b\0", 6, NULL },
        { "\x85\0", 2, NULL },
        { "", 0, NULL },
        { "b\0o", 3, NULL },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *name = eas_logon_info_text(*state, eas_bytes_make(rows[i].utf16, rows[i].len));

        if (rows[i].name == NULL) {
            assert_null(name);
        }
        else {
            assert_non_null(name);
            assert_string_equal(name, rows[i].name);
        }
    }
}

static void test_upn(void **state)
{
    unsigned char octets[18] = { 6, 0, 12, 0 };

    memcpy(octets + 12, "a\0@\0b", 6);
    assert_string_equal(eas_logon_info_text(*state, eas_logon_info_upn(eas_bytes_make(octets, 18))),
                        "a@b");
    assert_int_equal(eas_logon_info_upn(eas_bytes_make(octets, 17)).len, 0);
    assert_int_equal(eas_logon_info_upn(eas_bytes_make(octets, 11)).len, 0);
    octets[2] = 200;
    assert_int_equal(eas_logon_info_upn(eas_bytes_make(octets, 18)).len, 0);
}

/* FILETIME, little-endian; the last of them is AD's "never". */
static void test_end_of_a_password(void **state)
{
    static const struct {
        const char *octets;
        apr_time_t ends;
    } rows[] = {
        { "\0\0\0\0\0\0\0\0", 0 },
        { "\x00\x80\x3e\xd5\xde\xb1\x9d\x01", 0 }, /* 1970 */
        { "\x80\x96\x98\x00\x00\x00\x00\x00", 0 },
        { "\x00\xa0\x1c\x25\x36\xaf\xdc\x01", 1773000000000000 },
        { "\xff\xff\xff\xff\xff\xff\xff\x7f", 0 },
        { "\xff\xff\xff\xff\xff\xff\xff\xff", 0 },
    };
    const struct eas_bytes octets = bob(*state);
    struct eas_logon_info info;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        memcpy((unsigned char *)octets.at + 60, rows[i].octets, 8);
        assert_true(eas_logon_info_parse(octets, &info));
        assert_int_equal(info.password_ends, rows[i].ends);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_end_of_a_password),
        POOL_TEST(test_groups),
        POOL_TEST(test_well_known_groups),
        POOL_TEST(test_flags),
        POOL_TEST(test_truncated),
        POOL_TEST(test_inconsistent),
        POOL_TEST(test_groups_not_in_effect),
        POOL_TEST(test_names),
        POOL_TEST(test_upn),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
