/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_cookie.c - Cookie and Set-Cookie header values */

#include "t/unit/sessions.h"

#include "auth/base/cookie.h"

static void test_set_cookie(void **state)
{
    static const struct {
        const char *name, *value;
        bool secure;
        const char *expected;
    } rows[] = {
        { NAME, "v", true, NAME "=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { NAME, "v", false, NAME "=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "__Secure-eas", "v", false, "__Secure-eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "__host-eas", "v", false, "__host-eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "__SECURE-eas", "v", false, "__SECURE-eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "eas", "v", true, "eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "eas", "v", false, "eas=v; Path=/; HttpOnly; SameSite=Lax" },
        { "__Hosteas", "v", false, "__Hosteas=v; Path=/; HttpOnly; SameSite=Lax" },
        { NAME, NULL, true, NAME "=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { NAME, NULL, false, NAME "=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "eas", NULL, false, "eas=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(eas_cookie_format(*state, rows[i].name, rows[i].value, rows[i].secure),
                            rows[i].expected);
    }
}

static void test_all_cookie_lines(void **state)
{
    apr_table_t *request = apr_table_make(*state, 3);

    assert_null(eas_cookie_header(*state, request));
    apr_table_addn(request, "Cookie", "a=1");
    assert_string_equal(eas_cookie_header(*state, request), "a=1");
    apr_table_addn(request, "cookie", "b=2; c=3");
    assert_string_equal(eas_cookie_header(*state, request), "a=1; b=2; c=3");
    eas_cookie_set_header(request, "d=4");
    assert_string_equal(eas_cookie_header(*state, request), "d=4");
    eas_cookie_set_header(request, NULL);
    assert_null(eas_cookie_header(*state, request));
}

static void test_set_cookie_stays_below_4096(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, true, NOW);
    char *principal = apr_pcalloc(*state, EAS_SESSION_PRINCIPAL_MAX + 1);

    memset(principal, 'p', EAS_SESSION_PRINCIPAL_MAX);
    session->principal = principal;
    assert_uint_in_range(
        strlen(eas_cookie_format(*state, NAME, cookie_of(ring, *state, session), true)), 1, 2000);
}

#define O NAME "=v"
#define MANY "(many)"

