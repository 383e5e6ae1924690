/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/language.h - languages of the log-on page, and their texts */

#ifndef EAS_AUTH_LOGIN_LANGUAGE_H
#define EAS_AUTH_LOGIN_LANGUAGE_H

#include "auth/base/bytes.h"
#include "auth/base/error.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

enum eas_text {
#define EAS_TEXT(id, name) EAS_TEXT_##id,
#include "auth/login/texts.def"
#undef EAS_TEXT
    EAS_TEXTS /* their number */
};

/* Plain texts, not HTML. */
struct eas_language {
    const char *tag; /* "de", "pt-BR" */
    const char *texts[EAS_TEXTS];
    int missing; /* the number of texts that a file lacks, which are English */
};

/* The built-in languages (build/languages), as an array of struct eas_language; [0] is English. */
enum eas_rc eas_language_builtin(apr_pool_t *pool, apr_array_header_t **languages_out,
                                 struct eas_err *err);

/*
 * Adds the file of a language, or replaces texts of one that is there.  A line is empty, a comment
 * after '#', or `name = text`.  A text may have the placeholders of the English one only, because
 * pages expand them.
 *
 * EAS_MISCONFIGURED: the file is not UTF-8, or a line is none of these.
 */
enum eas_rc eas_language_add(apr_pool_t *pool, apr_array_header_t *languages, const char *tag,
                             struct eas_bytes file, struct eas_err *err);

/* The index of the language of a tag: "de-AT" is "de".  0, English, if there is none. */
int eas_language_find(const apr_array_header_t *languages, const char *tag);

/* EAS_TEXTS: no text has the name. */
enum eas_text eas_language_text_named(const char *name, apr_size_t len);

/* The text with a value in place of the first placeholder, if it has it. */
const char *eas_language_fill(apr_pool_t *pool, const char *text, const char *placeholder,
                              const char *value);

/* As people say it: "15 min", "8 h". */
const char *eas_language_duration(apr_pool_t *pool, const struct eas_language *language,
                                  apr_interval_time_t duration);

#endif
