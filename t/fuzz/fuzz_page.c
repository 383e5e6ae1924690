/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_page.c - fuzz target of auth/login/page: a template and its values */

#include "t/fuzz/fuzz.h"

#include "auth/base/utf8.h"
#include "auth/login/language.h"
#include "auth/login/page.h"

#include <apr_strings.h>

struct counts {
    size_t of[256]; /* by octet */
};

static struct counts count(const char *text)
{
    struct counts counts = { { 0 } };

    for (; *text != '\0'; text++) {
        counts.of[(unsigned char)*text]++;
    }
    return counts;
}

/* Values add no character that ends a text or an attribute of HTML. */
static void check_values(apr_pool_t *pool, const struct eas_template *template,
                         const struct eas_page *page)
{
    static const char special[] = "<>\"'`=";
    struct eas_page empty = { .kind = page->kind,
                              .trusted = page->trusted,
                              .reason = page->reason };
    struct counts with, without;
    const char *c;

    if (page->kind == EAS_PAGE_REFUSAL) { /* values that are missing have no elements */
        empty.username = "a";
        empty.action = empty.logout_action = "a";
    }
    with = count(eas_page_render(pool, template, page));
    without = count(eas_page_render(pool, template, &empty));

    for (c = special; *c != '\0'; c++) {
        check(with.of[(unsigned char)*c] == without.of[(unsigned char)*c]);
    }
}

/* A placeholder inside of a value stays a text. */
static void check_nested(apr_pool_t *pool, const struct eas_template *template)
{
    struct eas_page page = { .action = "{{style}}",
                             .destination = "{{title}}",
                             .token = "{{action}}",
                             .reason = EAS_PAGE_WRONG };
    const char *html = eas_page_render(pool, template, &page);

    check(strstr(html, "{{style}}") != NULL && strstr(html, "{{title}}") != NULL
          && strstr(html, "{{action}}") != NULL);
}

/* The text that a browser reads: entities are decoded. */
static const char *as_read(apr_pool_t *pool, const char *html)
{
    static const struct {
        const char *entity;
        char c;
    } entities[] = { { "&amp;", '&' },  { "&lt;", '<' },  { "&gt;", '>' }, { "&#34;", '"' },
                     { "&#39;", '\'' }, { "&#61;", '=' }, { "&#96;", '`' } };
    char *text = apr_palloc(pool, strlen(html) + 1), *at = text;
    size_t i;

    while (*html != '\0') {
        size_t len = 1;

        *at = *html;
        for (i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
            if (strncmp(html, entities[i].entity, strlen(entities[i].entity)) == 0) {
                len = strlen(entities[i].entity);
                *at = entities[i].c;
            }
        }
        html += len;
        at++;
    }
    *at = '\0';
    return text;
}

/* Texts around placeholders stay, and a browser reads the values that stand between them. */
static void check_made(apr_pool_t *pool, const apr_array_header_t *languages,
                       const struct eas_page *page, struct eas_bytes input)
{
    static const char plain[] = "ab<>\n\r \t\"'=}/.{-";
    static const char *const names[] = { "{{action}}", "{{token}}", "{{destination}}", "{{title}}",
                                         "{{username}}" };
    const char *values[] = { page->action, page->token, page->destination, page->title,
                             page->username };
    struct eas_page shown = *page;
    const char *html = "", *expected = "";
    struct eas_template *template = NULL;
    struct eas_err err;
    size_t i, n = input.len / 5 + 1, at;

    shown.reason = EAS_PAGE_NONE; /* the sign-out page has no template, and refusals have none */
    shown.kind = EAS_PAGE_FORM;
    for (i = 0; i < 5; i++) {
        struct eas_bytes part = fuzz_take(&input, n);
        char *text = apr_pcalloc(pool, part.len + 2);

        for (at = 0; part.len > 0; at++) {
            text[at] = plain[fuzz_octet(&part) % (sizeof(plain) - 1)];
            text[at] = at > 0 && text[at - 1] == '{' && text[at] == '{' ? '-' : text[at];
        }
        text[at] = '.';
        html = apr_pstrcat(pool, html, text, names[i], NULL);
        expected = apr_pstrcat(pool, expected, text, values[i], NULL);
    }
    check(eas_page_compile(pool, languages, html, strlen(html), &template, &err) == EAS_OK);
    check(strcmp(as_read(pool, eas_page_render(pool, template, &shown)), expected) == 0);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    unsigned how = fuzz_octet(&input);
    struct eas_page page = {
        .action = fuzz_text(pool, &input),
        .logout_action = "/logout",
        .title = fuzz_text(pool, &input),
        .username = fuzz_text(pool, &input),
        .destination = fuzz_text(pool, &input),
        .token = fuzz_text(pool, &input),
        .trusted = how % 2 == 1,
        .reason = (enum eas_page_reason)(how / 2 % (EAS_PAGE_UNAVAILABLE + 1)),
    };
    struct eas_template *template = NULL;
    const char *html = (how & 0x80) != 0 ? NULL : (const char *)input.at;
    struct eas_err err = { EAS_OK, 0, "" };
    apr_array_header_t *languages = NULL;
    enum eas_rc rc;

    if (page.reason >= EAS_PAGE_NOT_ALLOWED && *page.username != '\0') {
        page.kind = EAS_PAGE_REFUSAL;
    }
    check(eas_language_builtin(pool, &languages, &err) == EAS_OK);
    rc = eas_page_compile(pool, languages, html, input.len, &template, &err);
    check_made(pool, languages, &page, input);
    if (rc == EAS_OK) {
        check(html == NULL || eas_utf8_is_valid(html, input.len));
        check_values(pool, template, &page);
        check_nested(pool, template);
    }
    else {
        check(rc == EAS_MISCONFIGURED && err.tag >= 1130 && err.tag <= 1133 && template == NULL);
        check(html != NULL);
    }
}
