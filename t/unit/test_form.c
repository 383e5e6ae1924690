/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_form.c - parser of the login form */

#include "t/unit/unit.h"

#include "auth/login/form.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#define URLENCODED "application/x-www-form-urlencoded"
#define LOGIN "username=alice&password=secret"

/* Without the NUL at its end. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static struct eas_form *parse(apr_pool_t *pool, const char *body, apr_size_t len)
{
    struct eas_form *form = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_form_parse(pool, URLENCODED, body, len, &form, &err) != EAS_OK || form == NULL) {
        fail_msg("\"%.80s\": EAS%d %s", body, err.tag, err.text);
    }
    assert_int_equal(form->username_len, strlen(form->username));
    return form;
}

static void assert_refused(apr_pool_t *pool, const char *type, const char *body, apr_size_t len,
                           enum eas_rc expected, int tag)
{
    struct eas_form *form = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_form_parse(pool, type, body, len, &form, &err);

    /* The form is set without a name or password, too. */
    if (rc != expected || err.rc != expected || err.tag != tag
        || (form != NULL) != (expected == EAS_DENIED)) {
        fail_msg("\"%.80s\": rc %d, EAS%d %s", body, rc, err.tag, err.text);
    }
    assert_null(strstr(err.text, "secret"));
}

static void assert_malformed(apr_pool_t *pool, const char *body, apr_size_t len, int tag)
{
    assert_refused(pool, URLENCODED, body, len, EAS_MALFORMED, tag);
}

static void test_all_fields(void **state)
{
    static const char body[] = "token=t0-_k&destination=%2Fowa%2F%3Fae%3DFolder%26id%3Da%252Bb&"
                               "username=EXAMPLE%5Calice&password=secret&trusted=4";
    struct eas_form *form = parse(*state, BYTES(body));

    assert_string_equal(form->username, "EXAMPLE\\alice");
    assert_int_equal(form->password->len, 6);
    assert_string_equal(form->password->bytes, "secret");
    assert_true(form->trusted);
    assert_string_equal(form->destination, "/owa/?ae=Folder&id=a%2Bb");
    assert_string_equal(form->token, "t0-_k");
}

static void test_optional_fields(void **state)
{
    struct eas_form *form = parse(*state, BYTES(LOGIN));

    assert_false(form->trusted);
    assert_null(form->destination);
    assert_null(form->token);
    form = parse(*state, BYTES(LOGIN "&trusted=0&destination=&token"));
    assert_false(form->trusted);
    assert_string_equal(form->destination, "");
    assert_string_equal(form->token, "");
}

static void test_content_types(void **state)
{
    static const char *const good[] = {
        URLENCODED,
        "Application/X-WWW-Form-URLEncoded",
        URLENCODED ";charset=UTF-8",
        URLENCODED "; charset=\"utf-8\"; x=y",
        URLENCODED " ; charset=UTF-8",
        URLENCODED " ",
    };
    static const char *const bad[] = {
        NULL,
        "",
        ";",
        " " URLENCODED,
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json",
        "application/x-www-form-urlencode",
        URLENCODED "2",
        URLENCODED ", text/plain",
        URLENCODED "," URLENCODED,
        URLENCODED " x",
        "text/plain; " URLENCODED,
        "application/vnd.ms-sync.wbxml",
    };
    struct eas_form *form;
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(eas_form_parse(*state, good[i], BYTES(LOGIN), &form, &err), EAS_OK);
    }
    for (i = 0; i < COUNT_OF(bad); i++) {
        assert_refused(*state, bad[i], BYTES(LOGIN), EAS_MALFORMED, 1100);
    }
}

