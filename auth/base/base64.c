/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/base64.c - base64 (RFC 4648 section 4), for each request's token */

#include "auth/base/base64.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* A step of the fast part takes 12 octets, and reads two more. */
#define STEP 12
#define STEP_READS 14
#define STEP_TEXT 16

/* An extension of gcc and clang, for all machines. */
typedef unsigned char vector __attribute__((vector_size(STEP_TEXT)));

static uint64_t load(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return be64toh(word);
}

static void store(unsigned char *p, uint64_t x)
{
    const uint64_t word = htobe64(x);

    memcpy(p, &word, sizeof(word));
}

/* Six octets as eight of six bits: halves, then pairs, then each. */
static uint64_t spread(uint64_t x)
{
    x = (x & UINT64_C(0x000000ffffff)) | (x & UINT64_C(0xffffff000000)) << 8;
    x = (x & UINT64_C(0x00000fff00000fff)) | (x & UINT64_C(0x00fff00000fff000)) << 4;
    return (x & UINT64_C(0x003f003f003f003f)) | (x & UINT64_C(0x0fc00fc00fc00fc0)) << 2;
}

/* The difference of digit and value changes behind Z, z, 9 and +. */
static vector digits_of(vector values)
{
    vector digits = values + 'A';

    digits += (vector)(values > 25) & ('a' - 'Z' - 1);
    digits -= (vector)(values > 51) & ('z' - '0' + 1);
    digits -= (vector)(values > 61) & ('9' - '+' + 1);
    digits += (vector)(values > 62) & ('/' - '+' - 1);
    return digits;
}

static void put(char *text, uint32_t bits)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    text[0] = digits[bits >> 18];
    text[1] = digits[bits >> 12 & 63];
    text[2] = digits[bits >> 6 & 63];
    text[3] = digits[bits & 63];
}

void eas_base64_encode(char *text, const void *octets, size_t len)
{
    const unsigned char *p = octets;
    union {
        unsigned char octets[STEP_TEXT];
        vector vector;
    } step;

    for (; len >= STEP_READS; len -= STEP, p += STEP, text += STEP_TEXT) {
        store(step.octets, spread(load(p) >> 16));
        store(step.octets + 8, spread(load(p + 6) >> 16));
        step.vector = digits_of(step.vector);
        memcpy(text, step.octets, STEP_TEXT);
    }
    for (; len >= 3; len -= 3, p += 3, text += 4) {
        put(text, (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]);
    }
    if (len > 0) {
        put(text, (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0));
        text[3] = '=';
        if (len == 1) {
            text[2] = '=';
        }
        text += 4;
    }
    *text = '\0';
}
