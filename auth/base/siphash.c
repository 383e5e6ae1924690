/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/siphash.c - SipHash-2-4 with a digest of 128 bits, a keyed hash of short messages */

#include "auth/base/siphash.h"

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void do_rounds(uint64_t v[4], int n)
{
    for (; n > 0; n--) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

/* Little-endian, as the digest.  Compilers make one instruction of this. */
static inline uint64_t load(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24
           | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48
           | (uint64_t)p[7] << 56;
}

static void store(unsigned char *p, uint64_t x)
{
    p[0] = (unsigned char)x;
    p[1] = (unsigned char)(x >> 8);
    p[2] = (unsigned char)(x >> 16);
    p[3] = (unsigned char)(x >> 24);
    p[4] = (unsigned char)(x >> 32);
    p[5] = (unsigned char)(x >> 40);
    p[6] = (unsigned char)(x >> 48);
    p[7] = (unsigned char)(x >> 56);
}

static void compress(struct eas_siphash *hash, uint64_t word)
{
    hash->v[3] ^= word;
    do_rounds(hash->v, 2);
    hash->v[0] ^= word;
}

void eas_siphash_begin(struct eas_siphash *hash, const unsigned char key[EAS_SIPHASH_SIZE])
{
    uint64_t k0 = load(key), k1 = load(key + 8);

    hash->v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    hash->v[1] = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee;
    hash->v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    hash->v[3] = k1 ^ UINT64_C(0x7465646279746573);
    hash->tail = hash->count = 0;
}

void eas_siphash_add(struct eas_siphash *hash, const void *octets, size_t len)
{
    const unsigned char *p = octets;
    const unsigned bits = 8 * (hash->count % 8); /* in the tail */

    hash->count += len;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word = load(p);

        compress(hash, hash->tail | word << bits);
        hash->tail = bits > 0 ? word >> (64 - bits) : 0;
    }
    for (unsigned at = bits; len > 0; len--, p++) {
        hash->tail |= (uint64_t)*p << at;
        at += 8;
        if (at == 64) {
            compress(hash, hash->tail);
            hash->tail = at = 0;
        }
    }
}

void eas_siphash_end(struct eas_siphash *hash, unsigned char digest_out[EAS_SIPHASH_SIZE])
{
    uint64_t *v = hash->v;

    compress(hash, hash->tail | hash->count << 56);
    v[2] ^= 0xee;
    do_rounds(v, 4);
    store(digest_out, v[0] ^ v[1] ^ v[2] ^ v[3]);
    v[1] ^= 0xdd;
    do_rounds(v, 4);
    store(digest_out + 8, v[0] ^ v[1] ^ v[2] ^ v[3]);
}
