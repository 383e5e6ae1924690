/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_site.c - unit tests of auth/login/site and escape */

#include "t/unit/unit.h"

#include "auth/login/site.h"

#include <apr_strings.h>

static const struct eas_language *language_of(apr_pool_t *pool, const char *tag)
{
    apr_array_header_t *languages = NULL;
    struct eas_err err;

    assert_int_equal(eas_language_builtin(pool, &languages, &err), EAS_OK);
    return &APR_ARRAY_IDX(languages, eas_language_find(languages, tag), struct eas_language);
}

/* The hint for domains, which a blank separates. */
static const char *hint(apr_pool_t *pool, const char *domains, const char *tag)
{
    apr_array_header_t *list = apr_array_make(pool, 4, sizeof(struct eas_domain));
    struct eas_realms realms = { .default_realm = "R", .domains = list };
    struct eas_site site = { .realms = &realms };
    char *last, *name = apr_strtok(apr_pstrdup(pool, domains), " ", &last);

    for (; name != NULL; name = apr_strtok(NULL, " ", &last)) {
        APR_ARRAY_PUSH(list, struct eas_domain) = (struct eas_domain){ name, "R" };
    }
    return eas_site_name_hint(pool, &site, language_of(pool, tag));
}

#define NAME "<bdi dir=\"ltr\">name</bdi>"

static void test_name_hint(void **state)
{
    static const struct {
        const char *domains;
        const char *hint;
    } rows[] = {
        { .domains = "", .hint = "As at your computer at work" },
        { .domains = "CORP", .hint = "For example " NAME ", <bdi dir=\"ltr\">CORP\\name</bdi>" },
        { .domains = "corp.example",
          .hint = "For example " NAME ", <bdi dir=\"ltr\">name@corp.example</bdi>" },
        { .domains = "b.example CORP OTHER c.example",
          .hint = "For example " NAME ", <bdi dir=\"ltr\">CORP\\name</bdi>"
                  ", <bdi dir=\"ltr\">name@b.example</bdi>" },
        { .domains = "<b>\"",
          .hint = "For example " NAME ", <bdi dir=\"ltr\">&lt;b&gt;&#34;\\name</bdi>" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(hint(*state, rows[i].domains, "en"), rows[i].hint);
    }
    assert_string_equal(hint(*state, "CORP", "fr"),
                        "Par exemple <bdi dir=\"ltr\">nom</bdi>, <bdi dir=\"ltr\">CORP\\nom</bdi>");
}

static void test_names_of_another_provider(void **state)
{
    static const struct eas_site site = { .organization = "x" };

    assert_string_equal(eas_site_name_hint(*state, &site, language_of(*state, "en")), "");
}

static void test_logo_and_links(void **state)
{
    static const struct eas_site empty = { .organization = "x" }, full = {
        .logo = "/a\"b/logo", .help = "https://h.example/?a=1&b", .privacy = "mailto:p@example"
    };
    const struct eas_language *german = language_of(*state, "de");

    assert_string_equal(eas_site_logo(*state, NULL), "");
    assert_string_equal(eas_site_links(*state, NULL, german), "");
    assert_string_equal(eas_site_name_hint(*state, NULL, german), "");
    assert_string_equal(eas_site_logo(*state, &empty), "");
    assert_string_equal(eas_site_links(*state, &empty, german), "");
    assert_string_equal(eas_site_logo(*state, &full), "<img src=\"/a&#34;b/logo\" alt=\"\">");
    assert_string_equal(eas_site_links(*state, &full, german),
                        "<a href=\"https://h.example/?a&#61;1&amp;b\">Hilfe</a>"
                        "<a href=\"mailto:p@example\">Datenschutz</a>");
}

static void test_link_targets(void **state)
{
    static const char *const good[] = { "https://a", "HTTP://a", "mailto:a", "tel:+49", "/help" };
    static const char *const bad[] = { "",  "a",        "javascript:alert(1)", "data:,x",  "https:",
                                       "/", "https://", " https://a",          "file:///a" };
    size_t i;

    for (i = 0; i < COUNT_OF(good); i++) {
        assert_true(eas_site_is_link(good[i]));
    }
    for (i = 0; i < COUNT_OF(bad); i++) {
        if (eas_site_is_link(bad[i])) {
            fail_msg("%s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_name_hint),
        POOL_TEST(test_names_of_another_provider),
        POOL_TEST(test_logo_and_links),
        POOL_TEST(test_link_targets),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