/* A Cookie header, the value found in it, and the header after eas_cookie_strip(); NULL is none. */
static const struct {
    const char *header, *found, *left;
} headers[] = {
    { NULL, NULL, NULL },
    { "", NULL, NULL },
    { "   ", NULL, NULL },
    { " \t ", NULL, NULL },
    { ";", NULL, NULL },
    { ";;", NULL, NULL },
    { "; ;", NULL, NULL },
    { " ; , ;; ", NULL, NULL },
    { "a=1", NULL, "a=1" },
    { "a", NULL, "a" },
    { "=", NULL, "=" },
    { "=;=", NULL, "=;=" },
    { ";;a=1;;", NULL, ";;a=1;;" },
    { "; ; a=1; ;", NULL, "; ; a=1; ;" },
    { " a = 1 ;\tb=2", NULL, " a = 1 ;\tb=2" },

    /* only, first, middle, last, twice */
    { O, "v", NULL },
    { O "; a=1", "v", "a=1" },
    { "a=1; " O, "v", "a=1" },
    { "a=1; " O "; b=2", "v", "a=1; b=2" },
    { "a=1;" O ";b=2", "v", "a=1;b=2" },
    { O "; a=1; b=2; c=3", "v", "a=1; b=2; c=3" },
    { O "; " O, MANY, NULL },
    { O "; " NAME "=w", MANY, NULL },
    { "a=1; " O "; b=2; " NAME "=w", MANY, "a=1; b=2" },
    { O "; a=1; " O "; b=2; " O, MANY, "a=1; b=2" },
    { NAME "=; " O, MANY, NULL },

    /* empty pairs around it */
    { O ";", "v", NULL },
    { ";" O, "v", NULL },
    { ";;" O ";;", "v", NULL },
    { "; ; " O "; ; ", "v", NULL },
    { "a=1;;" O ";;b=2", "v", "a=1;;;b=2" },
    { "a=1; ; " O "; ; b=2", "v", "a=1; ; ; b=2" },
    { ";" O ";a=1", "v", ";a=1" },
    { "  " O ";   a=1", "v", "a=1" },
    { O ";;a=1", "v", ";a=1" },

    /* no value, odd values */
    { NAME "=", "", NULL },
    { NAME "=;a=1", "", "a=1" },
    { NAME, NULL, NULL },
    { NAME "; a=1", NULL, "a=1" },
    { NAME "; " O "; a=1", "v", "a=1" },
    { NAME "==", "=", NULL },
    { NAME "=v=w; a=1", "v=w", "a=1" },
    { NAME "=\"v\"; a=1", "\"v\"", "a=1" },
    { "a=1; " NAME "=v w ; b=2", "v w ", "a=1; b=2" },
    { NAME "=\x01\x7f\xff; b=2", "\x01\x7f\xff", "b=2" },

    /* quotes protect nothing */
    { "a=\"1; " O "; b=2\"", "v", "a=\"1; b=2\"" },
    { "a=\"1;2\"; " O, "v", "a=\"1;2\"" },
    { "a=\"; " O, "v", "a=\"" },
    { "a=\"x\\\"; " O "; y\"", "v", "a=\"x\\\"; y\"" },
    { NAME "=\"a; b=2\"", "\"a", "b=2\"" },

    /* other names */
    { NAME "2=v", NULL, NAME "2=v" },
    { "x" O, NULL, "x" O },
    { "__Host-ea=v", NULL, "__Host-ea=v" },
    { "__host-eas=v", NULL, NULL },
    { "__HOST-EAS=v", NULL, NULL },
    { "a=" NAME, NULL, "a=" NAME },
    { "a=" O, NULL, "a=" O },
    { "=" O, NULL, "=" O },
    { "a b" O, NULL, "a b" O },
    { "a " O, NULL, "a " O },
    { "\"" NAME "\"=v", NULL, "\"" NAME "\"=v" },
    { NAME "2=v; " O "; x" O, "v", NAME "2=v; x" O },

    /* no browser sends these; a backend might accept them as the cookie */
    { NAME " =v", NULL, NULL },
    { NAME " = v; a=1", NULL, "a=1" },
    { NAME "\t=v; a=1", NULL, "a=1" },
    { NAME "= v; a=1", " v", "a=1" },
    { "\t" O, "v", NULL },
    { "a=1;\t \t" O, "v", "a=1" },
    { "\x01" O "; a=1", NULL, "a=1" },
    { "a=1;\v" O, NULL, "a=1" },
    { NAME "\x7f=v", NULL, NULL },
    { NAME " ; a=1", NULL, "a=1" },

    /* httpd joins several headers by commas; a value with a comma may imitate that */
    { "a=1, " O, NULL, "a=1" },
    { "a=1," O, NULL, "a=1" },
    { O ", " NAME "=w", "v, " NAME "=w", NULL },
    { O ", a=1", "v, a=1", "a=1" },
    { "a=1, " O "; b=2", NULL, "a=1; b=2" },
    { "a=1; " O ", b=2; c=3", "v, b=2", "a=1, b=2; c=3" },
    { "a=1,2,3; b=,; " O, "v", "a=1,2,3; b=," },
    { "a=x," O "; " NAME "=w", "w", "a=x" },
    { "a=1,2; b=3", NULL, "a=1,2; b=3" },

    { "$Version=\"1\"; " NAME "=\"v\"; $Path=\"/\"", "\"v\"", "$Version=\"1\"; $Path=\"/\"" },
    { "\xc3\xa4=\xc3\xb6; " O "; \xff=\xfe", "v", "\xc3\xa4=\xc3\xb6; \xff=\xfe" },
};

static void test_find_cookie(void **state)
{
    size_t i;

    for (i = 0; i < COUNT_OF(headers); i++) {
        const char *expected = headers[i].found, *found = NULL;
        enum eas_cookie_count count = eas_cookie_find(*state, headers[i].header, NAME, &found);
        enum eas_cookie_count expected_count = expected == NULL              ? EAS_COOKIE_NONE
                                               : strcmp(expected, MANY) == 0 ? EAS_COOKIE_MANY
                                                                             : EAS_COOKIE_ONE;

        if (count != expected_count) {
            fail_msg("%s: %d", headers[i].header, (int)count);
        }
        if (count == EAS_COOKIE_ONE) {
            assert_string_equal(found, expected);
        }
        else {
            assert_null(found);
        }
    }
}

static void test_strip_cookie(void **state)
{
    size_t i;

    for (i = 0; i < COUNT_OF(headers); i++) {
        const char *left = eas_cookie_strip(*state, headers[i].header, NAME);
        const char *expected = headers[i].left;

        if ((left == NULL) != (expected == NULL) || (left != NULL && strcmp(left, expected) != 0)) {
            fail_msg("\"%s\" leaves \"%s\"", headers[i].header, left);
        }
        if (left != NULL) {
            assert_string_equal(eas_cookie_strip(*state, left, NAME), left);
        }
    }
}

