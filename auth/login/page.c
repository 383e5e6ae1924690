/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page.c - login page and pages of refusals: HTML templates */

#include "auth/login/page.h"
#include "auth/base/utf8.h"
#include "auth/login/accept_language.h"
#include "auth/login/escape.h"
#include "auth/login/language.h"
#include "auth/login/page_builtin.h"
#include "auth/login/page_html.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <string.h>

enum placeholder {
    ACTION,
    TITLE,
    USERNAME,
    DESTINATION,
    TOKEN,
    MESSAGE,
    REASON,
    CHECKED_PUBLIC,
    CHECKED_PRIVATE,
    STYLE,
    LANG,
    DIR,
    NAME_HINT,
    FOCUS_USERNAME,
    FOCUS_PASSWORD,
    LOGO,
    ORGANIZATION,
    LINKS,
    SIGNED_IN,
    WAY_OUT,
    DETAIL,
    LATER,
    TRUSTED,
    PUBLIC_IDLE,
    PUBLIC_MAX,
    PRIVATE_IDLE,
    PRIVATE_MAX,
    PLACEHOLDERS /* their number; also means none */
};

static const struct {
    const char *name;
    bool required;
} placeholders[PLACEHOLDERS] = { [ACTION] = { "action", true },
                                 [TITLE] = { "title", false },
                                 [USERNAME] = { "username", false },
                                 [DESTINATION] = { "destination", true },
                                 [TOKEN] = { "token", true },
                                 [MESSAGE] = { "message", false },
                                 [REASON] = { "reason", false },
                                 [CHECKED_PUBLIC] = { "checked_public", false },
                                 [CHECKED_PRIVATE] = { "checked_private", false },
                                 [STYLE] = { "style", false },
                                 [LANG] = { "lang", false },
                                 [DIR] = { "dir", false },
                                 [NAME_HINT] = { "name_hint", false },
                                 [FOCUS_USERNAME] = { "focus_username", false },
                                 [FOCUS_PASSWORD] = { "focus_password", false },
                                 [LOGO] = { "logo", false },
                                 [ORGANIZATION] = { "organization", false },
                                 [LINKS] = { "links", false },
                                 [SIGNED_IN] = { "signed_in", false },
                                 [WAY_OUT] = { "way_out", false },
                                 [DETAIL] = { "detail", false },
                                 [LATER] = { "later", false },
                                 [TRUSTED] = { "trusted", false },
                                 [PUBLIC_IDLE] = { "public_idle", false },
                                 [PUBLIC_MAX] = { "public_max", false },
                                 [PRIVATE_IDLE] = { "private_idle", false },
                                 [PRIVATE_MAX] = { "private_max", false } };

/* The prefix of placeholders that are texts of the language. */
#define TEXT "text."

/* EAS_TEXTS: no message. */
static const struct {
    const char *name;
    enum eas_text message;
} reasons[] = {
    [EAS_PAGE_NONE] = { "", EAS_TEXTS },
    [EAS_PAGE_WRONG] = { "wrong", EAS_TEXT_WRONG },
    [EAS_PAGE_EXPIRED_PASSWORD] = { "expired", EAS_TEXT_EXPIRED },
    [EAS_PAGE_TIMED_OUT] = { "timed-out", EAS_TEXT_TIMED_OUT },
    [EAS_PAGE_NOT_TAKEN] = { "not-taken", EAS_TEXT_NOT_TAKEN },
    [EAS_PAGE_SIGNED_OUT] = { "signed-out", EAS_TEXT_SIGNED_OUT },
    [EAS_PAGE_OTHER_SESSION] = { "other-session", EAS_TEXT_OTHER_SESSION },
    [EAS_PAGE_TRY_LATER] = { "try-later", EAS_TEXT_TRY_LATER },
    [EAS_PAGE_CONFIRM_LOGOUT] = { "confirm-logout", EAS_TEXT_CONFIRM_LOGOUT },
    [EAS_PAGE_BAD_REQUEST] = { "bad-request", EAS_TEXT_BAD_REQUEST },
    [EAS_PAGE_BAD_ORIGIN] = { "bad-request", EAS_TEXT_BAD_ORIGIN },
    [EAS_PAGE_FORBIDDEN] = { "forbidden", EAS_TEXT_FORBIDDEN },
    [EAS_PAGE_NOT_ALLOWED] = { "forbidden", EAS_TEXT_NOT_ALLOWED },
    [EAS_PAGE_NEEDS_TLS] = { "forbidden", EAS_TEXT_NEEDS_TLS },
    [EAS_PAGE_UNAVAILABLE] = { "unavailable", EAS_TEXT_UNAVAILABLE },
    [EAS_PAGE_CHANGED] = { "changed", EAS_TEXT_PASSWORD_CHANGED },
    [EAS_PAGE_EXPIRES] = { "expires", EAS_TEXT_PASSWORD_EXPIRES },
    [EAS_PAGE_DIFFER] = { "wrong", EAS_TEXT_PASSWORDS_DIFFER },
    [EAS_PAGE_NOT_ACCEPTED] = { "wrong", EAS_TEXT_PASSWORD_NOT_ACCEPTED },
};

