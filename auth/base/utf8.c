/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/utf8.c - UTF-8: check (RFC 3629), blanks, conversion from Windows-1252 */

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
        size_t n = (unsigned char)bytes[i] < 0x80 ? 1 : eas_utf8_length(bytes + i, len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

/* The longest of them in octets; all of them are of the Basic Multilingual Plane. */
#define BLANK_MAX 3

/* In ascending order. */
static const struct {
    unsigned short from, to;
} blanks[] = {
    { '\t', '\t' },     { ' ', ' ' },       { 0x00a0, 0x00a0 },
    { 0x1680, 0x1680 }, { 0x2000, 0x200f }, { 0x2028, 0x202f },
    { 0x205f, 0x206f }, { 0x3000, 0x3000 }, { 0xfeff, 0xfeff },
};

static bool is_blank(const unsigned char *s, size_t len)
{
    unsigned c = len == 3   ? (s[0] & 0x0fU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU)
                 : len == 2 ? (s[0] & 0x1fU) << 6 | (s[1] & 0x3fU)
                 : len == 1 ? s[0]
                            : 0;
    size_t i;

    for (i = 0; i < sizeof(blanks) / sizeof(blanks[0]) && c >= blanks[i].from; i++) {
        if (c <= blanks[i].to) {
            return true;
        }
    }
    return false;
}

size_t eas_utf8_first_blank(const char *bytes, size_t len)
{
    size_t n = eas_utf8_length(bytes, len);

    return is_blank((const unsigned char *)bytes, n) ? n : 0;
}

size_t eas_utf8_last_blank(const char *bytes, size_t len)
{
    size_t n = 1;

    while (n < BLANK_MAX && n < len && ((unsigned char)bytes[len - n] & 0xc0) == 0x80) {
        n++;
    }
    return len > 0 && eas_utf8_first_blank(bytes + len - n, n) == n ? n : 0;
}

/* The characters of the octets 80 to 9F. */
static const unsigned short windows[] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

size_t eas_utf8_from_windows(const char *bytes, size_t len, char *utf8)
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        unsigned c = (unsigned char)bytes[i];

        if (c >= 0x80 && c < 0xa0) {
            c = windows[c - 0x80];
        }
        if (c < 0x80) {
            utf8[n++] = (char)c;
        }
        else if (c < 0x800) {
            utf8[n++] = (char)(0xc0 | c >> 6);
            utf8[n++] = (char)(0x80 | (c & 0x3f));
        }
        else {
            utf8[n++] = (char)(0xe0 | c >> 12);
            utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
            utf8[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return n;
}
