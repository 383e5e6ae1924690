/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/seals.h - keyrings and sealed messages for tests of auth/base/seal */

#ifndef EAS_T_UNIT_SEALS_H
#define EAS_T_UNIT_SEALS_H

#include "t/unit/unit.h"

#include "auth/base/seal.h"

#include <apr_strings.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define VHOST "mail.example.com:443"
#define PLAIN "attack at dawn"
#define PLAIN_LEN (sizeof(PLAIN) - 1)
#define PLAIN_BYTES eas_bytes_make(PLAIN, PLAIN_LEN)

/* Offsets and sizes in a sealed message. */
#define ID_AT 1
#define RANDOM_AT 5
#define RANDOM_SIZE 24
#define OVERHEAD (1 + 4 + RANDOM_SIZE + 16)

#define CANNOT_UNSEAL 1147

static const enum eas_seal_purpose purposes[] = { EAS_SEAL_SESSION, EAS_SEAL_EVIDENCE,
                                                  EAS_SEAL_RECORD_NAME, EAS_SEAL_CSRF,
                                                  EAS_SEAL_PASSWORD };

/* A secret of the 32 bytes first, first + 1, … */
static inline const struct eas_secret *secret_from(apr_pool_t *pool, unsigned char first)
{
    char bytes[32];
    size_t i;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(first + i);
    }
    return eas_secret_make(pool, bytes, sizeof(bytes));
}

/* A ring of one secret for each letter of names, which is its first byte. */
static inline struct eas_keyring *ring_of(apr_pool_t *pool, const char *names)
{
    const struct eas_secret *secrets[4];
    struct eas_keyring *ring = NULL;
    struct eas_err err;
    int n = 0;

    for (; *names != '\0'; names++) {
        secrets[n++] = secret_from(pool, (unsigned char)*names);
    }
    assert_int_equal(eas_seal_keyring_create(pool, secrets, n, &ring, &err), EAS_OK);
    assert_non_null(ring);
    assert_int_equal(eas_seal_keyring_size(ring), n);
    return ring;
}

static inline struct eas_bytes seal(const struct eas_keyring *ring, apr_pool_t *pool,
                                    enum eas_seal_purpose purpose, const char *binding,
                                    struct eas_bytes plain)
{
    struct eas_bytes sealed = { NULL, 0 };
    struct eas_err err;

    assert_int_equal(eas_seal(ring, pool, purpose, binding, plain, &sealed, &err), EAS_OK);
    assert_int_equal(sealed.len, plain.len + OVERHEAD);
    return sealed;
}

static inline void assert_unseals(const struct eas_keyring *ring, apr_pool_t *pool,
                                  struct eas_bytes sealed, struct eas_bytes plain)
{
    struct eas_secret *plain_out = NULL;
    struct eas_err err;

    assert_int_equal(eas_unseal(ring, pool, EAS_SEAL_SESSION, VHOST, sealed, &plain_out, &err),
                     EAS_OK);
    assert_int_equal(plain_out->len, plain.len);
    assert_memory_equal(plain_out->bytes, plain.at, plain.len);
    assert_int_equal(plain_out->bytes[plain.len], '\0');
}

/* Always the same error, no result, and no entry for mod_ssl in OpenSSL's error queue. */
static inline void assert_refused(const struct eas_keyring *ring, apr_pool_t *pool,
                                  enum eas_seal_purpose purpose, const char *binding,
                                  struct eas_bytes sealed, const char *what)
{
    static char text[sizeof(((struct eas_err *)0)->text)];
    struct eas_secret *plain_out = NULL;
    struct eas_err err;

    if (eas_unseal(ring, pool, purpose, binding, sealed, &plain_out, &err) != EAS_DENIED
        || err.rc != EAS_DENIED || err.tag != CANNOT_UNSEAL || plain_out != NULL) {
        fail_msg("%s is not refused", what);
    }
    if (text[0] == '\0') {
        strcpy(text, err.text);
    }
    assert_string_equal(err.text, text);
    assert_int_equal(ERR_peek_error(), 0);
}

#endif
