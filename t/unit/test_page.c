/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_page.c - the page that a person logs on with */

#include "t/unit/unit.h"

#include "auth/login/page.h"
#include "auth/login/page_builtin.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <string.h>

#define REQUIRED "{{action}}{{token}}{{destination}}"

static const struct eas_page plain = { "/eas-kcd/login", "/eas-kcd/logout", "Mail", "alice",
                                       "/owa/",          "t0ken",           false,  EAS_PAGE_NONE };

static const struct eas_template *compile(apr_pool_t *pool, const char *html)
{
    const struct eas_template *template = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_page_compile(pool, html, html != NULL ? strlen(html) : 0, &template, &err) != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return template;
}

static const char *render(apr_pool_t *pool, const char *html, const struct eas_page *page)
{
    return eas_page_render(pool, compile(pool, html), page);
}

static int count(const char *text, const char *what)
{
    int n = 0;

    while ((text = strstr(text, what)) != NULL) {
        text += strlen(what);
        n++;
    }
    return n;
}

static void assert_has(const char *html, const char *what)
{
    if (strstr(html, what) == NULL) {
        fail_msg("%s is not in the page:\n%s", what, html);
    }
}

static void assert_refused(apr_pool_t *pool, const char *html, apr_size_t len, int tag,
                           const char *said)
{
    const struct eas_template *template = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_page_compile(pool, html, len, &template, &err) != EAS_MISCONFIGURED || err.tag != tag
        || strstr(err.text, said) == NULL || template != NULL) {
        fail_msg("%s: EAS%d %s", html, err.tag, err.text);
    }
}

static void test_placeholders(void **state)
{
    static const char html[] = "<{{action}}|{{title}}|{{username}}|{{destination}}|{{token}}|"
                               "{{message}}|{{reason}}|{{checked_public}}|{{checked_private}}>";
    struct eas_page page = plain;

    assert_string_equal(render(*state, html, &page),
                        "</eas-kcd/login|Mail|alice|/owa/|t0ken|||checked|>");
    page.trusted = true;
    page.reason = EAS_PAGE_SIGNED_OUT;
    assert_string_equal(
        render(*state, html, &page),
        "</eas-kcd/login|Mail|alice|/owa/|t0ken|You have signed out.|signed-out||checked>");
}

