/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_spn.c - a backend's service principal name */

#include "t/unit/unit.h"

#include "delegation/kerberos/spn.h"

#include <apr_strings.h>
#include <string.h>

static void test_good_patterns(void **state)
{
    static const char *const rows[] = {
        "HTTP/%h", "http/%h",       "HTTP/cas.corp.example.com", "HTTP/%h:8443", "HTTP/100%%",
        "%h/%h",   "exchangeAB/%h", "HTTP/%h.corp.test",         "a/b",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_spn_check(rows[i]) != NULL) {
            fail_msg("%s: %s", rows[i], eas_spn_check(rows[i]));
        }
    }
}

static void test_bad_patterns(void **state)
{
    static const struct {
        const char *pattern;
        const char *complaint;
    } rows[] = {
        { "", "form service/host" },
        { "HTTP", "form service/host" },
        { "HTTP/", "form service/host" },
        { "/", "form service/host" },
        { "/%h", "form service/host" },
        { "HTTP//%h", "form service/host" },
        { "HTTP/%h/", "form service/host" },
        { "HTTP/%h/corp", "form service/host" },
        { "HTTP/%h@CORP.EXAMPLE.COM", "realm" },
        { "HTTP/%h@", "realm" },
        { "HTTP/%", "%h" },
        { "HTTP/%s", "%h" },
        { "HTTP/%H", "%h" },
        { "HTTP/%%%", "%h" },
        { "%/h", "%h" },
        { "HTTP/a b", "blanks" },
        { " HTTP/%h", "blanks" },
        { "HTTP/%h ", "blanks" },
        { "HTTP/%h\n", "blanks" },
        { "HTTP/\x01", "blanks" },
        { "HTTP/\x7f", "blanks" },
        { "HTTP/a\\b", "blanks" },
        { "HTTP/c\xc3\xa4s", "blanks" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *complaint = eas_spn_check(rows[i].pattern);

        if (complaint == NULL || strstr(complaint, rows[i].complaint) == NULL) {
            fail_msg("\"%s\": %s", rows[i].pattern, complaint ? complaint : "taken");
        }
    }
}

static void test_longest_pattern(void **state)
{
    char pattern[515];

    (void)state;
    memset(pattern, 'a', sizeof(pattern));
    pattern[1] = '/';
    pattern[512] = '\0';
    assert_null(eas_spn_check(pattern));
    pattern[512] = 'a';
    pattern[513] = '\0';
    assert_string_equal(eas_spn_check(pattern), "is too long");
}

static void test_expand_puts_the_host_in(void **state)
{
    static const struct {
        const char *pattern, *host, *spn;
    } rows[] = {
        { "HTTP/%h", "cas1.corp.example.com", "HTTP/cas1.corp.example.com" },
        { "HTTP/%h", "cas1.corp.example.com.", "HTTP/cas1.corp.example.com" },
        { "HTTP/%h", "CAS1", "HTTP/CAS1" },
        { "HTTP/%h", "x", "HTTP/x" },
        { "HTTP/%h", "cas_1-a.example", "HTTP/cas_1-a.example" },
        { "HTTP/%h", "xn--bcher-kva.example", "HTTP/xn--bcher-kva.example" },
        { "HTTP/%h:444", "cas1", "HTTP/cas1:444" },
        { "HTTP/outlook.example.com", "cas1", "HTTP/outlook.example.com" },
        { "%h/%h", "cas1", "cas1/cas1" },
        { "HTTP/%%h", "cas1", "HTTP/%h" },
        { "HTTP/%%%h%%", "cas1", "HTTP/%cas1%" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *spn = NULL;
        struct eas_err err;

        assert_int_equal(eas_spn_expand(*state, rows[i].pattern, rows[i].host, &spn, &err), EAS_OK);
        assert_string_equal(spn, rows[i].spn);
    }
}

static void assert_no_host(apr_pool_t *pool, const char *host)
{
    const char *spn = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_spn_expand(pool, "HTTP/%h", host, &spn, &err) != EAS_MISCONFIGURED
        || err.rc != EAS_MISCONFIGURED || err.tag != 2001 || spn != NULL) {
        fail_msg("\"%s\": tag %d, %s", host, err.tag, spn ? spn : "no SPN");
    }
}

/* `*` is the host name of mod_proxy's default reverse worker. */
static void test_expand_refuses_other_host_names(void **state)
{
    static const char *const rows[] = {
        "*",          "",      "[::1]",  "fe80::1",   "::1",         "a b",      " ",
        " cas1",      "cas1 ", "cas1/x", "cas1@R",    "cas1:443",    "cas1\n",   "cas1\\x",
        "c\xc3\xa4s", "%h",    "cas*",   "cas1,cas2", "http://cas1", "cas1\x7f",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_no_host(*state, rows[i]);
    }
}

/* The SPN is the name then, since an address is none. */
static void test_expand_takes_an_address_where_it_is_unused(void **state)
{
    static const char *const hosts[] = { "::1", "[2001:db8::25]", "::ffff:10.0.0.1" };
    size_t i;

    for (i = 0; i < COUNT_OF(hosts); i++) {
        const char *spn = NULL;
        struct eas_err err;

        assert_int_equal(eas_spn_expand(*state, "HTTP/100%%h", hosts[i], &spn, &err), EAS_OK);
        assert_string_equal(spn, "HTTP/100%h");
    }
}

static void test_expand_refuses_a_bad_host_even_unused(void **state)
{
    static const char *const hosts[] = {
        "*",
        "",
        "[::1",
        "::1]",
        "[]",
        "[",
        ":",
        "1:2",
        "[1::2]x",
        "::1%",
        "[::1]]",
        "1::2::3",
        "abc:def",
        "[cas1]",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000",
        "::::::::::::::::::::::::::::::::::::::::::::::::",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(hosts); i++) {
        const char *spn = NULL;
        struct eas_err err;

        if (eas_spn_expand(*state, "HTTP/fixed", hosts[i], &spn, &err) != EAS_MISCONFIGURED) {
            fail_msg("\"%s\"", hosts[i]);
        }
        assert_null(spn);
    }
}

static void test_longest_host(void **state)
{
    char host[257];
    const char *spn = NULL;
    struct eas_err err;

    memset(host, 'a', sizeof(host));
    host[255] = '\0';
    assert_int_equal(eas_spn_expand(*state, "HTTP/%h", host, &spn, &err), EAS_OK);
    assert_string_equal(spn, apr_pstrcat(*state, "HTTP/", host, NULL));
    host[255] = 'a';
    host[256] = '\0';
    assert_no_host(*state, host);
}

/* The longest possible result. */
static void test_expand_of_many_placeholders(void **state)
{
    char pattern[513], host[256];
    const char *spn = NULL;
    struct eas_err err;
    size_t i;

    for (i = 0; i < 512; i += 2) {
        memcpy(pattern + i, "%h", 2);
    }
    memcpy(pattern, "a/", 2);
    pattern[512] = '\0';
    memset(host, 'b', 255);
    host[255] = '\0';
    assert_null(eas_spn_check(pattern));
    assert_int_equal(eas_spn_expand(*state, pattern, host, &spn, &err), EAS_OK);
    assert_int_equal(strlen(spn), 2 + 255 * 255);
    assert_int_equal(strspn(spn + 2, "b"), 255 * 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_patterns),
        cmocka_unit_test(test_bad_patterns),
        cmocka_unit_test(test_longest_pattern),
        POOL_TEST(test_expand_puts_the_host_in),
        POOL_TEST(test_expand_refuses_other_host_names),
        POOL_TEST(test_expand_takes_an_address_where_it_is_unused),
        POOL_TEST(test_expand_refuses_a_bad_host_even_unused),
        POOL_TEST(test_longest_host),
        POOL_TEST(test_expand_of_many_placeholders),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
