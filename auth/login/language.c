/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/language.c - languages of the log-on page, and their texts */

#include "auth/login/language.h"
#include "auth/base/utf8.h"
#include "auth/login/accept_language.h"

#include <apr_cstr.h>
#include <apr_strings.h>

static const char *const names[EAS_TEXTS] = {
#define EAS_TEXT(id, name) [EAS_TEXT_##id] = (name),
#include "auth/login/texts.def"
#undef EAS_TEXT
};

/* Made of build/languages: a language is its tag, its lines, and NULL; another NULL is the end. */
static const char *const builtin[] = {
#include "auth/login/languages.inc"
    NULL
};

enum eas_text eas_language_text_named(const char *name, apr_size_t len)
{
    int i;

    for (i = 0; i < EAS_TEXTS; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            break;
        }
    }
    return (enum eas_text)i;
}

int eas_language_find(const apr_array_header_t *languages, const char *tag)
{
    const char *tags[128];
    int i;

    for (i = 0; i < languages->nelts && i < 128; i++) {
        tags[i] = APR_ARRAY_IDX(languages, i, struct eas_language).tag;
    }
    return eas_accept_language_choose(tag, tags, i);
}

/* Whether each {{placeholder}} of the text stands in the English one, too; NULL allows any. */
static bool is_allowed(apr_pool_t *pool, const char *text, enum eas_text at, const char *english)
{
    const char *open = text, *close;

    if (at == EAS_TEXT_DIRECTION) {
        return strcmp(text, "ltr") == 0 || strcmp(text, "rtl") == 0;
    }
    while (english != NULL && (open = strstr(open, "{{")) != NULL) {
        close = strstr(open, "}}");
        if (close == NULL
            || strstr(english, apr_pstrmemdup(pool, open, (apr_size_t)(close + 2 - open)))
                   == NULL) {
            return false;
        }
        open = close + 2;
    }
    return true;
}

/* The line is a copy that may be cut. */
static enum eas_rc read_line(apr_pool_t *pool, struct eas_language *language,
                             const struct eas_language *english, char *line, int number,
                             struct eas_err *err)
{
    char *equals = strchr(line, '='), *text = equals != NULL ? equals + 1 : line;
    const char *allowed = NULL;
    enum eas_text at;

    while (equals != NULL && equals > line && (equals[-1] == ' ' || equals[-1] == '\t')) {
        equals--;
    }
    text += strspn(text, " \t");
    if (equals == NULL || *text == '\0') {
        return eas_fail(err, EAS_MISCONFIGURED, 1164,
                        "line %d of language %s is not `name = text`: %s", number, language->tag,
                        line);
    }
    at = eas_language_text_named(line, (apr_size_t)(equals - line));
    if (at == EAS_TEXTS) {
        return eas_fail(err, EAS_MISCONFIGURED, 1161,
                        "line %d of language %s: the log-on page has no text %.*s", number,
                        language->tag, (int)(equals - line), line);
    }
    if (english != NULL) {
        allowed = at == EAS_TEXT_DIRECTION ? "ltr or rtl" : english->texts[at];
    }
    if (!is_allowed(pool, text, at, allowed)) {
        return eas_fail(err, EAS_MISCONFIGURED, 1162,
                        "line %d of language %s: this text allows %s, and no other placeholder: %s",
                        number, language->tag, allowed, line);
    }
    language->texts[at] = text;
    return EAS_OK;
}

static enum eas_rc read_lines(apr_pool_t *pool, struct eas_language *language,
                              const struct eas_language *english, char *file, struct eas_err *err)
{
    enum eas_rc rc = EAS_OK;
    int number = 0;
    char *line = file, *next;

    for (; rc == EAS_OK && line != NULL; line = next) {
        apr_size_t len = strcspn(line, "\n");

        next = line[len] == '\n' ? line + len + 1 : NULL;
        while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL) {
            len--;
        }
        line[len] = '\0';
        number++;
        if (len > 0 && *line != '#') {
            rc = read_line(pool, language, english, line, number, err);
        }
    }
    return rc;
}

