/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/utf8.h - UTF-8: check (RFC 3629), blanks, conversion from Windows-1252 */

#ifndef EAS_AUTH_BASE_UTF8_H
#define EAS_AUTH_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the octets are well-formed UTF-8: no overlong form, no surrogate.  NUL is valid. */
bool eas_utf8_is_valid(const char *bytes, size_t len);

/*
 * Converts Windows-1252, a superset of the printable part of ISO-8859-1.  The five octets without a
 * character become control characters of the same number, as in Windows.  utf8 has room for
 * three times len.  Returns the length there.
 */
size_t eas_utf8_from_windows(const char *bytes, size_t len, char *utf8);

/* The length of the character at bytes, or 0: it is not well-formed, or there is none. */
size_t eas_utf8_length(const char *bytes, size_t left);

/*
 * The length of the blank that the text begins or ends with, or 0.  Blanks are space, tab, Unicode's
 * other spaces, and the invisible characters that come with a copied text: byte order mark, zero-width
 * and directional characters.
 */
size_t eas_utf8_first_blank(const char *bytes, size_t len);
size_t eas_utf8_last_blank(const char *bytes, size_t len);

#endif