/* The parts of a header except cookie "o", trimmed, each with a '|' behind it. */
static const char *other_parts(apr_pool_t *pool, const char *header)
{
    const char *result = "";

    for (;; header++) {
        size_t len = strcspn(header, ";,");
        char *part = apr_pstrmemdup(pool, header + strspn(header, " "),
                                    len - (len > strspn(header, " ") ? strspn(header, " ") : len));

        while (*part != '\0' && part[strlen(part) - 1] == ' ') {
            part[strlen(part) - 1] = '\0';
        }
        if (part[0] != 'o' || strspn(part + 1, " ") != strcspn(part + 1, "=")) {
            result = apr_pstrcat(pool, result, part, "|", NULL);
        }
        header += len;
        if (*header == '\0') {
            return result;
        }
    }
}

/* For each header of up to six pieces: cookie "o" is removed, and nothing else. */
static void test_strip_every_header(void **state)
{
    static const char pieces[] = { 'o', '=', ';', ',', ' ', 'a' };
    apr_pool_t *scratch;
    unsigned int n, rest;
    int len, i;

    assert_int_equal(apr_pool_create(&scratch, *state), APR_SUCCESS);
    for (len = 0; len <= 6; len++) {
        for (n = 0, rest = 0; rest == 0; n++) {
            char header[7] = "";
            const char *left, *others;

            for (i = 0, rest = n; i < len; i++, rest /= sizeof(pieces)) {
                header[i] = pieces[rest % sizeof(pieces)];
            }
            left = eas_cookie_strip(scratch, header, "o");
            others = other_parts(scratch, header);
            if (left == NULL) {
                assert_int_equal(strspn(others, "|"), strlen(others));
            }
            else {
                assert_string_equal(other_parts(scratch, left), others);
                assert_string_equal(eas_cookie_strip(scratch, left, "o"), left);
            }
            if (left != NULL && strchr(header, 'o') == NULL) {
                assert_string_equal(left, header);
            }
            apr_pool_clear(scratch);
        }
    }
}

/* Up to ten thousand pairs, with the cookie at both ends and in the middle. */
static void test_many_cookies(void **state)
{
    static const int counts[] = { 200, 10000 };
    size_t i;

    for (i = 0; i < COUNT_OF(counts); i++) {
        char *with = apr_pcalloc(*state, (apr_size_t)counts[i] * 16 + 100), *p = with;
        char *without = apr_pcalloc(*state, (apr_size_t)counts[i] * 16 + 100), *q = without;
        const char *value;
        int n;

        p += sprintf(p, O "; ");
        for (n = 0; n < counts[i]; n++) {
            p += sprintf(p, "%sc%d=%d", n > 0 ? "; " : "", n, n);
            q += sprintf(q, "%sc%d=%d", n > 0 ? "; " : "", n, n);
            if (n == counts[i] / 2) {
                p += sprintf(p, "; " O);
            }
        }
        assert_int_equal(eas_cookie_find(*state, without, NAME, &value), EAS_COOKIE_NONE);
        assert_string_equal(eas_cookie_strip(*state, without, NAME), without);
        assert_int_equal(eas_cookie_find(*state, with, NAME, &value), EAS_COOKIE_MANY);
        assert_string_equal(eas_cookie_strip(*state, with, NAME), without);
        assert_int_equal(eas_cookie_find(*state, with + 1, NAME, &value), EAS_COOKIE_ONE);
    }
}

/* From the Set-Cookie header of a log-on to the Cookie header of a request. */
static void test_round_trip(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, true, NOW), *back = NULL;
    char *set = apr_pstrdup(
        *state, eas_cookie_format(*state, NAME, cookie_of(ring, *state, session), true));
    const char *header, *value = NULL;

    *strchr(set, ';') = '\0';
    header = apr_pstrcat(*state, "PrivateComputer=true; ", set, "; lang=de", NULL);
    assert_int_equal(eas_cookie_find(*state, header, NAME, &value), EAS_COOKIE_ONE);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + 1, &back), 0);
    assert_same(session, back);
    assert_string_equal(eas_cookie_strip(*state, header, NAME), "PrivateComputer=true; lang=de");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_set_cookie),         POOL_TEST(test_set_cookie_stays_below_4096),
        POOL_TEST(test_find_cookie),        POOL_TEST(test_strip_cookie),
        POOL_TEST(test_strip_every_header), POOL_TEST(test_many_cookies),
        POOL_TEST(test_round_trip),         POOL_TEST(test_all_cookie_lines),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
