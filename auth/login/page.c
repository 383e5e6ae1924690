/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page.c - login page: HTML template */

#include "auth/login/page.h"
#include "auth/base/utf8.h"
#include "auth/login/page_builtin.h"

#include <apr_strings.h>
#include <apr_tables.h>
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
                                 [STYLE] = { "style", false } };

static const struct {
    const char *name;
    const char *message;
} reasons[] = {
    [EAS_PAGE_NONE] = { "", "" },
    [EAS_PAGE_WRONG] = { "wrong", "That user name and password did not work. Please check them "
                                  "and try again." },
    [EAS_PAGE_EXPIRED_PASSWORD] = { "expired", "Your password has expired or must be changed. "
                                               "Please change it first, then sign in here." },
    [EAS_PAGE_TIMED_OUT] = { "timed-out", "Your session has ended. Please sign in again." },
    [EAS_PAGE_NOT_TAKEN] = { "not-taken",
                             "You are not signed in, so your last input was not taken. "
                             "Please sign in and enter it again." },
    [EAS_PAGE_SIGNED_OUT] = { "signed-out", "You have signed out." },
    [EAS_PAGE_OTHER_SESSION] = { "other-session", "Another session was open here. It has ended; "
                                                  "please sign in again." },
    [EAS_PAGE_TRY_LATER] = { "try-later", "Signing in is not possible just now. Please try again "
                                          "in a minute." },
    [EAS_PAGE_CONFIRM_LOGOUT] = { "confirm-logout", "Do you want to sign out?" },
    [EAS_PAGE_BAD_REQUEST] = { "bad-request", "This form was incomplete or out of date. Please "
                                              "sign in again; cookies must be allowed." },
    [EAS_PAGE_BAD_ORIGIN] = { "bad-request", "This form was incomplete or out of date. Please open "
                                             "the usual address of this site, and sign in there." },
    [EAS_PAGE_FORBIDDEN] = { "forbidden", "You may not sign in here. Please ask your "
                                          "administrator." },
};

/* Text, and the placeholder behind it (the last part has none). */
struct part {
    const char *text;
    apr_size_t len;
    enum placeholder placeholder;
};

/* Arrays of struct part. */
struct eas_template {
    const apr_array_header_t *log_on;
    const apr_array_header_t *sign_out;
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

/* The parts refer to html. */
static enum eas_rc parse(apr_pool_t *pool, const char *html, apr_array_header_t **parts_out,
                         struct eas_err *err)
{
    apr_array_header_t *parts = apr_array_make(pool, 32, sizeof(struct part));
    const char *text = html, *open;

    while ((open = strstr(text, "{{")) != NULL) {
        struct part *part = apr_array_push(parts);
        const char *name = open + 2, *close = strstr(name, "}}");
        apr_size_t len = close != NULL ? (apr_size_t)(close - name) : 0;

        /* A "}}" on another line may belong to a style sheet. */
        if (close == NULL || memchr(name, '\n', len) != NULL) {
            return eas_fail(err, EAS_MISCONFIGURED, 1131,
                            "line %d of the login page: {{%.*s is not closed by }}",
                            line_of(html, open), (int)strcspn(name, " \t\r\n<>\"'}"), name);
        }
        part->text = text;
        part->len = (apr_size_t)(open - text);
        part->placeholder = placeholder_named(name, len);
        if (part->placeholder == PLACEHOLDERS) {
            return eas_fail(err, EAS_MISCONFIGURED, 1130,
                            "line %d of the login page: there is no placeholder {{%.*s}}",
                            line_of(html, open), (int)len, name);
        }
        text = close + 2;
    }
    *(struct part *)apr_array_push(parts) = (struct part){ text, strlen(text), PLACEHOLDERS };
    *parts_out = parts;
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

enum eas_rc eas_page_compile(apr_pool_t *pool, const char *html, apr_size_t len,
                             const struct eas_template **template_out, struct eas_err *err)
{
    struct eas_template *template = apr_palloc(pool, sizeof(*template));
    apr_array_header_t *log_on, *sign_out;
    enum eas_rc rc;

    if (html == NULL) {
        html = eas_page_builtin_log_on;
        len = strlen(html);
    }
    if (memchr(html, '\0', len) != NULL || !eas_utf8_is_valid(html, len)) {
        return eas_fail(err, EAS_MISCONFIGURED, 1133,
                        "the login page is not UTF-8 text; save it in that encoding");
    }
    rc = parse(pool, apr_pstrmemdup(pool, html, len), &log_on, err);
    if (rc == EAS_OK) {
        rc = check_required(log_on, err);
    }
    if (rc == EAS_OK) {
        rc = parse(pool, eas_page_builtin_sign_out, &sign_out, err);
    }
    if (rc == EAS_OK) {
        template->log_on = log_on;
        template->sign_out = sign_out;
        *template_out = template;
    }
    return rc;
}

/* NULL: no escape is needed.  '=' and '`' matter only in an attribute without quotes. */
static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&#34;";
    case '\'':
        return "&#39;";
    case '=':
        return "&#61;";
    case '`':
        return "&#96;";
    default:
        return NULL;
    }
}

static const char *escape(apr_pool_t *pool, const char *value)
{
    const char *p;
    char *escaped, *end;

    if (value == NULL) {
        return "";
    }
    escaped = end = apr_palloc(pool, 5 * strlen(value) + 1);
    for (p = value; *p != '\0'; p++) {
        const char *entity = entity_of(*p);

        if (entity != NULL) {
            end = apr_cpystrn(end, entity, 6);
        }
        else {
            *end++ = *p;
        }
    }
    *end = '\0';
    return escaped;
}

const char *eas_page_render(apr_pool_t *pool, const struct eas_template *template,
                            const struct eas_page *page)
{
    bool signs_out = page->reason == EAS_PAGE_CONFIRM_LOGOUT;
    const apr_array_header_t *parts = signs_out ? template->sign_out : template->log_on;
    apr_array_header_t *pieces = apr_array_make(pool, 2 * parts->nelts, sizeof(struct iovec));
    const char *values[PLACEHOLDERS + 1] = {
        [ACTION] = escape(pool, signs_out ? page->logout_action : page->action),
        [TITLE] = escape(pool, page->title),
        [USERNAME] = escape(pool, page->username),
        [DESTINATION] = escape(pool, page->destination),
        [TOKEN] = escape(pool, page->token),
        [MESSAGE] = reasons[page->reason].message,
        [REASON] = reasons[page->reason].name,
        [CHECKED_PUBLIC] = page->trusted ? "" : "checked",
        [CHECKED_PRIVATE] = page->trusted ? "checked" : "",
        [STYLE] = eas_page_builtin_style,
        [PLACEHOLDERS] = "",
    };
    int i;

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
