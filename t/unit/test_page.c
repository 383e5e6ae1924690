/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_page.c - login page */

#include "t/unit/unit.h"

#include "auth/login/escape.h"
#include "auth/login/page.h"
#include "auth/login/language.h"
#include "auth/login/page_builtin.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <string.h>

#define REQUIRED "{{action}}{{token}}{{destination}}"

static const struct eas_page plain = {
    .action = "/eas-kcd/login",
    .logout_action = "/eas-kcd/logout",
    .title = "Mail",
    .username = "alice",
    .destination = "/owa/",
    .token = "t0ken",
};

static struct eas_page page_of(const char *value)
{
    struct eas_page page = {
        .action = value,
        .logout_action = value,
        .title = value,
        .username = value,
        .destination = value,
        .token = value,
    };

    return page;
}

static const apr_array_header_t *languages(apr_pool_t *pool)
{
    apr_array_header_t *languages = NULL;
    struct eas_err err;

    assert_int_equal(eas_language_builtin(pool, &languages, &err), EAS_OK);
    return languages;
}

static const struct eas_template *compile(apr_pool_t *pool, const char *html)
{
    struct eas_template *template = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_page_compile(pool, languages(pool), html, html != NULL ? strlen(html) : 0, &template,
                         &err)
        != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return template;
}

static const char *render(apr_pool_t *pool, const char *html, const struct eas_page *page)
{
    return eas_page_render(pool, compile(pool, html), page);
}