/* Text, and the placeholder behind it (the last part has none). */
struct part {
    const char *text;
    apr_size_t len;
    enum placeholder placeholder;
};

/* A page in one language: arrays of struct part. */
struct variant {
    const char *tag; /* as the page has it: "de-AT" */
    const struct eas_language *language;
    const apr_array_header_t *log_on;
    const apr_array_header_t *sign_out;
    const apr_array_header_t *refusal;
    const apr_array_header_t *change;
};

struct eas_template {
    apr_array_header_t *variants; /* of struct variant */
    apr_array_header_t *tags;     /* of their tags, as const char * */
};

static enum placeholder placeholder_named(const char *name, apr_size_t len)
{
    int i;

    for (i = 0; i < PLACEHOLDERS; i++) {
        if (strlen(placeholders[i].name) == len && memcmp(placeholders[i].name, name, len) == 0) {
            break;
        }
    }
    return (enum placeholder)i;
}

static int line_of(const char *html, const char *at)
{
    int line = 1;

    for (; html < at; html++) {
        line += *html == '\n';
    }
    return line;
}

static enum eas_rc parse(apr_pool_t *pool, const struct eas_language *language, const char *html,
                         apr_array_header_t *parts, struct eas_err *err);

/* Adds the parts of a text, which has no {{text.}} itself (auth/login/language.h). */
static enum eas_rc parse_placeholder(apr_pool_t *pool, const struct eas_language *language,
                                     struct eas_bytes name, int line, apr_array_header_t *parts,
                                     struct eas_err *err)
{
    struct part *part = &APR_ARRAY_IDX(parts, parts->nelts - 1, struct part);
    apr_size_t prefix = strlen(TEXT);
    enum eas_text text = EAS_TEXTS;

    part->placeholder = placeholder_named((const char *)name.at, name.len);
    if (part->placeholder == PLACEHOLDERS && name.len > prefix
        && memcmp(name.at, TEXT, prefix) == 0) {
        text = eas_language_text_named((const char *)name.at + prefix, name.len - prefix);
    }
    if (text != EAS_TEXTS) {
        return parse(pool, language, eas_escape_html(pool, language->texts[text]), parts, err);
    }
    if (part->placeholder == PLACEHOLDERS) {
        return eas_fail(err, EAS_MISCONFIGURED, 1130,
                        "line %d of the login page: there is no placeholder {{%.*s}}", line,
                        (int)name.len, (const char *)name.at);
    }
    return EAS_OK;
}

