/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/utf8.c - UTF-8 check (RFC 3629) */

#include "auth/base/utf8.h"

/* The length of the UTF-8 sequence at s, 0 if there is none; RFC 3629 section 4. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    size_t i;

    if (n == 0 || n > left || s[0] > 0xf4) {
        return 0;
    }
    for (i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)
        || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return n;
}

bool eas_utf8_is_valid(const char *bytes, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t n = utf8_sequence((const unsigned char *)bytes + i, len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}
