/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_identity.c - identity; parser of login names */

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

struct login_name {
    const char *typed;
    struct eas_login expected;
};

static void assert_login(apr_pool_t *pool, const struct eas_realms *realms,
                         const struct login_name *row)
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

static void test_login_names(void **state)
{
    static const struct login_name rows[] = {
        { .typed = "alice", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "Alice", .expected = { .user = "Alice", .realm = CORP } },
        { .typed = "EXAMPLE\\alice", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "example\\alice", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "BRANCH\\bob", .expected = { .user = "bob", .realm = BRANCH } },
        { .typed = CORP "\\alice", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "branch.example.net\\bob", .expected = { .user = "bob", .realm = BRANCH } },
        { .typed = "alice@" CORP, .expected = { .user = "alice", .realm = CORP } },
        { .typed = "alice@corp.example.com", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "alice@Corp.Example.Com", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "bob@branch.EXAMPLE.net", .expected = { .user = "bob", .realm = BRANCH } },
        { .typed = "bob@mail.example.net",
          .expected = { .user = "bob@mail.example.net", .realm = BRANCH, .enterprise = true } },
        { .typed = "bob@MAIL.Example.Net",
          .expected = { .user = "bob@MAIL.Example.Net", .realm = BRANCH, .enterprise = true } },
        { .typed = "carol@elsewhere.org",
          .expected = { .user = "carol@elsewhere.org", .realm = CORP, .enterprise = true } },
        { .typed = "alice smith", .expected = { .user = "alice smith", .realm = CORP } },
        { .typed = "alice.smith", .expected = { .user = "alice.smith", .realm = CORP } },
        { .typed = "$alice", .expected = { .user = "$alice", .realm = CORP } },
        { .typed = "al$ice", .expected = { .user = "al$ice", .realm = CORP } },
        { .typed = "*", .expected = { .user = "*", .realm = CORP } },
        { .typed = "j\xc3\xb6rg", .expected = { .user = "j\xc3\xb6rg", .realm = CORP } },
        { .typed = "EXAMPLE\\j\xc3\xb6rg", .expected = { .user = "j\xc3\xb6rg", .realm = CORP } },
        { .typed = "\xe7\x94\xb0@elsewhere.org",
          .expected = { .user = "\xe7\x94\xb0@elsewhere.org", .realm = CORP, .enterprise = true } },
    };
    struct eas_realms realms = make_realms(*state);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_login(*state, &realms, &rows[i]);
    }
}

static void test_login_names_without_domains(void **state)
{
    static const struct login_name rows[] = {
        { .typed = "alice", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "alice@corp.example.com", .expected = { .user = "alice", .realm = CORP } },
        { .typed = CORP "\\alice", .expected = { .user = "alice", .realm = CORP } },
        { .typed = "alice@example.com",
          .expected = { .user = "alice@example.com", .realm = CORP, .enterprise = true } },
    };
    struct eas_realms realms = { CORP, NULL };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_login(*state, &realms, &rows[i]);
    }
}

struct spellings {
    const char *typed[12];
    struct eas_login expected;
};

static void assert_spellings(apr_pool_t *pool, const struct spellings *rows, size_t n)
{
    struct eas_realms realms = make_realms(pool);
    size_t i;

    for (; n > 0; n--, rows++) {
        for (i = 0; i < COUNT_OF(rows->typed) && rows->typed[i] != NULL; i++) {
            const struct login_name row = { rows->typed[i], rows->expected };

            assert_login(pool, &realms, &row);
        }
    }
}

/* With every spelling of a row, the user has one count of wrong passwords. */
static void test_spellings_of_one_login_name(void **state)
{
    static const struct spellings rows[] = {
        { { "alice", "\\alice", " alice", "alice ", "\talice\t", " \t alice \t ", "\\ alice",
            " \\alice", "\t\\\talice " },
          { "alice", CORP, false } },
        { { "EXAMPLE\\alice", " EXAMPLE\\alice", "EXAMPLE \\ alice", "\tEXAMPLE\t\\\talice\t" },
          { "alice", CORP, false } },
        { { "BRANCH\\bob", "BRANCH\\bob@" BRANCH, "bob@" BRANCH, "\\bob@" BRANCH,
            " bob @ " BRANCH " ", "EXAMPLE\\bob@" BRANCH },
          { "bob", BRANCH, false } },
        { { "bob+tag@mail.example.net", "BRANCH\\bob+tag@mail.example.net",
            "EXAMPLE\\bob+tag@mail.example.net", "\\bob+tag@mail.example.net",
            " bob+tag@mail.example.net", "bob+tag @mail.example.net", "bob+tag@\tmail.example.net ",
            " EXAMPLE \\ bob+tag @ mail.example.net\t" },
          { "bob+tag@mail.example.net", BRANCH, true } },
        { { "first.last+tag@elsewhere.org", "EXAMPLE\\first.last+tag@elsewhere.org",
            "\\first.last+tag@elsewhere.org", " first.last+tag @ elsewhere.org\t" },
          { "first.last+tag@elsewhere.org", CORP, true } },
        { { "BRANCH\\carol@elsewhere.org", BRANCH "\\ carol@elsewhere.org " },
          { "carol@elsewhere.org", BRANCH, true } },
    };

    assert_spellings(*state, rows, COUNT_OF(rows));
}

