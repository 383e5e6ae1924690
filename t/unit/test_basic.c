/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_basic.c - Parser of Basic credentials */

#include "t/unit/unit.h"

#include "auth/password/basic.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <string.h>

/* alice:secret */
#define ALICE "YWxpY2U6c2VjcmV0"

/* A Basic header.  The encoder is not that of APR, whose decoder is tested. */
static const char *header_of(apr_pool_t *pool, const char *bytes, apr_size_t len)
{
    char *base64 = apr_palloc(pool, len / 3 * 4 + 5);

    EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)bytes, (int)len);
    return apr_pstrcat(pool, "Basic ", base64, NULL);
}

static void assert_credentials(apr_pool_t *pool, const char *header, const char *name,
                               const char *password)
{
    struct eas_credentials *out = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_basic_parse(pool, header, &out, &err) != EAS_OK || out == NULL) {
        fail_msg("\"%s\": EAS%d %s", header, err.tag, err.text);
    }
    assert_int_equal(out->name_len, strlen(name));
    assert_memory_equal(out->name, name, strlen(name));
    assert_int_equal(out->password->len, strlen(password));
    assert_string_equal(out->password->bytes, password);
}

static void assert_denied(apr_pool_t *pool, const char *header, int tag)
{
    struct eas_credentials *out = (struct eas_credentials *)&tag;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_basic_parse(pool, header, &out, &err);

    if (rc != EAS_DENIED || err.rc != EAS_DENIED || err.tag != tag || out != NULL) {
        fail_msg("\"%s\": rc %d, EAS%d %s", header, rc, err.tag, err.text);
    }
}

static void assert_denied_bytes(apr_pool_t *pool, const char *bytes, apr_size_t len, int tag)
{
    assert_denied(pool, header_of(pool, bytes, len), tag);
}

/* No header, another scheme, and a scheme alone. */
static void test_headers_without_credentials(void **state)
{
    static const char *const rows[] = {
        NULL,
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer abc",
        "Negotiate",
        "Digest x",
        "Negotiate " ALICE,
        "NTLM TlRMTVNTUAAB",
        "Basic",
        "Basic ",
        "Basic  ",
        "Basic\t",
        "Basi",
        "Basicx",
        "Basic:" ALICE,
        "Basic=" ALICE,
        "BasicYWxpY2U6c2VjcmV0",
        " Basic " ALICE,
        "XBasic " ALICE,
        ALICE,
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_credentials *out = (struct eas_credentials *)&i;
        struct eas_err err = { EAS_OK, 0, "" };

        if (eas_basic_parse(*state, rows[i], &out, &err) != EAS_OK || out != NULL) {
            fail_msg("\"%s\": EAS%d %s", rows[i] ? rows[i] : "(none)", err.tag, err.text);
        }
    }
}

static void test_scheme_and_blanks(void **state)
{
    static const char *const rows[] = {
        "Basic " ALICE,      "bAsIc " ALICE,          "BASIC " ALICE,    "basic " ALICE,
        "Basic     " ALICE,  "Basic\t" ALICE,         "Basic \t " ALICE, "Basic " ALICE " ",
        "Basic " ALICE "\t", "Basic  " ALICE "  \t ",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_credentials(*state, rows[i], "alice", "secret");
    }
}

static void test_each_length_of_padding(void **state)
{
    assert_credentials(*state, "Basic YTpi", "a", "b");
    assert_credentials(*state, "Basic YTpiYw==", "a", "bc");
    assert_credentials(*state, "Basic YTpiY2Q=", "a", "bcd");
    assert_credentials(*state, "Basic YTpiY2Rl", "a", "bcde");
}

static void test_bad_base64_is_denied(void **state)
{
    static const char *const rows[] = {
        "Basic *",
        "Basic Y",
        "Basic YTpiY",
        "Basic YTpi*",
        "Basic *YTpi",
        "Basic YT pi",
        "Basic YTpi YTpi",
        "Basic YT\tpi",
        "Basic YTpi====",
        "Basic YT==pi==",
        "Basic YTpi,",
        "Basic YTpi\x80",
        "Basic alice:secret",
        "Basic realm=\"Mail\"",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_denied(*state, rows[i], 1010);
    }
}

/* httpd joins several headers by commas. */
static void test_joined_headers_are_denied(void **state)
{
    static const char *const rows[] = {
        "Basic " ALICE ", Basic YWxpY2U6c2VjcmV0",
        "Basic YTpi, Basic YTpi",
        "Basic YTpiYw==, Basic YTpi",
        "Basic YTpiYw==,Basic YTpi",
        "Basic YTpi, Bearer",
        "Basic YTpi, Negotiate YIIB",
        "Basic , Basic YTpi",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_denied(*state, rows[i], 1010);
    }
}

static void test_no_colon_is_denied(void **state)
{
    assert_denied(*state, "Basic YWxpY2U=", 1011);
    assert_denied(*state, "Basic =", 1011);
    assert_denied_bytes(*state, "\xff\xfe", 2, 1011);
}

