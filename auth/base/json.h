/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/json.h - text as content of a JSON string */

#ifndef EAS_AUTH_BASE_JSON_H
#define EAS_AUTH_BASE_JSON_H

#include <stddef.h>

/* The longest escape of one octet. */
#define EAS_JSON_ESCAPE_MAX 6

/*
 * Writes the text without quotes (RFC 8259 section 7), and a NUL.  Control characters are escaped,
 * and those of markup: no browser that guesses a type takes the text for HTML.
 * An octet that is no UTF-8 becomes U+FFFD.  A text without room ends before the character that
 * does not fit.  Returns the length.
 */
size_t eas_json_escape(const char *text, char *out, size_t size);

#endif