static void test_ignored_fields(void **state)
{
    static const char *const rows[] = {
        "&&&" LOGIN,
        "username=alice&&&password=secret&&",
        "=&" LOGIN "&=x&==",
        "flags=4&" LOGIN "&forcedownlevel=0&isUtf8=1",
        "UserName=eve&" LOGIN "&Password=eve&user=eve&passwd=eve",
        "usernam=eve&" LOGIN "&username2=eve&username%20=eve&+username=eve",
        "x=1&x=2&" LOGIN "&x=%ff",
        LOGIN ";username=eve", /* a semicolon is no separator */
    };
    size_t i;

    for (i = 0; i + 1 < COUNT_OF(rows); i++) {
        struct eas_form *form = parse(*state, rows[i], strlen(rows[i]));

        assert_string_equal(form->username, "alice");
        assert_string_equal(form->password->bytes, "secret");
    }
    assert_string_equal(parse(*state, rows[i], strlen(rows[i]))->password->bytes,
                        "secret;username=eve");
}

/* Parsers differ in the one that they take. */
static void test_duplicates(void **state)
{
    static const char *const rows[] = {
        LOGIN "&username=eve",
        LOGIN "&username=alice",
        LOGIN "&username",
        "username&" LOGIN,
        LOGIN "&password=other",
        LOGIN "&password=",
        "trusted=0&" LOGIN "&trusted=4",
        "destination=/a&destination=/b&" LOGIN,
        "token=a&token=a&" LOGIN,
        LOGIN "&user%6eame=eve",
        LOGIN "&%75%73%65%72%6E%61%6D%65=eve",
        "p%61ssword=&" LOGIN,
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_malformed(*state, rows[i], strlen(rows[i]), 1103);
    }
}

/* t/unit/test_percent.c has all bad escapes. */
static void test_bad_encodings(void **state)
{
    static const char *const rows[] = {
        LOGIN "%",    LOGIN "%4",   LOGIN "%zz",   LOGIN "%4&x=",
        LOGIN "%=41", LOGIN "%00",  LOGIN "%00&x", "x=%00&" LOGIN,
        "x=%&" LOGIN, "%=x&" LOGIN, "%",           "username%00=eve&" LOGIN,
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_malformed(*state, rows[i], strlen(rows[i]), 1102);
    }
    assert_malformed(*state, BYTES("username=ali\0ce&password=secret"), 1102);
    assert_malformed(*state, BYTES(LOGIN "\0"), 1102);
    assert_malformed(*state, BYTES("\0"), 1102);
}

/* The block has exactly the size of the body, so that valgrind finds a read behind its end. */
static void test_truncation(void **state)
{
    static const char body[] = "username=a%C3%B6b&trusted=4&destination=%2F&password=%70w";
    apr_size_t len;

    for (len = 1; len < sizeof(body); len++) {
        struct eas_form *form = NULL;
        struct eas_err err = { EAS_OK, 0, "" };
        char *exact = malloc(len);

        assert_non_null(exact);
        memcpy(exact, body, len);
        assert_int_equal(eas_form_parse(*state, URLENCODED, exact, len, &form, &err) == EAS_OK,
                         len >= sizeof(body) - 2);
        free(exact);
        assert_int_equal(err.tag != 0, form == NULL || form->password == NULL);
    }
}

static void test_without_user_name_or_password(void **state)
{
    static const char *const rows[] = {
        "",
        "&",
        "&&&",
        "=",
        "username=alice",
        "password=secret",
        "username=alice&password=",
        "username=alice&password",
        "username=&password=secret",
        "username&password",
        "Username=alice&Password=secret",
        "trusted=4&token=x&destination=/",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_refused(*state, URLENCODED, rows[i], strlen(rows[i]), EAS_DENIED, 1107);
    }
}

static void test_trusted_is_0_or_4(void **state)
{
    static const char *const rows[] = { "", "1", "5", "04", "4 ", "on", "true", "-4", "4%2C4" };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *body = apr_pstrcat(*state, LOGIN "&trusted=", rows[i], NULL);

        assert_malformed(*state, body, strlen(body), 1106);
    }
}