/* The parts refer to html. */
static enum eas_rc parse(apr_pool_t *pool, const struct eas_language *language, const char *html,
                         apr_array_header_t *parts, struct eas_err *err)
{
    const char *text = html, *open;
    enum eas_rc rc;

    while ((open = strstr(text, "{{")) != NULL) {
        const char *name = open + 2, *close = strstr(name, "}}");
        apr_size_t len = close != NULL ? (apr_size_t)(close - name) : 0;

        /* A "}}" on another line may belong to a style sheet. */
        if (close == NULL || memchr(name, '\n', len) != NULL) {
            return eas_fail(err, EAS_MISCONFIGURED, 1131,
                            "line %d of the login page: {{%.*s is not closed by }}",
                            line_of(html, open), (int)strcspn(name, " \t\r\n<>\"'}"), name);
        }
        *(struct part *)apr_array_push(parts) =
            (struct part){ text, (apr_size_t)(open - text), PLACEHOLDERS };
        rc = parse_placeholder(pool, language, eas_bytes_make(name, len), line_of(html, open),
                               parts, err);
        if (rc != EAS_OK) {
            return rc;
        }
        text = close + 2;
    }
    *(struct part *)apr_array_push(parts) = (struct part){ text, strlen(text), PLACEHOLDERS };
    return EAS_OK;
}

static enum eas_rc check_required(const apr_array_header_t *parts, struct eas_err *err)
{
    bool found[PLACEHOLDERS + 1] = { false };
    int i;

    for (i = 0; i < parts->nelts; i++) {
        found[APR_ARRAY_IDX(parts, i, struct part).placeholder] = true;
    }
    for (i = 0; i < PLACEHOLDERS; i++) {
        if (placeholders[i].required && !found[i]) {
            return eas_fail(err, EAS_MISCONFIGURED, 1132,
                            "the login page lacks the placeholder {{%s}}", placeholders[i].name);
        }
    }
    return EAS_OK;
}

/* The `lang` of <html>, with or without quotes; NULL: it has none. */
static const char *declared_language(apr_pool_t *pool, const char *html)
{
    const char *at, *end;

    for (at = strchr(html, '<'); at != NULL; at = strchr(at + 1, '<')) {
        if (apr_cstr_casecmpn(at, "<html", 5) == 0) {
            break;
        }
    }
    end = at != NULL ? strchr(at, '>') : NULL;
    for (; end != NULL && at < end; at++) {
        if (strchr(" \t\r\n", *at) != NULL && apr_cstr_casecmpn(at + 1, "lang=", 5) == 0) {
            at += strlen(" lang=");
            at += *at == '"' || *at == '\'';
            return apr_pstrmemdup(pool, at, strcspn(at, "\"' \t\r\n>"));
        }
    }
    return NULL;
}

