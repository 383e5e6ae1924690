/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/siphash.h - SipHash-2-4 with a digest of 128 bits, a keyed hash of short messages */

#ifndef EAS_AUTH_BASE_SIPHASH_H
#define EAS_AUTH_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * The pseudorandom function of Aumasson and Bernstein.  Without the key, nobody finds a message of
 * a given digest in fewer than 2^128 trials.  A message of 250 octets takes a seventh of
 * HMAC-SHA256's time.  OpenSSL has it (EVP_MAC-SIPHASH), but its contexts cost as much again.
 */

#define EAS_SIPHASH_SIZE 16

struct eas_siphash {
    uint64_t v[4];
    uint64_t tail;  /* octets that do not make eight yet */
    uint64_t count; /* of all octets */
};

void eas_siphash_begin(struct eas_siphash *hash, const unsigned char key[EAS_SIPHASH_SIZE]);
void eas_siphash_add(struct eas_siphash *hash, const void *octets, size_t len);
void eas_siphash_end(struct eas_siphash *hash, unsigned char digest_out[EAS_SIPHASH_SIZE]);

#endif