static void test_text_is_utf8(void **state)
{
    static const char *const fields[] = { "trusted", "destination", "token" };
    static const char *const bad[] = { "%ff",          "%C3",  "%c0%af", "%ed%a0%80",
                                       "%f4%90%80%80", "\xf6", "j%F6rg" };
    struct eas_form *form = parse(*state, BYTES("username=j%C3%B6rg\xe2\x82\xac&password=x"));
    size_t i, j;

    assert_string_equal(form->username, "j\xc3\xb6rg\xe2\x82\xac");
    for (i = 0; i < COUNT_OF(fields); i++) {
        for (j = 0; j < COUNT_OF(bad); j++) {
            const char *body = apr_pstrcat(*state, LOGIN "&", fields[i], "=", bad[j], NULL);

            assert_malformed(*state, body, strlen(body), 1105);
        }
    }
}

/* As in Basic credentials. */
static void test_other_names_are_windows_1252(void **state)
{
    static const struct {
        const char *encoded, *name;
    } rows[] = {
        { "j%F6rg", "j\xc3\xb6rg" },
        { "j\xf6rg", "j\xc3\xb6rg" },
        { "CORP%5cBo%9ain%E1k", "CORP\\Bo\xc5\xa1in\xc3\xa1k" },
        { "%80", "\xe2\x82\xac" },
        { "%ed%a0%80", "\xc3\xad\xc2\xa0\xe2\x82\xac" },
        { "+%20alice%09", "  alice\t" }, /* eas_identity_parse() trims */
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *body = apr_pstrcat(*state, "password=%FC&username=", rows[i].encoded, NULL);
        struct eas_form *form = parse(*state, body, strlen(body));

        assert_string_equal(form->username, rows[i].name);
        assert_string_equal(form->password->bytes, "\xfc");
    }
}