/* No-break and ideographic spaces, marks of a copied text, the dot of DNS's root, fullwidth forms. */
static void test_login_names_of_other_keyboards(void **state)
{
    static const struct spellings rows[] = {
        { { "bob@" BRANCH ".",
            "\xc2\xa0"
            "bob@" BRANCH,
            "BRANCH\\bob\xe3\x80\x80",
            "BRANCH\xc2\xa0\\\xe2\x80\x8b"
            "bob",
            "\xef\xbb\xbf"
            "BRANCH\\bob\xe2\x80\xac",
            BRANCH ".\\bob",
            "BRANCH\xef\xbc\xbc"
            "bob",
            "bob\xef\xbc\xa0" BRANCH " . " },
          { "bob", BRANCH, false } },
        { { "carol@elsewhere.org.",
            "carol\xef\xbc\xa0"
            "elsewhere.org",
            "\\carol@elsewhere.org\xc2\xa0" },
          { "carol@elsewhere.org", CORP, true } },
    };

    assert_spellings(*state, rows, COUNT_OF(rows));
}

/* The login name needs no NUL behind it. */
static void test_login_name_ends_at_its_length(void **state)
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
    apr_size_t len; /* 0: strlen(typed) */
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

static void test_empty_names_are_refused(void **state)
{
    static const struct refusal rows[] = {
        { "", 0, 1001 },
        { " ", 0, 1001 },
        { "\t", 0, 1001 },
        { "@", 0, 1004 },
        { "@" CORP, 0, 1001 },
        { "@elsewhere.org", 0, 1001 },
        { " @" CORP, 0, 1001 },
        { "EXAMPLE\\", 0, 1001 },
        { "EXAMPLE\\ ", 0, 1001 },
        { "EXAMPLE\\@" CORP, 0, 1001 },
        { "\\", 0, 1001 },
        { "\\@elsewhere.org", 0, 1001 },
        { "alice@", 0, 1004 },
        { "alice@ \t", 0, 1004 },
        { "alice@\xe3\x80\x80", 0, 1004 },
        { "\xc2\xa0\xe2\x80\x8f", 0, 1001 },
        { "EXAMPLE\\alice@", 0, 1004 },
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
        { "\\host$", 0, 1002 },
        { "host$ ", 0, 1002 },
        { "host$\xc2\xa0", 0, 1002 },
        { "host$ @" CORP, 0, 1002 },
        { "EXAMPLE\\host$@elsewhere.org", 0, 1002 },
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
        { "OTHER\\alice@" CORP, 0, 1003 },
        { "OTHER\\alice@elsewhere.org", 0, 1003 },
        { "\\\\", 0, 1003 },
        { "\\\\alice", 0, 1003 },
        { "\\a\\b", 0, 1003 },
        { "EXAMPLE\\a@b\\c", 0, 1003 },
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
        { "EXAMPLE\\a@b@" CORP, 0, 1004 },
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
        { "al\tice", 0, 1005 },
        { "EXAM\tPLE\\alice", 0, 1005 },
        { "alice@else\twhere.org", 0, 1005 },
        { "\\al\0ice", 7, 1005 },
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

/* NULL after a refusal. */
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

static void test_foreign_names(void **state)
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
        { "OTHER\\alice@" CORP, 1008 },
        { "EXAMPLE\\alice@" CORP, 1008 },
        { "EXAMPLE\\bob@mail.example.net", 1008 },
        { "EXAMPLE\\bob@elsewhere.org", 1008 },
        { "\\alice", 1008 },
        { "\\alice@" CORP, 1008 },
        { " alice@" CORP, 1008 },
        { "alice @" CORP, 1008 },
        { "alice@ " CORP, 1008 },
        { "alice@" CORP "\t", 1008 },
        { " EXAMPLE\\alice", 1008 },
        { "EXAMPLE\\ alice", 1008 },
        { "EXAMPLE \\alice", 1008 },
        { "EXAMPLE\\alice ", 1008 },
        { "EXAMPLE\\", 1001 },
        { "@" CORP, 1001 },
        { " @" CORP, 1008 },
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

/* They are not typed: each character counts. */
static void test_foreign_names_are_not_corrected(void **state)
{
    static const char *const names[] = {
        "alice@" CORP "\xc2\xa0",
        "alice@" CORP ".",
        "alice\xef\xbc\xa0" CORP,
        "EXAMPLE\xef\xbc\xbc"
        "alice",
        "EXAMPLE.\\alice",
    };
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(names); i++) {
        assert_null(foreign(*state, names[i], &err));
        assert_int_equal(err.tag, 1008);
    }
}

static void test_canonical_names(void **state)
{
    static const struct {
        const char *user;
        apr_size_t len;
        const char *realm;
        int tag; /* 0: accepted */
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
        { "\talice", 6, CORP, 1006 },
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
        POOL_TEST(test_login_names),
        POOL_TEST(test_login_names_without_domains),
        POOL_TEST(test_login_name_ends_at_its_length),
        POOL_TEST(test_spellings_of_one_login_name),
        POOL_TEST(test_login_names_of_other_keyboards),
        POOL_TEST(test_empty_names_are_refused),
        POOL_TEST(test_service_and_machine_names_are_refused),
        POOL_TEST(test_unknown_domains_and_several_separators_are_refused),
        POOL_TEST(test_control_characters_are_refused),
        POOL_TEST(test_invalid_utf8_is_refused),
        POOL_TEST(test_longest_name),
        POOL_TEST(test_foreign_names),
        POOL_TEST(test_foreign_names_refused),
        POOL_TEST(test_foreign_names_are_not_corrected),
        POOL_TEST(test_canonical_names),
        POOL_TEST(test_longest_canonical_name),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
