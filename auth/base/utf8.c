/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/utf8.c - UTF-8 check (RFC 3629) */

#include "auth/base/utf8.h"

/* The syntax of RFC 3629 section 4; octets behind the second one are 80 to BF. */
static const struct {
    unsigned char first_from, first_to, second_from, second_to, len;
} sequences[] = {
    { 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
    { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
    { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

#define SEQUENCES (sizeof(sequences) / sizeof(sequences[0]))

size_t eas_utf8_length(const char *bytes, size_t left)
{
    const unsigned char *s = (const unsigned char *)bytes;
    size_t i = 0, n;

    if (left == 0) {
        return 0;
    }
    while (i < SEQUENCES && (s[0] < sequences[i].first_from || s[0] > sequences[i].first_to)) {
        i++;
    }
    if (i == SEQUENCES || sequences[i].len > left) {
        return 0;
    }
    if (sequences[i].len > 1
        && (s[1] < sequences[i].second_from || s[1] > sequences[i].second_to)) {
        return 0;
    }
    for (n = 2; n < sequences[i].len; n++) {
        if ((s[n] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return sequences[i].len;
}

bool eas_utf8_is_valid(const char *bytes, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t n = eas_utf8_length(bytes + i, len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}