static void test_where_placeholders_may_be(void **state)
{
    static const struct {
        const char *html;
        const char *rendered;
    } rows[] = {
        { REQUIRED, "/eas-kcd/logint0ken/owa/" },
        { REQUIRED "{{title}}{{title}}", "/eas-kcd/logint0ken/owa/MailMail" },
        { "a" REQUIRED "\nb\n", "a/eas-kcd/logint0ken/owa/\nb\n" },
        { "{ }} { { }} { " REQUIRED "} }}", "{ }} { { }} { /eas-kcd/logint0ken/owa/} }}" },
        { "@media print{p{margin:0}}" REQUIRED,
          "@media print{p{margin:0}}/eas-kcd/logint0ken/owa/" },
        { "%s %n %d" REQUIRED "%%", "%s %n %d/eas-kcd/logint0ken/owa/%%" },
        { "\xc3\xa9" REQUIRED, "\xc3\xa9/eas-kcd/logint0ken/owa/" },
        { "\xef\xbb\xbf" REQUIRED, "\xef\xbb\xbf/eas-kcd/logint0ken/owa/" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(render(*state, rows[i].html, &plain), rows[i].rendered);
    }
}

static void test_unknown_placeholders(void **state)
{
    static const struct {
        const char *html;
        const char *said;
    } rows[] = {
        { REQUIRED "{{password}}",
          "line 1 of the login page: there is no placeholder {{password}}" },
        { REQUIRED "\n\n{{Title}}", "line 3 of the login page: there is no placeholder {{Title}}" },
        { REQUIRED "{{ title }}", "{{ title }}" },
        { REQUIRED "{{}}", "{{}}" },
        { REQUIRED "{{titles}}", "{{titles}}" },
        { REQUIRED "{{titl}}", "{{titl}}" },
        { REQUIRED "{{{title}}}", "{{{title}}" },
        { REQUIRED "{{logout_action}}", "{{logout_action}}" },
        { REQUIRED "{{%n}}", "{{%n}}" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_refused(*state, rows[i].html, strlen(rows[i].html), 1130, rows[i].said);
    }
}

static void test_unclosed_placeholders(void **state)
{
    static const struct {
        const char *html;
        const char *said;
    } rows[] = {
        { REQUIRED "{{", "{{ is not closed by }}" },
        { REQUIRED "{{title", "line 1 of the login page: {{title is not closed by }}" },
        { REQUIRED "\n{{title}", "line 2 of the login page: {{title is not closed by }}" },
        { REQUIRED "<b>{{title</b>\n<style>a{b{c:d}}</style>", "{{title is not closed" },
        { REQUIRED "{{title\n}}", "{{title is not closed" },
        { "{{action " REQUIRED "\n", "{{action {{action}}" },
    };
    size_t i;

    for (i = 0; i + 1 < COUNT_OF(rows); i++) {
        assert_refused(*state, rows[i].html, strlen(rows[i].html), 1131, rows[i].said);
    }
    assert_refused(*state, rows[i].html, strlen(rows[i].html), 1130, rows[i].said);
}

static void test_missing_placeholders(void **state)
{
    static const struct {
        const char *html;
        const char *said;
    } rows[] = {
        { "", "{{action}}" },
        { "<html></html>", "{{action}}" },
        { "{{token}}{{destination}}", "{{action}}" },
        { "{{action}}{{destination}}", "{{token}}" },
        { "{{action}}{{token}}{{username}}", "{{destination}}" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_refused(*state, rows[i].html, strlen(rows[i].html), 1132, rows[i].said);
    }
}

static void test_what_is_not_utf8(void **state)
{
    assert_refused(*state, REQUIRED "\xe9", sizeof(REQUIRED "\xe9") - 1, 1133, "UTF-8");
    assert_refused(*state, REQUIRED "\0", sizeof(REQUIRED "\0") - 1, 1133, "UTF-8");
    assert_refused(*state, "\xff\xfe{\0{\0", 6, 1133, "UTF-8");
}

static void test_template_outlives_its_text(void **state)
{
    char html[] = "<b>" REQUIRED "</b>";
    const struct eas_template *template = compile(*state, html);

    memset(html, '{', sizeof(html) - 1);
    assert_string_equal(eas_page_render(*state, template, &plain),
                        "<b>/eas-kcd/logint0ken/owa/</b>");
}

#define NASTY "\"'><svg/onload=alert(1)>`&amp;{{token}}%s%n"
#define ESCAPED "&#34;&#39;&gt;&lt;svg/onload&#61;alert(1)&gt;&#96;&amp;amp;{{token}}%s%n"

/* Each value alone, so that none hides behind another. */
static void test_values_are_escaped_once_and_not_expanded(void **state)
{
    static const char html[] = REQUIRED "{{title}}{{username}}";
    const struct eas_page pages[] = {
        { .action = NASTY },      { .title = NASTY }, { .username = NASTY },
        { .destination = NASTY }, { .token = NASTY },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(pages); i++) {
        assert_string_equal(render(*state, html, &pages[i]), ESCAPED);
    }
}

static void test_values_in_the_builtin_page(void **state)
{
    const struct eas_page clean = { "a", "a", "a", "a", "a", "a", false, EAS_PAGE_WRONG };
    struct eas_page nasty = { NASTY, NASTY, NASTY, NASTY, NASTY, NASTY, false, EAS_PAGE_WRONG };
    enum eas_page_reason reason;

    for (reason = EAS_PAGE_NONE; reason <= EAS_PAGE_BAD_REQUEST; reason++) {
        struct eas_page page = clean;
        const char *expected, *html;

        page.reason = nasty.reason = reason;
        expected = render(*state, NULL, &page);
        html = render(*state, NULL, &nasty);
        assert_int_equal(count(html, "<"), count(expected, "<"));
        assert_int_equal(count(html, ">"), count(expected, ">"));
        assert_int_equal(count(html, "\""), count(expected, "\""));
        assert_int_equal(count(html, "'"), count(expected, "'"));
        assert_int_equal(count(html, "="), count(expected, "="));
        assert_has(html, ESCAPED);
    }
}

static void test_values_that_are_missing(void **state)
{
    static const struct eas_page nothing = { .action = NULL };
    const char *html = render(*state, NULL, &nothing);

    assert_has(html, "name=\"username\" type=\"text\" value=\"\"");
    assert_has(html, "<h1></h1>");
    assert_null(strstr(html, "(null)"));
}

static void test_every_character_of_a_value(void **state)
{
    const struct eas_template *template = compile(*state, REQUIRED);
    int c;

    for (c = 1; c <= 0xff; c++) {
        char value[] = { 'a', (char)c, 'b', '\0' };
        struct eas_page page = { .action = value };
        const char *html = eas_page_render(*state, template, &page);

        if (strchr("&<>\"'=`", c) == NULL) {
            assert_string_equal(html, value);
        }
        else {
            assert_true(html[0] == 'a' && html[1] == '&' && html[strlen(html) - 2] == ';');
        }
    }
}

static void test_long_values(void **state)
{
    char value[2 * 65536 + 1];
    struct eas_page page = { .title = value, .destination = "" };

    memset(value, '"', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    assert_int_equal(count(render(*state, REQUIRED "{{title}}", &page), "&#34;"),
                     sizeof(value) - 1);
}

/* The message is never a hint at which of the two was wrong, or whether the account exists. */
static void test_reasons(void **state)
{
    static const struct {
        enum eas_page_reason reason;
        const char *shown;
    } rows[] = {
        { EAS_PAGE_NONE, "class=\"message \" role=\"alert\"></p>" },
        { EAS_PAGE_WRONG, "class=\"message wrong\" role=\"alert\">That user name and password " },
        { EAS_PAGE_EXPIRED_PASSWORD, "class=\"message expired\" role=\"alert\">Your password has" },
        { EAS_PAGE_TIMED_OUT, "class=\"message timed-out\" role=\"alert\">Your session has ended" },
        { EAS_PAGE_SIGNED_OUT, "class=\"message signed-out\" role=\"alert\">You have signed out" },
        { EAS_PAGE_TRY_LATER, "class=\"message try-later\" role=\"alert\">Signing in is not" },
        { EAS_PAGE_BAD_REQUEST, "class=\"message bad-request\" role=\"alert\">This form was" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_page page = plain;

        page.reason = rows[i].reason;
        assert_has(render(*state, NULL, &page), rows[i].shown);
    }
}

static void test_builtin_page(void **state)
{
    struct eas_page page = plain;
    const char *html = render(*state, NULL, &page);

    assert_int_equal(strncmp(html, "<!DOCTYPE html>\n<html lang=\"en\">\n", 33), 0);
    assert_has(html, "<meta charset=\"utf-8\">");
    assert_has(html, "<form method=\"post\" action=\"/eas-kcd/login\">");
    assert_has(html, "name=\"token\" value=\"t0ken\"");
    assert_has(html, "name=\"destination\" value=\"/owa/\"");
    assert_has(html, "name=\"trusted\" value=\"0\" checked>");
    assert_has(html, "name=\"trusted\" value=\"4\" >");
    assert_has(html, "autocomplete=\"current-password\"");
    assert_int_equal(count(html, "<main>"), 1);
    assert_int_equal(count(html, "{{"), 0);
    assert_int_equal(count(html, "http"), 0); /* nothing from elsewhere */
    assert_int_equal(count(html, "script"), 0);
    assert_int_equal(count(html, "style="), 0);
    page.trusted = true;
    html = render(*state, NULL, &page);
    assert_has(html, "name=\"trusted\" value=\"0\" >");
    assert_has(html, "name=\"trusted\" value=\"4\" checked>");
}

/* Also for a login page of the administrator's: it has no form that signs out. */
static void test_sign_out_page(void **state)
{
    struct eas_page page = plain;
    const char *html;

    page.reason = EAS_PAGE_CONFIRM_LOGOUT;
    html = render(*state, NULL, &page);
    assert_has(html, "<form method=\"post\" action=\"/eas-kcd/logout\">");
    assert_has(html, "name=\"token\" value=\"t0ken\"");
    assert_has(html, "Do you want to sign out?");
    assert_null(strstr(html, "password\""));
    assert_null(strstr(html, "{{"));
    assert_string_equal(render(*state, REQUIRED, &page), html);
}

static void test_csp_allows_the_style_that_is_sent(void **state)
{
    const char *html = render(*state, NULL, &plain);
    const char *style = strstr(html, "<style>") + strlen("<style>");
    apr_size_t len = (apr_size_t)(strstr(style, "</style>") - style);
    unsigned char digest[32], base64[45];

    assert_int_equal(len, strlen(eas_page_builtin_style));
    assert_int_equal(EVP_Digest(style, len, digest, NULL, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock(base64, digest, sizeof(digest));
    assert_string_equal(EAS_PAGE_STYLE_HASH, apr_pstrcat(*state, "sha256-", base64, NULL));
    assert_string_equal(eas_page_csp(),
                        "default-src 'none'; style-src 'self' '" EAS_PAGE_STYLE_HASH "'; "
                        "img-src 'self'; form-action 'self' https:; frame-ancestors 'none'; "
                        "base-uri 'none'");
}

/* So that a page of the administrator's may look like ours. */
static void test_style_for_other_pages(void **state)
{
    const char *html = render(*state, "<style>{{style}}</style>" REQUIRED, &plain);

    assert_string_equal(html, apr_pstrcat(*state, "<style>", eas_page_builtin_style,
                                          "</style>/eas-kcd/logint0ken/owa/", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_placeholders),
        POOL_TEST(test_where_placeholders_may_be),
        POOL_TEST(test_unknown_placeholders),
        POOL_TEST(test_unclosed_placeholders),
        POOL_TEST(test_missing_placeholders),
        POOL_TEST(test_what_is_not_utf8),
        POOL_TEST(test_template_outlives_its_text),
        POOL_TEST(test_values_are_escaped_once_and_not_expanded),
        POOL_TEST(test_values_in_the_builtin_page),
        POOL_TEST(test_values_that_are_missing),
        POOL_TEST(test_every_character_of_a_value),
        POOL_TEST(test_long_values),
        POOL_TEST(test_reasons),
        POOL_TEST(test_builtin_page),
        POOL_TEST(test_sign_out_page),
        POOL_TEST(test_csp_allows_the_style_that_is_sent),
        POOL_TEST(test_style_for_other_pages),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