static void test_empty_passwords_and_nuls_are_denied(void **state)
{
    assert_denied_bytes(*state, "alice:", 6, 1012);
    assert_denied_bytes(*state, ":", 1, 1012);
    assert_denied_bytes(*state, "j\xf6rg:", 5, 1012);
    assert_denied_bytes(*state, "alice:\0", 7, 1012);
    assert_denied_bytes(*state, "alice:sec\0ret", 13, 1012);
    assert_denied_bytes(*state, "alice:secret\0", 13, 1012);
    assert_denied_bytes(*state, "alice:\xf6\0ret", 11, 1012);
}

/* The first colon separates (RFC 7617 section 2); only passwords hold colons. */
static void test_passwords_with_colons(void **state)
{
    assert_credentials(*state, header_of(*state, "alice:a:b::c:", 13), "alice", "a:b::c:");
    assert_credentials(*state, header_of(*state, "alice::", 7), "alice", ":");
}

static void test_passwords_are_not_trimmed(void **state)
{
    assert_credentials(*state, header_of(*state, "alice: b\t\n ", 11), "alice", " b\t\n ");
}

/* eas_identity_parse() gets the whole name. */
static void test_names_stay_as_typed(void **state)
{
    struct eas_credentials *out = NULL;
    struct eas_err err;

    assert_credentials(*state, header_of(*state, ":x", 2), "", "x");
    assert_credentials(*state, header_of(*state, "EX\\alice :x", 11), "EX\\alice ", "x");
    assert_int_equal(eas_basic_parse(*state, header_of(*state, "a\0b:x", 5), &out, &err), EAS_OK);
    assert_int_equal(out->name_len, 3);
    assert_memory_equal(out->name, "a\0b", 3);
}

static void test_utf8_stays_as_it_is(void **state)
{
    assert_credentials(*state, header_of(*state, "j\xc3\xb6rg:gr\xc3\xbc\xc3\x9f\x65", 13),
                       "j\xc3\xb6rg", "gr\xc3\xbc\xc3\x9f\x65");
    assert_credentials(*state, header_of(*state, "a:\xe2\x82\xac\xf0\x9f\x98\x80", 9), "a",
                       "\xe2\x82\xac\xf0\x9f\x98\x80");
}

/* A header that is not UTF-8 as a whole is Windows-1252 as a whole. */
static void test_other_octets_are_windows_1252(void **state)
{
    assert_credentials(*state, header_of(*state, "j\xf6rg:gr\xfc\xdf\x65", 10), "j\xc3\xb6rg",
                       "gr\xc3\xbc\xc3\x9f\x65");
    assert_credentials(*state, header_of(*state, "a:\xff\x80\xc3\xb6", 6), "a",
                       "\xc3\xbf\xe2\x82\xac\xc3\x83\xc2\xb6");
    assert_credentials(*state, header_of(*state, "a:\xed\xa0\x80", 5), "a",
                       "\xc3\xad\xc2\xa0\xe2\x82\xac");
    assert_credentials(*state, header_of(*state, "Bo\x9ain\xe1k:\x80\x9c", 10),
                       "Bo\xc5\xa1in\xc3\xa1k", "\xe2\x82\xac\xc5\x93");
}

/* No buffer or digest truncates a password. */
static void test_long_passwords_are_not_truncated(void **state)
{
    static const apr_size_t lengths[] = { 72, 73, 255, 256, 1023, 8191, 8192, 8193 };
    char plain[8194 + 7], *password = plain + 6;
    size_t i, j;

    for (i = 0; i < COUNT_OF(lengths); i++) {
        memcpy(plain, "alice:", 6);
        for (j = 0; j < lengths[i]; j++) {
            password[j] = (char)('!' + j % 90);
        }
        password[lengths[i]] = '\0';
        assert_credentials(*state, header_of(*state, plain, 6 + lengths[i]), "alice", password);
    }
}

static void test_results_outlive_the_header(void **state)
{
    char header[] = "Basic " ALICE;
    struct eas_credentials *out = NULL;
    struct eas_err err;

    assert_int_equal(eas_basic_parse(*state, header, &out, &err), EAS_OK);
    memset(header, 'x', sizeof(header));
    assert_int_equal(out->name_len, 5);
    assert_memory_equal(out->name, "alice", 5);
    assert_string_equal(out->password->bytes, "secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_headers_without_credentials),
        POOL_TEST(test_scheme_and_blanks),
        POOL_TEST(test_each_length_of_padding),
        POOL_TEST(test_bad_base64_is_denied),
        POOL_TEST(test_joined_headers_are_denied),
        POOL_TEST(test_no_colon_is_denied),
        POOL_TEST(test_empty_passwords_and_nuls_are_denied),
        POOL_TEST(test_passwords_with_colons),
        POOL_TEST(test_passwords_are_not_trimmed),
        POOL_TEST(test_names_stay_as_typed),
        POOL_TEST(test_utf8_stays_as_it_is),
        POOL_TEST(test_other_octets_are_windows_1252),
        POOL_TEST(test_long_passwords_are_not_truncated),
        POOL_TEST(test_results_outlive_the_header),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