static enum eas_rc add_variant(apr_pool_t *pool, struct eas_template *template,
                               const struct eas_language *language, const char *tag,
                               const char *html, struct eas_err *err)
{
    apr_array_header_t *log_on = apr_array_make(pool, 64, sizeof(struct part)),
                       *sign_out = apr_array_make(pool, 32, sizeof(struct part)),
                       *refusal = apr_array_make(pool, 32, sizeof(struct part)),
                       *change = apr_array_make(pool, 64, sizeof(struct part));
    enum eas_rc rc = parse(pool, language, html, log_on, err);
    int i;

    if (rc == EAS_OK) {
        rc = check_required(log_on, err);
    }
    if (rc == EAS_OK) {
        rc = parse(pool, language, eas_page_builtin_sign_out, sign_out, err);
    }
    if (rc == EAS_OK) {
        rc = parse(pool, language, eas_page_builtin_refusal, refusal, err);
    }
    if (rc == EAS_OK) {
        rc = parse(pool, language, eas_page_builtin_change, change, err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    for (i = 0; i < template->tags->nelts; i++) {
        if (apr_cstr_casecmp(APR_ARRAY_IDX(template->tags, i, const char *), tag) == 0) {
            break;
        }
    }
    if (i == template->tags->nelts) {
        APR_ARRAY_PUSH(template->tags, const char *) = tag;
        apr_array_push(template->variants);
    }
    APR_ARRAY_IDX(template->variants, i, struct variant) =
        (struct variant){ tag, language, log_on, sign_out, refusal, change };
    return EAS_OK;
}

static enum eas_rc add_variants(apr_pool_t *pool, struct eas_template *template,
                                const apr_array_header_t *languages, const char *html,
                                struct eas_err *err)
{
    const char *tag = declared_language(pool, html);
    enum eas_rc rc = EAS_OK;
    int i;

    if (tag == NULL || strcmp(tag, "{{lang}}") != 0) {
        tag = tag != NULL && eas_accept_language_is_tag(tag) ? tag : "en";
        i = eas_language_find(languages, tag);
        return add_variant(pool, template, &APR_ARRAY_IDX(languages, i, struct eas_language), tag,
                           html, err);
    }
    for (i = 0; rc == EAS_OK && i < languages->nelts; i++) {
        const struct eas_language *language = &APR_ARRAY_IDX(languages, i, struct eas_language);

        rc = add_variant(pool, template, language, language->tag, html, err);
    }
    return rc;
}

enum eas_rc eas_page_compile(apr_pool_t *pool, const apr_array_header_t *languages,
                             const char *html, apr_size_t len, struct eas_template **template,
                             struct eas_err *err)
{
    struct eas_template *added = *template;
    enum eas_rc rc;

    if (html == NULL) {
        html = eas_page_builtin_log_on;
        len = strlen(html);
    }
    if (memchr(html, '\0', len) != NULL || !eas_utf8_is_valid(html, len)) {
        return eas_fail(err, EAS_MISCONFIGURED, 1133,
                        "the login page is not UTF-8 text; save it in that encoding");
    }
    if (added == NULL) {
        added = apr_palloc(pool, sizeof(*added));
        added->variants = apr_array_make(pool, languages->nelts, sizeof(struct variant));
        added->tags = apr_array_make(pool, languages->nelts, sizeof(const char *));
    }
    rc = add_variants(pool, added, languages, apr_pstrmemdup(pool, html, len), err);
    if (rc == EAS_OK) {
        *template = added;
    }
    return rc;
}

int eas_page_choose(const struct eas_template *template, const char *accept_language)
{
    return eas_accept_language_choose(accept_language, (const char *const *)template->tags->elts,
                                      template->tags->nelts);
}

const char *eas_page_language(const struct eas_template *template, int variant)
{
    return APR_ARRAY_IDX(template->tags, variant, const char *);
}

const char *eas_page_text(const struct eas_template *template, int variant, enum eas_text text)
{
    return APR_ARRAY_IDX(template->variants, variant, struct variant).language->texts[text];
}

static bool knows_name(const struct eas_page *page)
{
    return page->username != NULL && *page->username != '\0';
}

static void set_limits(apr_pool_t *pool, const struct eas_language *language,
                       const struct eas_session_limits *limits, const char **values)
{
    static const enum placeholder idle[] = { PUBLIC_IDLE, PRIVATE_IDLE },
                                  max[] = { PUBLIC_MAX, PRIVATE_MAX };
    int i;

    for (i = 0; i < 2; i++) {
        values[idle[i]] = values[max[i]] = "";
        if (limits != NULL) {
            values[idle[i]] =
                eas_escape_html(pool, eas_language_duration(pool, language, limits[i].idle));
            values[max[i]] =
                eas_escape_html(pool, eas_language_duration(pool, language, limits[i].max));
        }
    }
}

/* Of refusals, and of the form for a new password. */
static void set_html(apr_pool_t *pool, const struct eas_language *language,
                     const struct eas_page *page, const char **values)
{
    const char *const *texts = language->texts;
    const char *label =
        texts[page->reason == EAS_PAGE_NOT_ALLOWED ? EAS_TEXT_OTHER_ACCOUNT : EAS_TEXT_TRY_AGAIN];
    bool refuses = page->kind == EAS_PAGE_REFUSAL;

    values[SIGNED_IN] =
        refuses && knows_name(page) ? eas_page_html_signed_in(pool, language, page->username) : "";
    values[WAY_OUT] = refuses && page->logout_action != NULL
                          ? eas_page_html_button(pool, page->logout_action, page->token, label)
                      : refuses && page->action != NULL
                          ? eas_page_html_link(pool, "button go", page->action, label)
                          : "";
    values[DETAIL] = page->detail != NULL ? eas_page_html_detail(pool, page->detail) : "";
    values[LATER] =
        page->reason == EAS_PAGE_EXPIRES
            ? eas_page_html_link(pool, "button", page->destination, texts[EAS_TEXT_LATER])
            : "";
}

/* A page that lets users change an expired password says something else of it. */
static const char *message_of(apr_pool_t *pool, const struct eas_language *language,
                              const struct eas_page *page)
{
    enum eas_text message =
        page->kind == EAS_PAGE_CHANGE && page->reason == EAS_PAGE_EXPIRED_PASSWORD
            ? EAS_TEXT_MUST_CHANGE
            : reasons[page->reason].message;

    return message == EAS_TEXTS
               ? ""
               : eas_language_fill(pool, eas_escape_html(pool, language->texts[message]),
                                   "{{days}}", apr_itoa(pool, page->days));
}

static const apr_array_header_t *parts_of(const struct variant *variant,
                                          const struct eas_page *page)
{
    return page->kind == EAS_PAGE_REFUSAL            ? variant->refusal
           : page->kind == EAS_PAGE_CHANGE           ? variant->change
           : page->reason == EAS_PAGE_CONFIRM_LOGOUT ? variant->sign_out
                                                     : variant->log_on;
}

const char *eas_page_render(apr_pool_t *pool, const struct eas_template *template,
                            const struct eas_page *page)
{
    bool signs_out = page->reason == EAS_PAGE_CONFIRM_LOGOUT;
    const struct variant *variant =
        &APR_ARRAY_IDX(template->variants, page->variant, struct variant);
    const apr_array_header_t *parts = parts_of(variant, page);
    apr_array_header_t *pieces = apr_array_make(pool, 2 * parts->nelts, sizeof(struct iovec));
    const char *values[PLACEHOLDERS + 1] = {
        [ACTION] = eas_escape_html(pool, signs_out ? page->logout_action : page->action),
        [TITLE] = eas_escape_html(pool, page->title),
        [USERNAME] = eas_escape_html(pool, page->username),
        [DESTINATION] = eas_escape_html(pool, page->destination),
        [TOKEN] = eas_escape_html(pool, page->token),
        [MESSAGE] = message_of(pool, variant->language, page),
        [REASON] = reasons[page->reason].name,
        [CHECKED_PUBLIC] = page->trusted ? "" : "checked",
        [CHECKED_PRIVATE] = page->trusted ? "checked" : "",
        [STYLE] = eas_page_builtin_style,
        [LANG] = variant->tag,
        [DIR] = variant->language->texts[EAS_TEXT_DIRECTION],
        [NAME_HINT] = eas_site_name_hint(pool, page->site, variant->language),
        [FOCUS_USERNAME] = knows_name(page) ? "" : "autofocus",
        [FOCUS_PASSWORD] = knows_name(page) ? "autofocus" : "",
        [LOGO] = eas_site_logo(pool, page->site),
        [ORGANIZATION] =
            eas_escape_html(pool, page->site != NULL ? page->site->organization : NULL),
        [LINKS] = eas_site_links(pool, page->site, variant->language),
        [TRUSTED] = page->trusted ? "4" : "0",
        [PLACEHOLDERS] = "",
    };
    int i;

    set_limits(pool, variant->language, page->limits, values);
    set_html(pool, variant->language, page, values);
    for (i = 0; i < parts->nelts; i++) {
        const struct part *part = &APR_ARRAY_IDX(parts, i, struct part);
        const char *value = values[part->placeholder];

        APR_ARRAY_PUSH(pieces, struct iovec) = (struct iovec){ (void *)part->text, part->len };
        APR_ARRAY_PUSH(pieces, struct iovec) = (struct iovec){ (void *)value, strlen(value) };
    }
    return apr_pstrcatv(pool, (struct iovec *)pieces->elts, (apr_size_t)pieces->nelts, NULL);
}

const char *eas_page_reason_name(enum eas_page_reason reason)
{
    return reasons[reason].name;
}

const char *eas_page_csp(void)
{
    /* form-action has https:, because it applies to the redirects after the log-on, too, and a
     * backend may redirect to another host. */
    return "default-src 'none'; style-src 'self' '" EAS_PAGE_STYLE_HASH "'; img-src 'self'; "
           "form-action 'self' https:; frame-ancestors 'none'; base-uri 'none'";
}
