/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_accept_language.c - unit tests of auth/login/accept_language */

#include "t/unit/unit.h"

#include "auth/login/accept_language.h"

#include <apr_strings.h>

static const char *const tags[] = { "en", "de", "fr", "pt", "pt-BR", "zh-TW", "he" };

static const char *chosen(const char *header)
{
    return tags[eas_accept_language_choose(header, tags, COUNT_OF(tags))];
}

static void test_choice(void **state)
{
    static const struct {
        const char *header;
        const char *tag;
    } rows[] = {
        { .header = NULL, .tag = "en" },
        { .header = "", .tag = "en" },
        { .header = "de", .tag = "de" },
        { .header = "DE", .tag = "de" },
        { .header = "de-AT", .tag = "de" },
        { .header = "de-Latn-AT-1901", .tag = "de" },
        { .header = "deu", .tag = "en" },
        { .header = "d", .tag = "en" },
        { .header = "-de", .tag = "en" },
        { .header = "xx, de", .tag = "de" },
        { .header = "xx", .tag = "en" },
        { .header = "pt-br", .tag = "pt-BR" },
        { .header = "pt-PT", .tag = "pt" },
        { .header = "zh", .tag = "zh-TW" },
        { .header = "zh-HK", .tag = "en" },
        { .header = "he-IL,he;q=0.9,en-US;q=0.8,en;q=0.7", .tag = "he" },
        { .header = "en;q=0.5, de;q=0.8, fr;q=0.7", .tag = "de" },
        { .header = "de, fr", .tag = "de" },
        { .header = "de;q=0.8,fr;q=0.8", .tag = "de" },
        { .header = "de;q=0, fr;q=0.1", .tag = "fr" },
        { .header = "de;q=0", .tag = "en" },
        { .header = "de;q=0.000", .tag = "en" },
        { .header = "*", .tag = "en" },
        { .header = "de;q=0.5, *", .tag = "en" },
        { .header = "de, *;q=0.5", .tag = "de" },
        { .header = "\t de \t;\tq=0.9 , fr;q=0.1 ", .tag = "de" },
        { .header = "fr;q=0.998,de;Q=0.999", .tag = "de" },
        { .header = "fr;q=0.1,de;q=1.000", .tag = "de" },
        { .header = ",,,de", .tag = "de" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(chosen(rows[i].header), rows[i].tag) != 0) {
            fail_msg("%s: %s", rows[i].header, chosen(rows[i].header));
        }
    }
}

/* A range with what is no weight does not count. */
static void test_weights_that_are_none(void **state)
{
    static const char *const rows[] = {
        "de;q=2",
        "de;q=1.001",
        "de;q=-1",
        "de;q=",
        "de;q",
        "de;",
        "de;q=.5",
        "de;q=x",
        "de;q=0x1",
        "de;q=1e3",
        "de;q=1 1",
        "de;q= 1",
        "de;p=1",
        "de q=1",
        "de=1",
        "d\xc3\xa9",
        "de;q=1;q=1",
        "de fr",
        "de;q=99999999999999999999",
        "de;q=\xff",
        "de_AT",
        "de/AT",
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(chosen(rows[i]), "en");
        assert_string_equal(chosen(apr_pstrcat(*state, rows[i], ", fr;q=0.001", NULL)), "fr");
    }
}

static const char *repeated(apr_pool_t *pool, const char *part, int n, const char *end)
{
    const char *text = "";

    while (n-- > 0) {
        text = apr_pstrcat(pool, text, part, NULL);
    }
    return apr_pstrcat(pool, text, end, NULL);
}

static void test_limits_of_the_header(void **state)
{
    assert_string_equal(chosen(repeated(*state, "x,", 31, "de")), "de");
    assert_string_equal(chosen(repeated(*state, "x,", 32, "de")), "en");
    assert_string_equal(chosen(repeated(*state, ",", 5000, "de")), "en");
    assert_string_equal(chosen(repeated(*state, " ", 1022, "de")), "de");
    assert_string_equal(chosen(repeated(*state, " ", 1024, "de")), "en");
    assert_string_equal(chosen(repeated(*state, "de-", 4000, "de")), "en");
    assert_string_equal(chosen(repeated(*state, "de;q=0.00000000", 1, "1")), "en");
    assert_string_equal(chosen("de-abcdefgh-abcdefgh-abcdefgh-abcde"), "de"); /* 35 octets */
    assert_string_equal(chosen("de-abcdefgh-abcdefgh-abcdefgh-abcdef"), "en");
}

static void test_no_tags(void **state)
{
    assert_int_equal(eas_accept_language_choose("de, *", NULL, 0), 0);
}

static void test_tags(void **state)
{
    static const char *const good[] = { "de", "pt-BR", "zh-Hant-TW", "es-419", "sr-Latn", "haw" };
    static const char *const bad[] = {
        "",        "d",      "de-",      "-de",       "de--AT",       "de_AT",     "4de",   "../de",
        "de/../x", "de.txt", "README.x", "languages", "de-abcdefghi", "d\xc3\xa9", "de-AT-"
    };
    size_t i;

    for (i = 0; i < COUNT_OF(good); i++) {
        assert_true(eas_accept_language_is_tag(good[i]));
    }
    for (i = 0; i < COUNT_OF(bad); i++) {
        if (eas_accept_language_is_tag(bad[i])) {
            fail_msg("%s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_choice),
        POOL_TEST(test_weights_that_are_none),
        POOL_TEST(test_limits_of_the_header),
        POOL_TEST(test_no_tags),
        POOL_TEST(test_tags),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