/* A password is not trimmed, folded or normalised. */
static void test_passwords_are_unchanged(void **state)
{
    static const struct {
        const char *encoded;
        const char *password;
    } rows[] = {
        { .encoded = "a%3Ab%40c%25d%2Be%26f%3Dg", .password = "a:b@c%d+e&f=g" },
        { .encoded = "a:b@c", .password = "a:b@c" },
        { .encoded = "a=b==", .password = "a=b==" },
        { .encoded = "=", .password = "=" },
        { .encoded = "a+b", .password = "a b" },
        { .encoded = "++a++", .password = "  a  " },
        { .encoded = "%20a%20", .password = " a " },
        { .encoded = "+", .password = " " },
        { .encoded = "%2B%2b", .password = "++" },
        { .encoded = "%2541", .password = "%41" },
        { .encoded = "%25", .password = "%" },
        { .encoded = "%09%0D%0A", .password = "\t\r\n" },
        { .encoded = "gr%C3%BC%c3%9fe", .password = "gr\xc3\xbc\xc3\x9f\x65" },
        { .encoded = "u%CC%88", .password = "u\xcc\x88" },
        { .encoded = "\xc3\xbc", .password = "\xc3\xbc" },
        { .encoded = "%FC%ff%80", .password = "\xfc\xff\x80" },
        { .encoded = "%01%7F", .password = "\x01\x7f" },
        { .encoded = "\"'<>;/\\?#", .password = "\"'<>;/\\?#" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *body =
            apr_pstrcat(*state, "username=a&password=", rows[i].encoded, "&token=t", NULL);
        struct eas_form *form = parse(*state, body, strlen(body));

        assert_int_equal(form->password->len, strlen(rows[i].password));
        assert_string_equal(form->password->bytes, rows[i].password);
        assert_string_equal(form->token, "t");
    }
}

static void test_long_passwords_are_whole(void **state)
{
    static const apr_size_t lengths[] = { 64, 255, 256, 1024, 5000, 8000 };
    static const char prefix[] = "username=alice&password=";
    const apr_size_t start = sizeof(prefix) - 1;
    size_t i, j;

    for (i = 0; i < COUNT_OF(lengths); i++) {
        char *body = apr_palloc(*state, start + lengths[i] + 1);
        struct eas_form *form;

        memcpy(body, prefix, start);
        for (j = 0; j < lengths[i]; j++) {
            body[start + j] = (char)('A' + j % 26);
        }
        form = parse(*state, body, start + lengths[i]);
        assert_int_equal(form->password->len, lengths[i]);
        assert_memory_equal(form->password->bytes, body + start, lengths[i]);
        assert_int_equal(form->password->bytes[lengths[i]], '\0');
    }
}

/* auth/login/form.h states the length. */
static void test_long_escaped_password(void **state)
{
    static const char prefix[] = "username=alice&password=";
    char body[sizeof(prefix) - 1 + 3 * 5000], *end = body + sizeof(prefix) - 1;
    struct eas_form *form;
    int i;

    memcpy(body, prefix, sizeof(prefix) - 1);
    for (i = 0; i < 5000; i++) {
        memcpy(end + 3 * i, "%e4", 3);
    }
    form = parse(*state, body, sizeof(body));
    assert_int_equal(form->password->len, 5000);
    for (i = 0; i < 5000; i++) {
        assert_int_equal((unsigned char)form->password->bytes[i], 0xe4);
    }
}

static void test_body_size(void **state)
{
    char *body = apr_palloc(*state, EAS_FORM_MAX + 1);

    memset(body, 'x', EAS_FORM_MAX + 1);
    memcpy(body, LOGIN "&x=", sizeof(LOGIN "&x=") - 1);
    assert_int_equal(EAS_FORM_MAX, 16384);
    assert_string_equal(parse(*state, body, EAS_FORM_MAX)->username, "alice");
    assert_malformed(*state, body, EAS_FORM_MAX + 1, 1101);
}

static void test_field_limit(void **state)
{
    const char *body = LOGIN;
    char *many = apr_palloc(*state, 4 * 100000 + sizeof(LOGIN));
    int i;

    for (i = 2; i < 64; i++) {
        body = apr_pstrcat(*state, body, "&x=", NULL);
    }
    assert_string_equal(parse(*state, body, strlen(body))->username, "alice");
    body = apr_pstrcat(*state, body, "&x=", NULL);
    assert_malformed(*state, body, strlen(body), 1104);

    memset(many, '&', EAS_FORM_MAX);
    assert_malformed(*state, many, EAS_FORM_MAX, 1104);

    for (i = 0; i < 100000; i++) {
        memcpy(many + 4 * i, "x=1&", 4);
    }
    assert_malformed(*state, many, 4 * 100000, 1101);
    assert_malformed(*state, many, EAS_FORM_MAX, 1104);
}

static void test_results_outlive_the_body(void **state)
{
    char body[] = LOGIN "&destination=/owa/&token=t";
    struct eas_form *form = parse(*state, body, strlen(body));

    memset(body, 'x', sizeof(body));
    assert_string_equal(form->username, "alice");
    assert_string_equal(form->password->bytes, "secret");
    assert_string_equal(form->destination, "/owa/");
    assert_string_equal(form->token, "t");
}

/* The decoded password is shorter; no part of the encoded one remains behind it. */
static void test_no_password_behind_the_secret(void **state)
{
    struct eas_form *form = parse(*state, BYTES("username=a&password=%70%61%73%73word"));
    apr_size_t i;

    assert_string_equal(form->password->bytes, "password");
    for (i = form->password->len; i < sizeof("%70%61%73%73word"); i++) {
        assert_int_equal(form->password->bytes[i], '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_all_fields),
        POOL_TEST(test_optional_fields),
        POOL_TEST(test_content_types),
        POOL_TEST(test_ignored_fields),
        POOL_TEST(test_duplicates),
        POOL_TEST(test_bad_encodings),
        POOL_TEST(test_truncation),
        POOL_TEST(test_without_user_name_or_password),
        POOL_TEST(test_trusted_is_0_or_4),
        POOL_TEST(test_text_is_utf8),
        POOL_TEST(test_other_names_are_windows_1252),
        POOL_TEST(test_passwords_are_unchanged),
        POOL_TEST(test_long_passwords_are_whole),
        POOL_TEST(test_long_escaped_password),
        POOL_TEST(test_body_size),
        POOL_TEST(test_field_limit),
        POOL_TEST(test_results_outlive_the_body),
        POOL_TEST(test_no_password_behind_the_secret),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
