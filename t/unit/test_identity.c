/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_identity.c - from what people type to the one name that AD knows them by */

#include "t/unit/unit.h"

#include "auth/identity.h"

#include <apr_strings.h>
#include <string.h>

#define CORP "CORP.EXAMPLE.COM"
#define BRANCH "BRANCH.EXAMPLE.NET"

/* Two realms, their NetBIOS domains, and a UPN suffix of the second. */
static struct eas_realms make_realms(apr_pool_t *pool)
{
    static const struct eas_domain domains[] = {
        { "EXAMPLE", CORP },
        { "BRANCH", BRANCH },
        { "mail.example.net", BRANCH },
    };
    apr_array_header_t *array = apr_array_make(pool, 3, sizeof(struct eas_domain));
    struct eas_realms realms = { CORP, array };
    size_t i;

    for (i = 0; i < COUNT_OF(domains); i++) {
        APR_ARRAY_PUSH(array, struct eas_domain) = domains[i];
    }
    return realms;
}

struct spelling {
    const char *typed;
    struct eas_login expected;
};

static void assert_spelling(apr_pool_t *pool, const struct eas_realms *realms,
                            const struct spelling *row)
{
    struct eas_login login = { NULL, NULL, false };
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_identity_parse(pool, row->typed, strlen(row->typed), realms, &login, &err) != EAS_OK) {
        fail_msg("\"%s\": EAS%d %s", row->typed, err.tag, err.text);
    }
    assert_string_equal(login.user, row->expected.user);
    assert_string_equal(login.realm, row->expected.realm);
    assert_int_equal(login.enterprise, row->expected.enterprise);
}

static void test_every_spelling(void **state)
{
    static const struct spelling rows[] = {
        { "alice", { "alice", CORP, false } },
        { "Alice", { "Alice", CORP, false } },
        { "EXAMPLE\\alice", { "alice", CORP, false } },
        { "example\\alice", { "alice", CORP, false } },
        { "BRANCH\\bob", { "bob", BRANCH, false } },
        { CORP "\\alice", { "alice", CORP, false } },
        { "branch.example.net\\bob", { "bob", BRANCH, false } },
        { "alice@" CORP, { "alice", CORP, false } },
        { "alice@corp.example.com", { "alice", CORP, false } },
        { "alice@Corp.Example.Com", { "alice", CORP, false } },
        { "bob@branch.EXAMPLE.net", { "bob", BRANCH, false } },
        { "bob@mail.example.net", { "bob@mail.example.net", BRANCH, true } },
        { "bob@MAIL.Example.Net", { "bob@MAIL.Example.Net", BRANCH, true } },
        { "carol@elsewhere.org", { "carol@elsewhere.org", CORP, true } },
        { "alice smith", { "alice smith", CORP, false } },
        { "alice.smith", { "alice.smith", CORP, false } },
        { "$alice", { "$alice", CORP, false } },
        { "al$ice", { "al$ice", CORP, false } },
        { "*", { "*", CORP, false } },
        { "j\xc3\xb6rg", { "j\xc3\xb6rg", CORP, false } },
        { "EXAMPLE\\j\xc3\xb6rg", { "j\xc3\xb6rg", CORP, false } },
        { "\xe7\x94\xb0@elsewhere.org", { "\xe7\x94\xb0@elsewhere.org", CORP, true } },
    };
    struct eas_realms realms = make_realms(*state);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_spelling(*state, &realms, &rows[i]);
    }
}

static void test_spellings_without_domains(void **state)
{
    static const struct spelling rows[] = {
        { "alice", { "alice", CORP, false } },
        { "alice@corp.example.com", { "alice", CORP, false } },
        { CORP "\\alice", { "alice", CORP, false } },
        { "alice@example.com", { "alice@example.com", CORP, true } },
    };
    struct eas_realms realms = { CORP, NULL };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_spelling(*state, &realms, &rows[i]);
    }
}

/* The typed bytes need no NUL behind them, and what lies there is not read. */
static void test_typed_name_ends_at_its_length(void **state)
{
    struct eas_realms realms = make_realms(*state);
    struct eas_login login;
    struct eas_err err;

    assert_int_equal(eas_identity_parse(*state, "alice@x.org", 5, &realms, &login, &err), EAS_OK);
    assert_string_equal(login.user, "alice");
    assert_false(login.enterprise);
}

struct refusal {
    const char *typed;
    apr_size_t len; /* 0 if it is typed's */
    int tag;
};

