/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_percent.c - fuzz target of auth/base: percent, utf8 */

#include "t/fuzz/fuzz.h"

#include "auth/base/percent.h"
#include "auth/base/utf8.h"

/* Each octet comes back from its escape. */
static void check_round_trip(apr_pool_t *pool, struct eas_bytes input)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    unsigned char *escaped = apr_palloc(pool, 3 * input.len);
    struct eas_bytes rest = { escaped, 3 * input.len };
    size_t i;
    char c;

    for (i = 0; i < input.len; i++) {
        unsigned high = input.at[i] >> 4, low = input.at[i] & 15;

        escaped[3 * i] = '%';
        escaped[3 * i + 1] = (unsigned char)digits[high > 9 && i % 2 ? high + 6 : high];
        escaped[3 * i + 2] = (unsigned char)digits[low > 9 && i % 3 ? low + 6 : low];
    }
    for (i = 0; i < input.len; i++) {
        check(eas_percent_next(&rest, &c) && (unsigned char)c == input.at[i]);
    }
    check(rest.len == 0 && !eas_percent_next(&rest, &c));
}

static bool is_hex(unsigned char c)
{
    return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL;
}

/* A bad escape stops it, and changes nothing. */
static void check_steps(struct eas_bytes rest)
{
    while (rest.len > 0) {
        struct eas_bytes before = rest;
        bool escaped = *rest.at == '%';
        bool good = !escaped || (rest.len >= 3 && is_hex(rest.at[1]) && is_hex(rest.at[2]));
        char c = '\0';

        check(eas_percent_next(&rest, &c) == good);
        check(rest.at == before.at + (!good ? 0 : escaped ? 3 : 1));
        check(rest.at + rest.len == before.at + before.len);
        check(escaped || (unsigned char)c == *before.at);
        if (!good) {
            return;
        }
    }
}

/* The pairs and their separators are the whole input. */
static void check_pairs(struct eas_bytes rest)
{
    while (rest.len > 0) {
        const unsigned char *at = rest.at;
        struct eas_bytes name, value;

        eas_percent_pair(&rest, &name, &value);
        check(name.at == at && value.at != NULL);
        check(memchr(name.at, '&', name.len) == NULL && memchr(name.at, '=', name.len) == NULL);
        check(memchr(value.at, '&', value.len) == NULL);
        at = name.at + name.len;
        at += value.at != at;
        check(value.at == at);
        at += value.len;
        check(rest.at == at || (rest.at == at + 1 && *at == '&'));
    }
}

/* The code point of the first character and its length, by arithmetic; 0 if it is malformed. */
static size_t decode(struct eas_bytes text, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char c = text.at[0];
    size_t len = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0, i;

    *code = len == 1 ? c : c & (0x7fu >> len);
    if (len == 0 || len > text.len) {
        return 0;
    }
    for (i = 1; i < len; i++) {
        if (text.at[i] >> 6 != 2) {
            return 0;
        }
        *code = *code << 6 | (text.at[i] & 0x3f);
    }
    return *code < least[len] || *code > 0x10ffff || *code >> 11 == 0x1b ? 0 : len;
}

static void check_utf8(struct eas_bytes input)
{
    bool valid = eas_utf8_is_valid((const char *)input.at, input.len);
    uint32_t code;
    size_t len = 1;

    while (input.len > 0 && len > 0) {
        len = decode(input, &code);
        fuzz_take(&input, len);
    }
    check(valid == (len > 0));
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    check_round_trip(pool, input);
    check_steps(input);
    check_pairs(input);
    check_utf8(input);
}
