/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_answer.c - answers of backends, as eas-kcd-check reads them */

#include "t/unit/unit.h"

#include "delegation/check/answer.h"

#include <string.h>

static const struct eas_finding_names nothing;

static const char *name_of(apr_pool_t *pool, enum eas_finding finding)
{
    return eas_finding_text(pool, finding, &nothing).name;
}

static void test_offers(void **state)
{
    static const struct {
        const char *head, *name;
    } rows[] = {
        { "HTTP/1.1 401 x\r\nWWW-Authenticate: Negotiate\r\n", "" },
        { "HTTP/1.1 401 x\r\nwww-authenticate: NTLM, Negotiate\r\n", "" },
        { "HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\nWWW-Authenticate: Negotiate\r\n", "" },
        { "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"a\", negotiate\r\n", "" },
        { "HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\n", "offers-ntlm" },
        { "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"Negotiate\"\r\n", "offers-basic" },
        { "HTTP/1.1 401 x\r\nWWW-Authenticate: Negotiated\r\n", "offers-nothing" },
        { "HTTP/1.1 401 x\r\n", "offers-nothing" },
        { "HTTP/1.1 200 OK\r\n", "offers-nothing" },
        { "HTTP/1.1 403 x\r\nWWW-Authenticate: Negotiate\r\n", "offers-nothing" },
        { "HTTP/1.1 302 x\r\nLocation: https://cas/owa/auth/logon.aspx?url=x\r\n", "offers-form" },
        { "HTTP/1.1 302 x\r\nLocation: /other\r\n", "offers-nothing" },
        { "HTTP/1.1 440 x\r\n", "offers-form" },
    };
    struct eas_http_response response;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_true(eas_http_parse_response(*state, rows[i].head, &response));
        assert_string_equal(name_of(*state, eas_answer_offer(&response)), rows[i].name);
    }
}

static void test_tokens(void **state)
{
    static const struct {
        int status;
        enum eas_answer_reply reply;
        size_t len;
        const char *name;
    } rows[] = {
        { 200, EAS_ANSWER_RIGHT_REPLY, 2000, "" },
        { 302, EAS_ANSWER_RIGHT_REPLY, 2000, "" },
        { 500, EAS_ANSWER_RIGHT_REPLY, 2000, "" },
        { 200, EAS_ANSWER_NO_REPLY, 2000, "no-ap-rep" },
        { 200, EAS_ANSWER_WRONG_REPLY, 2000, "ap-rep-wrong" },
        { 401, EAS_ANSWER_NO_REPLY, 2000, "token-refused" },
        { 401, EAS_ANSWER_RIGHT_REPLY, 2000, "user-refused-by-backend" },
        { 403, EAS_ANSWER_RIGHT_REPLY, 2000, "user-refused-by-backend" },
        { 400, EAS_ANSWER_NO_REPLY, 20000, "header-too-long" },
        { 400, EAS_ANSWER_NO_REPLY, 2000, "no-ap-rep" },
        { 400, EAS_ANSWER_RIGHT_REPLY, 20000, "" },
        { 413, EAS_ANSWER_NO_REPLY, 20000, "header-too-long" },
        { 431, EAS_ANSWER_NO_REPLY, 2000, "header-too-long" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(
            name_of(*state, eas_answer_token(rows[i].status, rows[i].reply, rows[i].len)),
            rows[i].name);
    }
}

static void test_heads_that_are_none(void **state)
{
    static const char *const heads[] = {
        "",
        "\r\n",
        "HTTP/2 200",
        "HTTP/1.1 20",
        "HTTP/1.1 x00 OK\r\n",
        "HTTP/1.1  200\r\n",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n",
    };
    struct eas_http_response response;
    size_t i;

    for (i = 0; i < COUNT_OF(heads); i++) {
        assert_false(eas_http_parse_response(*state, heads[i], &response));
    }
}

static void test_urls(void **state)
{
    static const struct {
        const char *url, *host, *port, *path;
        bool tls;
    } rows[] = {
        { "https://cas1/owa?x=1", "cas1", "443", "/owa?x=1", true },
        { "http://cas1:8080", "cas1", "8080", "/", false },
        { "HTTPS://cas1/", "cas1", "443", "/", true },
    };
    struct eas_http_target target;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_true(eas_http_parse(*state, rows[i].url, &target));
        assert_string_equal(target.host, rows[i].host);
        assert_string_equal(target.port, rows[i].port);
        assert_string_equal(target.path, rows[i].path);
        assert_int_equal(target.tls, rows[i].tls);
    }
    assert_false(eas_http_parse(*state, "cas1", &target));
    assert_false(eas_http_parse(*state, "ftp://cas1/", &target));
    assert_false(eas_http_parse(*state, "/owa", &target));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_offers),
        POOL_TEST(test_tokens),
        POOL_TEST(test_heads_that_are_none),
        POOL_TEST(test_urls),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
