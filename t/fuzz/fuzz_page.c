/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_page.c - fuzz target of auth/login/page: a template and its values */

#include "t/fuzz/fuzz.h"

#include "auth/base/utf8.h"
#include "auth/login/page.h"

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
    struct eas_page empty = { .trusted = page->trusted, .reason = page->reason };
    struct counts with = count(eas_page_render(pool, template, page));
    struct counts without = count(eas_page_render(pool, template, &empty));
    const char *c;

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
        .reason = (enum eas_page_reason)(how / 2 % (EAS_PAGE_BAD_REQUEST + 1)),
    };
    const struct eas_template *template = NULL;
    const char *html = (how & 0x80) != 0 ? NULL : (const char *)input.at;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_page_compile(pool, html, input.len, &template, &err);

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