static int count(const char *text, const char *part)
{
    int n = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

static void assert_has(const char *html, const char *part)
{
    if (strstr(html, part) == NULL) {
        fail_msg("%s is not in the page:\n%s", part, html);
    }
}

static void assert_refused(apr_pool_t *pool, const char *html, apr_size_t len, int tag,
                           const char *text)
{
    struct eas_template *template = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_page_compile(pool, languages(pool), html, len, &template, &err) != EAS_MISCONFIGURED
        || err.tag != tag || strstr(err.text, text) == NULL || template != NULL) {
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

static void test_text_around_placeholders(void **state)
{
    static const struct {
        const char *html;
        const char *rendered;
    } rows[] = {
        { .html = REQUIRED, .rendered = "/eas-kcd/logint0ken/owa/" },
        { .html = REQUIRED "{{title}}{{title}}", .rendered = "/eas-kcd/logint0ken/owa/MailMail" },
        { .html = "a" REQUIRED "\nb\n", .rendered = "a/eas-kcd/logint0ken/owa/\nb\n" },
        { .html = "{ }} { { }} { " REQUIRED "} }}",
          .rendered = "{ }} { { }} { /eas-kcd/logint0ken/owa/} }}" },
        { .html = "@media print{p{margin:0}}" REQUIRED,
          .rendered = "@media print{p{margin:0}}/eas-kcd/logint0ken/owa/" },
        { .html = "%s %n %d" REQUIRED "%%", .rendered = "%s %n %d/eas-kcd/logint0ken/owa/%%" },
        { .html = "\xc3\xa9" REQUIRED, .rendered = "\xc3\xa9/eas-kcd/logint0ken/owa/" },
        { .html = "\xef\xbb\xbf" REQUIRED, .rendered = "\xef\xbb\xbf/eas-kcd/logint0ken/owa/" },
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
        const char *text;
    } rows[] = {
        { .html = REQUIRED "{{password}}",
          .text = "line 1 of the login page: there is no placeholder {{password}}" },
        { .html = REQUIRED "\n\n{{Title}}",
          .text = "line 3 of the login page: there is no placeholder {{Title}}" },
        { .html = REQUIRED "{{ title }}", .text = "{{ title }}" },
        { .html = REQUIRED "{{}}", .text = "{{}}" },
        { .html = REQUIRED "{{titles}}", .text = "{{titles}}" },
        { .html = REQUIRED "{{titl}}", .text = "{{titl}}" },
        { .html = REQUIRED "{{{title}}}", .text = "{{{title}}" },
        { .html = REQUIRED "{{logout_action}}", .text = "{{logout_action}}" },
        { .html = REQUIRED "{{%n}}", .text = "{{%n}}" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_refused(*state, rows[i].html, strlen(rows[i].html), 1130, rows[i].text);
    }
}

static void test_unclosed_placeholders(void **state)
{
    static const struct {
        const char *html;
        const char *text;
    } rows[] = {
        { .html = REQUIRED "{{", .text = "{{ is not closed by }}" },
        { .html = REQUIRED "{{title",
          .text = "line 1 of the login page: {{title is not closed by }}" },
        { .html = REQUIRED "\n{{title}",
          .text = "line 2 of the login page: {{title is not closed by }}" },
        { .html = REQUIRED "<b>{{title</b>\n<style>a{b{c:d}}</style>",
          .text = "{{title is not closed" },
        { .html = REQUIRED "{{title\n}}", .text = "{{title is not closed" },
        { .html = "{{action " REQUIRED "\n", .text = "{{action {{action}}" },
    };
    size_t i;

    for (i = 0; i + 1 < COUNT_OF(rows); i++) {
        assert_refused(*state, rows[i].html, strlen(rows[i].html), 1131, rows[i].text);
    }
    assert_refused(*state, rows[i].html, strlen(rows[i].html), 1130, rows[i].text);
}

static void test_missing_placeholders(void **state)
{
    static const struct {
        const char *html;
        const char *text;
    } rows[] = {
        { .html = "", .text = "{{action}}" },
        { .html = "<html></html>", .text = "{{action}}" },
        { .html = "{{token}}{{destination}}", .text = "{{action}}" },
        { .html = "{{action}}{{destination}}", .text = "{{token}}" },
        { .html = "{{action}}{{token}}{{username}}", .text = "{{destination}}" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_refused(*state, rows[i].html, strlen(rows[i].html), 1132, rows[i].text);
    }
}

static void test_other_encodings(void **state)
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

/* Each value alone, so that none hides another. */
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
    struct eas_page clean = page_of("a"), nasty = page_of(NASTY);
    enum eas_page_reason reason;

    for (reason = EAS_PAGE_NONE; reason <= EAS_PAGE_BAD_REQUEST; reason++) {
        const char *expected, *html;

        clean.reason = nasty.reason = reason;
        expected = render(*state, NULL, &clean);
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

    assert_has(html, "name=\"username\" type=\"text\" value=\"\" dir=\"auto\"");
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

/* No message shows whether the user exists, or which of name and password was wrong. */
static void test_reasons(void **state)
{
    static const struct {
        enum eas_page_reason reason;
        const char *shown;
    } rows[] = {
        { .reason = EAS_PAGE_NONE, .shown = "class=\"message \" role=\"alert\"></p>" },
        { .reason = EAS_PAGE_WRONG,
          .shown = "class=\"message wrong\" role=\"alert\">That user name and password " },
        { .reason = EAS_PAGE_EXPIRED_PASSWORD,
          .shown = "class=\"message expired\" role=\"alert\">Your password has" },
        { .reason = EAS_PAGE_TIMED_OUT,
          .shown = "class=\"message timed-out\" role=\"alert\">Your session has ended" },
        { .reason = EAS_PAGE_SIGNED_OUT,
          .shown = "class=\"message signed-out\" role=\"alert\">You have signed out" },
        { .reason = EAS_PAGE_OTHER_SESSION,
          .shown = "class=\"message other-session\" role=\"alert\">Another session was open" },
        { .reason = EAS_PAGE_TRY_LATER,
          .shown = "class=\"message try-later\" role=\"alert\">Signing in is not" },
        { .reason = EAS_PAGE_BAD_REQUEST,
          .shown = "class=\"message bad-request\" role=\"alert\">This form was" },
        { .reason = EAS_PAGE_FORBIDDEN,
          .shown = "class=\"message forbidden\" role=\"alert\">You may not" },
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

    assert_int_equal(strncmp(html, "<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">\n", 43), 0);
    assert_has(html, "<meta charset=\"utf-8\">");
    assert_has(html, "<form method=\"post\" action=\"/eas-kcd/login\">");
    assert_has(html, "name=\"token\" value=\"t0ken\"");
    assert_has(html, "name=\"destination\" value=\"/owa/\"");
    assert_has(html, "name=\"trusted\" value=\"0\" checked>");
    assert_has(html, "name=\"trusted\" value=\"4\" >");
    assert_has(html, "autocomplete=\"current-password\"");
    assert_int_equal(count(html, "<main>"), 1);
    assert_int_equal(count(html, "{{"), 0);
    assert_int_equal(count(html, "http"), 0); /* no resource of another site */
    assert_int_equal(count(html, "script"), 0);
    assert_int_equal(count(html, "style="), 0);
    page.trusted = true;
    html = render(*state, NULL, &page);
    assert_has(html, "name=\"trusted\" value=\"0\" >");
    assert_has(html, "name=\"trusted\" value=\"4\" checked>");
}

/* The same page for an administrator's own login page, which has no form to sign out. */
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

/* The built-in one for an administrator's own login page, too. */
static void test_refusal(void **state)
{
    struct eas_page page = plain;
    const char *html;

    page.kind = EAS_PAGE_REFUSAL;
    page.reason = EAS_PAGE_NOT_ALLOWED;
    html = render(*state, NULL, &page);
    assert_string_equal(render(*state, REQUIRED, &page), html);
    assert_has(html, "class=\"message forbidden\" role=\"alert\">You may not open this page.");
    assert_has(html, "You are signed in as <bdi dir=\"ltr\">alice</bdi>.");
    assert_has(html, "<form method=\"post\" action=\"/eas-kcd/logout\">");
    assert_has(html, "name=\"token\" value=\"t0ken\"");
    assert_has(html, "<button type=\"submit\">Use another account</button>");
    assert_null(strstr(html, "{{"));
    page.logout_action = NULL;
    html = render(*state, NULL, &page);
    assert_has(html, "<a class=\"button go\" href=\"/eas-kcd/login\">Use another account</a>");
    assert_null(strstr(html, "t0ken"));
    page.action = page.username = NULL;
    html = render(*state, NULL, &page);
    assert_has(html, "<p class=\"user\"></p>\n\n</main>");
}

/* The form for a new password: the domain's words are text, and "later" is there for a warning alone. */
static void test_change(void **state)
{
    struct eas_page page = plain;
    const char *html;

    page.kind = EAS_PAGE_CHANGE;
    page.reason = EAS_PAGE_NOT_ACCEPTED;
    page.detail = "At least <b>8</b> & \"new\"";
    html = render(*state, NULL, &page);
    assert_string_equal(render(*state, REQUIRED, &page), html);
    assert_has(html,
               "<br><span dir=\"auto\">At least &lt;b&gt;8&lt;/b&gt; &amp; &#34;new&#34;</span>");
    assert_null(strstr(html, "<b>"));
    assert_has(html, "name=\"new_password_again\" type=\"password\" required");
    assert_has(html, "<form method=\"post\" action=\"/eas-kcd/login\">");
    assert_has(html, "name=\"token\" value=\"t0ken\"");
    assert_null(strstr(html, "Not now"));
    assert_null(strstr(html, "{{"));
    page.detail = NULL;
    page.reason = EAS_PAGE_EXPIRES;
    page.days = 3;
    html = render(*state, NULL, &page);
    assert_has(html, "Your password expires soon. Days left: 3. You can change it now.");
    assert_has(html, ">Not now</a>");
    assert_null(strstr(html, "<br>"));
    page.reason = EAS_PAGE_EXPIRED_PASSWORD;
    assert_null(strstr(render(*state, NULL, &page), "Days left"));
}

static void test_reasons_of_refusals(void **state)
{
    static const struct {
        enum eas_page_reason reason;
        const char *shown;
    } rows[] = {
        { .reason = EAS_PAGE_NEEDS_TLS,
          .shown = "class=\"message forbidden\" role=\"alert\">This page opens over" },
        { .reason = EAS_PAGE_UNAVAILABLE,
          .shown = "class=\"message unavailable\" role=\"alert\">The service does not" },
        { .reason = EAS_PAGE_TRY_LATER,
          .shown = "class=\"message try-later\" role=\"alert\">Signing in is not" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_page page = { .kind = EAS_PAGE_REFUSAL, .action = "/owa/" };
        const char *html;

        page.reason = rows[i].reason;
        html = render(*state, NULL, &page);
        assert_has(html, rows[i].shown);
        assert_has(html, "<a class=\"button go\" href=\"/owa/\">Try again</a>");
        assert_null(strstr(html, "signed in as"));
    }
}

static void test_values_in_a_refusal(void **state)
{
    struct eas_page clean = page_of("a"), nasty = page_of(NASTY);
    int i;

    clean.reason = nasty.reason = EAS_PAGE_NOT_ALLOWED;
    clean.kind = nasty.kind = EAS_PAGE_REFUSAL;
    for (i = 0; i < 2; i++) {
        const char *expected = render(*state, NULL, &clean), *html = render(*state, NULL, &nasty);

        assert_int_equal(count(html, "<"), count(expected, "<"));
        assert_int_equal(count(html, "\""), count(expected, "\""));
        assert_int_equal(count(html, ESCAPED), i == 0 ? 5 : 4);
        clean.logout_action = nasty.logout_action = NULL; /* the link instead of the form */
    }
}

static void test_escape_ascii(void **state)
{
    static const struct {
        const char *value;
        const char *escaped;
    } rows[] = {
        { .value = "", .escaped = "" },
        { .value = "Sign in", .escaped = "Sign in" },
        { .value = "<a&b>", .escaped = "&lt;a&amp;b&gt;" },
        { .value = "P\xc5\x99ihl\xc3\xa1sit", .escaped = "P&#345;ihl&#225;sit" },
        { .value = "\xd7\x9b\xe2\x80\x99", .escaped = "&#1499;&#8217;" },
        { .value = "\xf4\x8f\xbf\xbf", .escaped = "&#1114111;" },
        { .value = "a\xff\xc3", .escaped = "a??" },
    };
    size_t i;

    assert_string_equal(eas_escape_ascii(*state, NULL), "");
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(eas_escape_ascii(*state, rows[i].value), rows[i].escaped);
    }
}

static void test_csp_has_the_hash_of_the_style(void **state)
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

static void test_style_placeholder(void **state)
{
    const char *html = render(*state, "<style>{{style}}</style>" REQUIRED, &plain);

    assert_string_equal(html, apr_pstrcat(*state, "<style>", eas_page_builtin_style,
                                          "</style>/eas-kcd/logint0ken/owa/", NULL));
}

static const struct eas_template *add(apr_pool_t *pool, const struct eas_template *first,
                                      const char *html)
{
    struct eas_template *template = (struct eas_template *)first;
    struct eas_err err;

    assert_int_equal(eas_page_compile(pool, languages(pool), html, strlen(html), &template, &err),
                     EAS_OK);
    return template;
}

/* An administrator's own page is in one language, messages and the sign-out page included. */
static void test_language_of_a_page(void **state)
{
    static const struct {
        const char *html;
        const char *accept;
        const char *lang;
        const char *sign_in;
    } rows[] = {
        { .html = "<html>", .accept = "de", .lang = "en", .sign_in = "Sign in" },
        { .html = "", .accept = "de", .lang = "en", .sign_in = "Sign in" },
        { .html = "<!DOCTYPE html>\n<HTML class=x LANG=de>",
          .accept = "fr",
          .lang = "de",
          .sign_in = "Anmelden" },
        { .html = "<html lang='de-AT'>", .accept = "fr", .lang = "de-AT", .sign_in = "Anmelden" },
        { .html = "<html\n lang=\"xx\">", .accept = "fr", .lang = "xx", .sign_in = "Sign in" },
        { .html = "<html lang=\"\">", .accept = "de", .lang = "en", .sign_in = "Sign in" },
        { .html = "<html lang=\"\xc3\xa9\">", .accept = "de", .lang = "en", .sign_in = "Sign in" },
        { .html = "<html><p lang=\"de\">", .accept = "fr", .lang = "en", .sign_in = "Sign in" },
        { .html = "<html lang=\"{{lang}}\">",
          .accept = "de-CH",
          .lang = "de",
          .sign_in = "Anmelden" },
        { .html = "<html dir={{dir}} lang={{lang}}>",
          .accept = "xx, he",
          .lang = "he",
          .sign_in = "\xd7\x9b\xd7\xa0\xd7\x99\xd7\xa1\xd7\x94" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct eas_template *template = compile(
            *state, apr_pstrcat(*state, rows[i].html, "{{text.sign_in}};{{lang}};" REQUIRED, NULL));
        struct eas_page page = plain;

        page.variant = eas_page_choose(template, rows[i].accept);
        assert_string_equal(eas_page_language(template, page.variant), rows[i].lang);
        assert_has(eas_page_render(*state, template, &page),
                   apr_pstrcat(*state, rows[i].sign_in, ";", rows[i].lang, ";", NULL));
        page.reason = EAS_PAGE_CONFIRM_LOGOUT;
        assert_has(eas_page_render(*state, template, &page),
                   apr_pstrcat(*state, "<html lang=\"", rows[i].lang, "\"", NULL));
    }
}

static void test_pages_of_several_languages(void **state)
{
    static const struct {
        const char *accept;
        const char *shown;
    } rows[] = {
        { .accept = NULL, .shown = "German" },
        { .accept = "en", .shown = "German" },
        { .accept = "fr", .shown = "French 2" },
        { .accept = "de", .shown = "German" },
        { .accept = "it, fr;q=0.1", .shown = "French 2" },
    };
    const struct eas_template *template = compile(*state, "<html lang=de>German" REQUIRED);
    size_t i;

    template = add(*state, template, "<html lang=fr>French 1" REQUIRED);
    template = add(*state, template, "<html lang=FR>French 2" REQUIRED);
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_page page = plain;

        page.variant = eas_page_choose(template, rows[i].accept);
        assert_has(eas_page_render(*state, template, &page), rows[i].shown);
    }
}

static void test_limits_of_sessions(void **state)
{
    static const struct eas_session_limits limits[] = {
        { apr_time_from_sec(900), apr_time_from_sec(8 * 3600) },
        { apr_time_from_sec(90 * 60), apr_time_from_sec(30 * 86400) },
    };
    struct eas_page page = plain;

    page.limits = limits;
    assert_has(render(*state, NULL, &page),
               "after 15 min without use, and after 8 h at the latest.");
    assert_has(render(*state, NULL, &page), "for 90 min without use, and 720 h at most.");
}

/* All texts in all languages: plain text to a browser, and no placeholder left. */
static void test_builtin_pages_of_all_languages(void **state)
{
    const struct eas_template *template = compile(*state, NULL);
    struct eas_page page = plain;
    int n = languages(*state)->nelts;

    assert_true(n >= 11);
    for (page.variant = 0; page.variant < n; page.variant++) {
        for (page.reason = EAS_PAGE_NONE; page.reason <= EAS_PAGE_FORBIDDEN; page.reason++) {
            const char *html = eas_page_render(*state, template, &page);

            assert_has(html,
                       apr_pstrcat(*state, "<html lang=\"",
                                   eas_page_language(template, page.variant), "\" dir=\"", NULL));
            assert_int_equal(count(html, "{{"), 0);
            assert_int_equal(count(html, "<main>"), 1);
        }
    }
}

/* The focus is where the user types next. */
static void test_focus(void **state)
{
    struct eas_page page = plain;

    assert_string_equal(render(*state, "{{focus_username}}|{{focus_password}}|" REQUIRED, &page),
                        "|autofocus|/eas-kcd/logint0ken/owa/");
    page.username = "";
    assert_string_equal(render(*state, "{{focus_username}}|{{focus_password}}|" REQUIRED, &page),
                        "autofocus||/eas-kcd/logint0ken/owa/");
}

static void test_site(void **state)
{
    static const struct eas_realms realms = { .default_realm = "R" };
    static const struct eas_site site = {
        .organization = "A & <b>B</b>", .logo = "/eas-kcd/logo", .help = "/help", .realms = &realms
    };
    struct eas_page page = plain;
    const char *html;

    assert_has(render(*state, NULL, &page), "<p class=\"brand\"></p>");
    assert_has(render(*state, NULL, &page), "<p class=\"links\"></p>");
    page.site = &site;
    html = render(*state, NULL, &page);
    assert_has(html, "<img src=\"/eas-kcd/logo\" alt=\"\">A &amp; &lt;b&gt;B&lt;/b&gt;</p>");
    assert_has(html, "<a href=\"/help\">Help</a></p>");
    assert_has(html, "class=\"hint\">As at your computer at work<");
    page.reason = EAS_PAGE_CONFIRM_LOGOUT;
    html = render(*state, NULL, &page);
    assert_has(html, "A &amp; &lt;b&gt;B&lt;/b&gt;");
    assert_has(html, "<a class=\"button\" href=\"/owa/\">Stay signed in</a>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_placeholders),
        POOL_TEST(test_text_around_placeholders),
        POOL_TEST(test_unknown_placeholders),
        POOL_TEST(test_unclosed_placeholders),
        POOL_TEST(test_missing_placeholders),
        POOL_TEST(test_other_encodings),
        POOL_TEST(test_template_outlives_its_text),
        POOL_TEST(test_values_are_escaped_once_and_not_expanded),
        POOL_TEST(test_values_in_the_builtin_page),
        POOL_TEST(test_values_that_are_missing),
        POOL_TEST(test_every_character_of_a_value),
        POOL_TEST(test_long_values),
        POOL_TEST(test_reasons),
        POOL_TEST(test_builtin_page),
        POOL_TEST(test_sign_out_page),
        POOL_TEST(test_escape_ascii),
        POOL_TEST(test_refusal),
        POOL_TEST(test_change),
        POOL_TEST(test_reasons_of_refusals),
        POOL_TEST(test_values_in_a_refusal),
        POOL_TEST(test_csp_has_the_hash_of_the_style),
        POOL_TEST(test_style_placeholder),
        POOL_TEST(test_language_of_a_page),
        POOL_TEST(test_pages_of_several_languages),
        POOL_TEST(test_limits_of_sessions),
        POOL_TEST(test_builtin_pages_of_all_languages),
        POOL_TEST(test_focus),
        POOL_TEST(test_site),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
