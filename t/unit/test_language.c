/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_language.c - unit tests of auth/login/language, and of build/languages */

#include "t/unit/unit.h"

#include "auth/base/utf8.h"
#include "auth/login/accept_language.h"
#include "auth/login/language.h"

#include <apr_strings.h>

static apr_array_header_t *builtin(apr_pool_t *pool)
{
    apr_array_header_t *languages = NULL;
    struct eas_err err = { EAS_OK, 0, "" };

    if (eas_language_builtin(pool, &languages, &err) != EAS_OK) {
        fail_msg("EAS%d %s", err.tag, err.text);
    }
    return languages;
}

static const struct eas_language *language_at(const apr_array_header_t *languages, int i)
{
    return &APR_ARRAY_IDX(languages, i, struct eas_language);
}

static const struct eas_language *language_of(const apr_array_header_t *languages, const char *tag)
{
    return language_at(languages, eas_language_find(languages, tag));
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

/* Each placeholder of the English text stands in the translation as often, and no other. */
static void assert_same_placeholders(apr_pool_t *pool, const char *text, const char *english)
{
    const char *open = english;

    if (count(text, "{{") != count(english, "{{") || count(text, "}}") != count(english, "}}")) {
        fail_msg("%s: %s", english, text);
    }
    while ((open = strstr(open, "{{")) != NULL) {
        const char *end = strstr(open, "}}") + 2;
        const char *name = apr_pstrmemdup(pool, open, (apr_size_t)(end - open));

        if (count(text, name) != count(english, name)) {
            fail_msg("%s: %s", english, text);
        }
        open = end;
    }
}

static void test_builtin_languages_are_whole(void **state)
{
    static const char *const tags[] = { "en", "de", "fr", "es", "it", "nl",
                                        "pl", "pt", "sv", "cs", "he" };
    const apr_array_header_t *languages = builtin(*state);
    const struct eas_language *english = language_at(languages, 0);
    size_t i;
    int at, text;

    assert_string_equal(english->tag, "en");
    for (i = 0; i < COUNT_OF(tags); i++) {
        assert_string_equal(language_of(languages, tags[i])->tag, tags[i]);
    }
    for (at = 0; at < languages->nelts; at++) {
        const struct eas_language *language = language_at(languages, at);

        assert_true(eas_accept_language_is_tag(language->tag));
        assert_int_equal(language->missing, 0);
        for (text = 0; text < EAS_TEXTS; text++) {
            assert_non_null(language->texts[text]);
            assert_null(strpbrk(language->texts[text], "<>&\"\t\r\n"));
            assert_same_placeholders(*state, language->texts[text], english->texts[text]);
        }
        /* No message is left in English. */
        assert_true(at == 0
                    || strcmp(language->texts[EAS_TEXT_WRONG], english->texts[EAS_TEXT_WRONG])
                           != 0);
    }
    assert_string_equal(language_of(languages, "he")->texts[EAS_TEXT_DIRECTION], "rtl");
    assert_string_equal(language_of(languages, "de")->texts[EAS_TEXT_DIRECTION], "ltr");
}

static void test_find(void **state)
{
    const apr_array_header_t *languages = builtin(*state);

    assert_string_equal(language_of(languages, "de-AT")->tag, "de");
    assert_string_equal(language_of(languages, "PT")->tag, "pt");
    assert_string_equal(language_of(languages, "xx")->tag, "en");
}

static enum eas_rc add(apr_pool_t *pool, apr_array_header_t *languages, const char *tag,
                       const char *file, struct eas_err *err)
{
    return eas_language_add(pool, languages, tag, eas_bytes_of_text(file), err);
}

static void test_text_replaced(void **state)
{
    apr_array_header_t *languages = builtin(*state);
    const struct eas_language *german;
    int n = languages->nelts;
    struct eas_err err;

    assert_int_equal(add(*state, languages, "DE",
                         "\xef\xbb\xbf# ours\r\n\r\nsign_in = Los <b>= & \r\nprivate_note=\tkurz",
                         &err),
                     EAS_OK);
    german = language_of(languages, "de");
    assert_int_equal(languages->nelts, n);
    assert_string_equal(german->texts[EAS_TEXT_SIGN_IN], "Los <b>= &");
    assert_string_equal(german->texts[EAS_TEXT_PRIVATE_NOTE], "kurz");
    assert_string_equal(german->texts[EAS_TEXT_SIGN_OUT], "Abmelden");
    assert_int_equal(german->missing, 0);
}

static void test_language_added(void **state)
{
    apr_array_header_t *languages = builtin(*state);
    const struct eas_language *added;
    struct eas_err err;

    assert_int_equal(add(*state, languages, "eo", "sign_in = Ensaluti\n", &err), EAS_OK);
    added = language_of(languages, "eo");
    assert_string_equal(added->tag, "eo");
    assert_string_equal(added->texts[EAS_TEXT_SIGN_IN], "Ensaluti");
    assert_string_equal(added->texts[EAS_TEXT_SIGN_OUT], "Sign out");
    assert_int_equal(added->missing, EAS_TEXTS - 1);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *file;
        int tag;
        const char *text;
    } rows[] = {
        { .file = "sign_in", .tag = 1164, .text = "line 1 of language eo" },
        { .file = "\n# c\n= x", .tag = 1161, .text = "line 3" },
        { .file = "sign_in =", .tag = 1164, .text = "sign_in" },
        { .file = "sign_in = \t", .tag = 1164, .text = "sign_in" },
        { .file = "sign_inn = x", .tag = 1161, .text = "no text sign_inn" },
        { .file = "Sign_in = x", .tag = 1161, .text = "no text Sign_in" },
        { .file = " sign_in = x", .tag = 1161, .text = "no text  sign_in" },
        { .file = "sign_in = {{token}}", .tag = 1162, .text = "line 1" },
        { .file = "sign_in = {{", .tag = 1162, .text = "line 1" },
        { .file = "sign_in = {{text.sign_in}}", .tag = 1162, .text = "line 1" },
        { .file = "public_note = {{public_max}} {{private_max}}", .tag = 1162, .text = "line 1" },
        { .file = "minutes = {{m}}", .tag = 1162, .text = "{{n}} min" },
        { .file = "direction = up", .tag = 1162, .text = "ltr or rtl" },
        { .file = "sign_in = \xe9", .tag = 1163, .text = "UTF-8" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_err err = { EAS_OK, 0, "" };

        if (add(*state, builtin(*state), "eo", rows[i].file, &err) != EAS_MISCONFIGURED
            || err.tag != rows[i].tag || strstr(err.text, rows[i].text) == NULL) {
            fail_msg("%s: EAS%d %s", rows[i].file, err.tag, err.text);
        }
    }
}

static void test_durations(void **state)
{
    static const struct {
        int seconds;
        const char *english;
        const char *german;
    } rows[] = {
        { .seconds = 1, .english = "1 s", .german = "1 s" },
        { .seconds = 119, .english = "119 s", .german = "119 s" },
        { .seconds = 120, .english = "2 min", .german = "2 min" },
        { .seconds = 900, .english = "15 min", .german = "15 min" },
        { .seconds = 3600, .english = "1 h", .german = "1 h" },
        { .seconds = 5400, .english = "90 min", .german = "90 min" },
        { .seconds = 10 * 3600 + 1, .english = "10 h", .german = "10 h" },
        { .seconds = 30 * 86400, .english = "720 h", .german = "720 h" },
    };
    const apr_array_header_t *languages = builtin(*state);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        apr_interval_time_t duration = apr_time_from_sec(rows[i].seconds);

        assert_string_equal(eas_language_duration(*state, language_of(languages, "en"), duration),
                            rows[i].english);
        assert_string_equal(eas_language_duration(*state, language_of(languages, "de"), duration),
                            rows[i].german);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_builtin_languages_are_whole),
        POOL_TEST(test_find),
        POOL_TEST(test_text_replaced),
        POOL_TEST(test_language_added),
        POOL_TEST(test_bad_files),
        POOL_TEST(test_durations),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