static void assert_refusals(apr_pool_t *pool, const struct refusal *rows, size_t n)
{
    static const struct eas_login untouched = { "untouched", "REALM", true };
    struct eas_realms realms = make_realms(pool);

    for (; n > 0; n--, rows++) {
        struct eas_login login = untouched;
        struct eas_err err = { EAS_OK, 0, "" };
        apr_size_t len = rows->len ? rows->len : strlen(rows->typed);
        enum eas_rc rc = eas_identity_parse(pool, rows->typed, len, &realms, &login, &err);

        if (rc != EAS_DENIED || err.rc != EAS_DENIED || err.tag != rows->tag) {
            fail_msg("\"%s\": rc %d, EAS%d %s", rows->typed, rc, err.tag, err.text);
        }
        assert_ptr_equal(login.user, untouched.user);
        assert_ptr_equal(login.realm, untouched.realm);
    }
}

static void test_empty_names_and_blanks_are_refused(void **state)
{
    static const struct refusal rows[] = {
        { "", 0, 1001 },
        { " ", 0, 1001 },
        { " alice", 0, 1001 },
        { "alice ", 0, 1001 },
        { "@", 0, 1004 },
        { "@" CORP, 0, 1001 },
        { "@elsewhere.org", 0, 1001 },
        { " @" CORP, 0, 1001 },
        { "alice @" CORP, 0, 1001 },
        { " alice@elsewhere.org", 0, 1001 },
        { "EXAMPLE\\", 0, 1001 },
        { "EXAMPLE\\ alice", 0, 1001 },
        { "EXAMPLE\\alice ", 0, 1001 },
        { " EXAMPLE\\alice", 0, 1003 },
        { "alice@", 0, 1004 },
    };

    assert_refusals(*state, rows, COUNT_OF(rows));
}

/* Else one user had a name, a digest and a count of failures for each blank. */
static void test_blanks_after_or_before_a_suffix_are_refused(void **state)
{
    static const struct refusal rows[] = {
        { "alice@elsewhere.org ", 0, 1001 },
        { "alice@" CORP " ", 0, 1001 },
        { "bob@mail.example.net  ", 0, 1001 },
        { "alice@ ", 0, 1001 },
    };

    assert_refusals(*state, rows, COUNT_OF(rows));
}

static void test_service_and_machine_names_are_refused(void **state)
{
    static const struct refusal rows[] = {
        { "$", 0, 1002 },
        { "host$", 0, 1002 },
        { "host$@" CORP, 0, 1002 },
        { "host$@elsewhere.org", 0, 1002 },
        { "EXAMPLE\\host$", 0, 1002 },
        { "a/b", 0, 1002 },
        { "/", 0, 1002 },
        { "/a", 0, 1002 },
        { "a/", 0, 1002 },
        { "HTTP/cas1@" CORP, 0, 1002 },
        { "HTTP/cas1@elsewhere.org", 0, 1002 },
        { "EXAMPLE\\HTTP/cas1", 0, 1002 },
    };

    assert_refusals(*state, rows, COUNT_OF(rows));
}

static void test_unknown_domains_and_several_separators_are_refused(void **state)
{
    static const struct refusal rows[] = {
        { "OTHER\\alice", 0, 1003 },
        { "\\", 0, 1003 },
        { "\\alice", 0, 1003 },
        { "\\\\", 0, 1003 },
        { "EXAMPLE\\\\alice", 0, 1003 },
        { "EXAMPLE\\a\\b", 0, 1003 },
        { "a\\b\\c", 0, 1003 },
        { "EXAMPL\\alice", 0, 1003 },
        { "EXAMPLEX\\alice", 0, 1003 },
        { "a@b\\c", 0, 1003 },
        { "a@b@c", 0, 1004 },
        { "a@b@" CORP, 0, 1004 },
        { "a@@" CORP, 0, 1004 },
        { "@@", 0, 1004 },
    };

    assert_refusals(*state, rows, COUNT_OF(rows));
}

static void test_control_characters_are_refused(void **state)
{
    static const struct refusal rows[] = {
        { "\0", 1, 1005 },
        { "alice\0", 6, 1005 },
        { "al\0ice", 6, 1005 },
        { "alice\0@" CORP, 23, 1005 },
        { "alice@corp.example.com\0.evil.org", 32, 1005 },
        { "\talice", 0, 1005 },
        { "alice\n", 0, 1005 },
        { "alice\r", 0, 1005 },
        { "al\x1bice", 0, 1005 },
        { "al\x7fice", 0, 1005 },
        { "alice@corp\x01", 0, 1005 },
        { "EX\x1f\\alice", 0, 1005 },
    };

    assert_refusals(*state, rows, COUNT_OF(rows));
}

static void test_invalid_utf8_is_refused(void **state)
{
    static const struct refusal rows[] = {
        { "j\xf6rg", 0, 1005 },    { "EXAMPLE\\j\xf6rg", 0, 1005 },
        { "alice@\xff", 0, 1005 }, { "\xc0\xaf", 0, 1005 }, /* an overlong slash */
        { "alice\xc3", 0, 1005 },
    };

    assert_refusals(*state, rows, COUNT_OF(rows));
}