/* An entry of its own for a new tag. */
static struct eas_language *language_for(apr_pool_t *pool, apr_array_header_t *languages,
                                         const char *tag)
{
    struct eas_language *language;
    int i;

    for (i = 0; i < languages->nelts; i++) {
        language = &APR_ARRAY_IDX(languages, i, struct eas_language);
        if (apr_cstr_casecmp(language->tag, tag) == 0) {
            return language;
        }
    }
    language = apr_array_push(languages);
    *language = (struct eas_language){ .tag = apr_pstrdup(pool, tag) };
    return language;
}

enum eas_rc eas_language_add(apr_pool_t *pool, apr_array_header_t *languages, const char *tag,
                             struct eas_bytes file, struct eas_err *err)
{
    struct eas_language *language = language_for(pool, languages, tag);
    const struct eas_language *english = languages->nelts > 1 || language->texts[0] != NULL
                                             ? &APR_ARRAY_IDX(languages, 0, struct eas_language)
                                             : NULL;
    bool has_mark = file.len >= 3 && memcmp(file.at, "\xef\xbb\xbf", 3) == 0;
    enum eas_rc rc;
    int i;

    if (memchr(file.at, '\0', file.len) != NULL
        || !eas_utf8_is_valid((const char *)file.at, file.len)) {
        return eas_fail(err, EAS_MISCONFIGURED, 1163, "language %s is not UTF-8 text", tag);
    }
    rc = read_lines(pool, language, english,
                    apr_pstrmemdup(pool, (const char *)file.at + (has_mark ? 3 : 0),
                                   file.len - (has_mark ? 3 : 0)),
                    err);
    for (i = 0, language->missing = 0; rc == EAS_OK && english != NULL && i < EAS_TEXTS; i++) {
        if (language->texts[i] == NULL) {
            language->texts[i] = english->texts[i];
            language->missing++;
        }
    }
    return rc;
}

enum eas_rc eas_language_builtin(apr_pool_t *pool, apr_array_header_t **languages_out,
                                 struct eas_err *err)
{
    apr_array_header_t *languages = apr_array_make(pool, 16, sizeof(struct eas_language));
    const char *const *line = builtin;
    enum eas_rc rc = EAS_OK;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, pool);
    while (rc == EAS_OK && *line != NULL) {
        const char *tag = *line++, *file = "";

        for (; *line != NULL; line++) {
            file = apr_pstrcat(scratch, file, *line, "\n", NULL);
        }
        line++;
        rc = eas_language_add(pool, languages, tag, eas_bytes_of_text(file), err);
        apr_pool_clear(scratch);
    }
    apr_pool_destroy(scratch);
    *languages_out = languages;
    return rc;
}

const char *eas_language_fill(apr_pool_t *pool, const char *text, const char *placeholder,
                              const char *value)
{
    const char *at = strstr(text, placeholder);

    return at == NULL ? text
                      : apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(at - text)),
                                    value, at + strlen(placeholder), NULL);
}

const char *eas_language_duration(apr_pool_t *pool, const struct eas_language *language,
                                  apr_interval_time_t duration)
{
    apr_int64_t seconds = apr_time_sec(duration), hour = 3600, n = seconds;
    enum eas_text unit = EAS_TEXT_SECONDS;

    if (seconds >= 10 * hour || (seconds >= hour && seconds % hour == 0)) {
        n = seconds / hour;
        unit = EAS_TEXT_HOURS;
    }
    else if (seconds >= 120) {
        n = seconds / 60;
        unit = EAS_TEXT_MINUTES;
    }
    return eas_language_fill(pool, language->texts[unit], "{{n}}",
                             apr_psprintf(pool, "%" APR_INT64_T_FMT, n));
}
