/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/fnv.c - FNV-1a, a hash without a key */

#include "auth/base/fnv.h"

#include <apr_lib.h>
#include <string.h>

static uint64_t add(uint64_t value, unsigned char octet)
{
    return (value ^ octet) * UINT64_C(0x100000001b3);
}

uint64_t eas_fnv(uint64_t value, const void *octets, size_t len)
{
    const unsigned char *p = octets;

    while (len-- > 0) {
        value = add(value, *p++);
    }
    return value;
}

uint64_t eas_fnv_words(const void *octets, size_t len)
{
    const unsigned char *p = octets;
    uint64_t value = EAS_FNV_FIRST ^ len, word;

    for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        value = (value ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        value ^= value >> 32; /* the low bits choose the bucket of a table */
    }
    value = eas_fnv(value, p, len);
    return value ^ (value >> 32);
}

uint64_t eas_fnv_folded(const char *text)
{
    uint64_t value = EAS_FNV_FIRST;

    for (; *text != '\0'; text++) {
        value = add(value, (unsigned char)apr_tolower(*text));
    }
    return value;
}