static void test_utf8_table(void **state)
{
    static const struct {
        const char *bytes;
        apr_size_t len;
        bool valid;
    } rows[] = {
        { "", 0, true },
        { "\0", 1, true },
        { "abc\x7f", 4, true },
        { "\xc2\x80", 2, true },
        { "\xdf\xbf", 2, true },
        { "\xe0\xa0\x80", 3, true },
        { "\xed\x9f\xbf", 3, true },
        { "\xee\x80\x80", 3, true },
        { "\xef\xbf\xbf", 3, true },
        { "\xf0\x90\x80\x80", 4, true },
        { "\xf4\x8f\xbf\xbf", 4, true },
        { "\x80", 1, false },
        { "\xbf", 1, false },
        { "\xc0\x80", 2, false }, /* overlong */
        { "\xc1\xbf", 2, false },
        { "\xe0\x80\xaf", 3, false },
        { "\xe0\x9f\xbf", 3, false },
        { "\xf0\x80\x80\xaf", 4, false },
        { "\xf0\x8f\xbf\xbf", 4, false },
        { "\xed\xa0\x80", 3, false }, /* surrogates */
        { "\xed\xbf\xbf", 3, false },
        { "\xed\xa0\xbd\xed\xb8\x80", 6, false },
        { "\xf4\x90\x80\x80", 4, false }, /* beyond U+10FFFF */
        { "\xf5\x80\x80\x80", 4, false },
        { "\xf8\x88\x80\x80\x80", 5, false },
        { "\xfe", 1, false },
        { "\xff", 1, false },
        { "\xc3", 1, false }, /* cut short */
        { "\xe2\x82", 2, false },
        { "\xf0\x9f\x98", 3, false },
        { "\xc3\x28", 2, false },
        { "\xe2\x28\xa1", 3, false },
        { "\xe2\x82\x28", 3, false },
        { "\xf0\x9f\x98\x28", 4, false },
        { "ok\xc3\xb6\xc3", 5, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_identity_is_utf8(rows[i].bytes, rows[i].len) != rows[i].valid) {
            fail_msg("row %d is %svalid", (int)i, rows[i].valid ? "in" : "");
        }
    }
}

/* A sequence that its length cuts is invalid even where its octets lie behind the end. */
static void test_utf8_does_not_read_on(void **state)
{
    (void)state;
    assert_false(eas_identity_is_utf8("a\xc3\xb6", 2));
    assert_false(eas_identity_is_utf8("\xf0\x9f\x98\x80", 3));
    assert_true(eas_identity_is_utf8("a\xff", 1));
}

static void test_longest_name(void **state)
{
    struct eas_realms realms = make_realms(*state);
    struct eas_login login = { NULL, NULL, false };
    struct eas_err err;
    char name[EAS_NAME_MAX + 1];

    memset(name, 'a', sizeof(name));
    assert_int_equal(eas_identity_parse(*state, name, 320, &realms, &login, &err), EAS_OK);
    assert_int_equal(strlen(login.user), 320);
    assert_int_equal(eas_identity_parse(*state, name, 321, &realms, &login, &err), EAS_DENIED);
    assert_int_equal(err.tag, 1005);
}

/* A name that another module gave. */
static const struct eas_identity *foreign(apr_pool_t *pool, const char *name, struct eas_err *err)
{
    static const struct eas_identity untouched;
    const struct eas_identity *identity = &untouched;
    struct eas_realms realms = make_realms(pool);
    enum eas_rc rc = eas_identity_foreign(pool, name, &realms, &identity, err);

    if (rc != EAS_OK) {
        assert_int_equal(rc, EAS_FORBIDDEN);
        assert_int_equal(err->rc, EAS_FORBIDDEN);
        assert_ptr_equal(identity, &untouched);
        return NULL;
    }
    return identity;
}

static void test_foreign_names_of_ours(void **state)
{
    static const struct {
        const char *name, *principal;
        struct eas_login login;
    } rows[] = {
        { "alice@" CORP, "alice@" CORP, { "alice", CORP, false } },
        { "alice@corp.example.com", "alice@" CORP, { "alice", CORP, false } },
        { "EXAMPLE\\alice", "alice@" CORP, { "alice", CORP, false } },
        { "branch\\bob", "bob@" BRANCH, { "bob", BRANCH, false } },
        { "bob@mail.example.net",
          "bob@mail.example.net",
          { "bob@mail.example.net", BRANCH, true } },
    };
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct eas_identity *identity = foreign(*state, rows[i].name, &err);

        assert_non_null(identity);
        assert_string_equal(identity->principal, rows[i].principal);
        assert_int_equal(identity->authenticated_by, EAS_BY_OTHER);
        assert_null(identity->evidence);
        assert_string_equal(identity->login.user, rows[i].login.user);
        assert_string_equal(identity->login.realm, rows[i].login.realm);
        assert_int_equal(identity->login.enterprise, rows[i].login.enterprise);
    }
}

static void test_foreign_names_refused(void **state)
{
    static const struct {
        const char *name;
        int tag;
    } rows[] = {
        { "Administrator", 1008 },
        { "", 1008 },
        { "alice@elsewhere.org", 1008 },
        { "alice@", 1008 },
        { "alice@" CORP ".evil.org", 1008 },
        { "alice@" CORP " ", 1008 },
        { "CN=alice,DC=corp", 1008 },
        { "OTHER\\alice", 1003 },
        { "OTHER\\alice@" CORP, 1003 },
        { "EXAMPLE\\", 1001 },
        { "@" CORP, 1001 },
        { " @" CORP, 1001 },
        { "host$@" CORP, 1002 },
        { "HTTP/cas1@" CORP, 1002 },
        { "EXAMPLE\\host$", 1002 },
        { "alice@elsewhere.org@" CORP, 1004 },
        { "al\nice@" CORP, 1005 },
        { "j\xf6rg@" CORP, 1005 },
    };
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        if (foreign(*state, rows[i].name, &err) != NULL || err.tag != rows[i].tag) {
            fail_msg("\"%s\": EAS%d %s", rows[i].name, err.tag, err.text);
        }
    }
}

static void test_canonical_names(void **state)
{
    static const struct {
        const char *user;
        apr_size_t len;
        const char *realm;
        int tag; /* 0 if it may be a user */
    } rows[] = {
        { "alice", 5, CORP, 0 },
        { "alice", 5, "corp.example.com", 0 },
        { "bob", 3, BRANCH, 0 },
        { "alice smith", 11, CORP, 0 },
        { "j\xc3\xb6rg", 5, CORP, 0 },
        { "alice$trailing", 5, CORP, 0 },
        { "", 0, CORP, 1001 },
        { " alice", 6, CORP, 1001 },
        { "alice ", 6, CORP, 1001 },
        { "gateway$", 8, CORP, 1002 },
        { "HTTP/cas1", 9, CORP, 1002 },
        { "al\0ice", 6, CORP, 1006 },
        { "alice\n", 6, CORP, 1006 },
        { "j\xf6rg", 4, CORP, 1006 },
        { "alice", 5, "EVIL.ORG", 1007 },
        { "alice", 5, "", 1007 },
        { "alice", 5, "EXAMPLE", 1007 },
        { "bob", 3, "mail.example.net", 1007 },
        { "gateway$", 8, "EVIL.ORG", 1007 },
    };
    struct eas_realms realms = make_realms(*state);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_err err = { EAS_OK, 0, "" };
        enum eas_rc rc =
            eas_identity_check(rows[i].user, rows[i].len, rows[i].realm, &realms, &err);

        if (rc != (rows[i].tag ? EAS_DENIED : EAS_OK) || err.rc != rc || err.tag != rows[i].tag) {
            fail_msg("%s in %s: rc %d, EAS%d", rows[i].user, rows[i].realm, rc, err.tag);
        }
    }
}

static void test_longest_canonical_name(void **state)
{
    struct eas_realms realms = make_realms(*state);
    struct eas_err err;
    char name[EAS_NAME_MAX + 1];

    memset(name, 'a', sizeof(name));
    assert_int_equal(eas_identity_check(name, 320, CORP, &realms, &err), EAS_OK);
    assert_int_equal(eas_identity_check(name, 321, CORP, &realms, &err), EAS_DENIED);
    assert_int_equal(err.tag, 1006);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_every_spelling),
        POOL_TEST(test_spellings_without_domains),
        POOL_TEST(test_typed_name_ends_at_its_length),
        POOL_TEST(test_empty_names_and_blanks_are_refused),
        POOL_TEST(test_blanks_after_or_before_a_suffix_are_refused),
        POOL_TEST(test_service_and_machine_names_are_refused),
        POOL_TEST(test_unknown_domains_and_several_separators_are_refused),
        POOL_TEST(test_control_characters_are_refused),
        POOL_TEST(test_invalid_utf8_is_refused),
        cmocka_unit_test(test_utf8_table),
        cmocka_unit_test(test_utf8_does_not_read_on),
        POOL_TEST(test_longest_name),
        POOL_TEST(test_foreign_names_of_ours),
        POOL_TEST(test_foreign_names_refused),
        POOL_TEST(test_canonical_names),
        POOL_TEST(test_longest_canonical_name),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
