/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/known_password.c - the last proved password of an account, as a keyed digest: it authenticates nobody */

#include "auth/password/known_password.h"

#include <apr_escape.h>
#include <openssl/crypto.h>
#include <string.h>

/* A record that says the same is renewed when so much of its time is over. */
#define RENEW_AFTER(keep_for) ((keep_for) / 16)

/* Longer than any exchange with a KDC lasts; what is newer by more was noted before a clock stepped back. */
#define UNDER_WAY apr_time_from_sec(120)

/* What is sealed, bound to the name of the record. */
struct known {
    apr_time_t asked_at;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

/* The store's name of the record; the account's own is that of auth/password/lockout.c's. */
static void name_of(const unsigned char *account, unsigned char name[EAS_SHM_TABLE_KEY_SIZE])
{
    apr_size_t i;

    for (i = 0; i < EAS_SHM_TABLE_KEY_SIZE; i++) {
        name[i] = (unsigned char)~account[i];
    }
}

static const char *binding_of(apr_pool_t *pool, const unsigned char *account)
{
    return apr_pescape_hex(pool, account, EAS_SHM_TABLE_KEY_SIZE, 0);
}

static bool read_known(struct eas_shm_table *accounts, const struct eas_keyring *ring,
                       apr_pool_t *pool, const unsigned char *account, apr_time_t now,
                       struct known *known)
{
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_bytes sealed;
    struct eas_secret *plain;
    struct eas_err err;

    name_of(account, name);
    if (!eas_shm_table_get(accounts, pool, name, now, &sealed.at, &sealed.len)
        || eas_unseal(ring, pool, EAS_SEAL_PASSWORD, binding_of(pool, account), sealed, &plain,
                      &err)
               != EAS_OK
        || plain->len != sizeof(*known)) {
        return false;
    }
    memcpy(known, plain->bytes, sizeof(*known));
    return true;
}

bool eas_known_password_is(struct eas_shm_table *accounts, const struct eas_keyring *ring,
                           apr_pool_t *pool, const unsigned char account[EAS_SHM_TABLE_KEY_SIZE],
                           const unsigned char digest[EAS_SEAL_MAC_SIZE],
                           apr_interval_time_t known_for, apr_time_t now)
{
    struct known known;

    return known_for > 0 && read_known(accounts, ring, pool, account, now, &known)
           && now - known.asked_at < known_for
           && CRYPTO_memcmp(known.digest, digest, EAS_SEAL_MAC_SIZE) == 0;
}

/* What one question learns, and the sealed form of it. */
struct lesson {
    struct eas_bytes sealed;
    apr_time_t expires;
};

static bool write_lesson(void *data, struct eas_shm_table_value *value)
{
    const struct lesson *lesson = data;

    memcpy(value->bytes, lesson->sealed.at, lesson->sealed.len);
    value->len = lesson->sealed.len;
    value->expires = lesson->expires;
    return true;
}

static void write_known(struct eas_shm_table *accounts, const struct eas_keyring *ring,
                        apr_pool_t *pool, const unsigned char *account, const struct known *known,
                        apr_interval_time_t keep_for)
{
    struct lesson lesson = { .expires = known->asked_at + keep_for };
    unsigned char name[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_err err;

    name_of(account, name);
    if (eas_seal(ring, pool, EAS_SEAL_PASSWORD, binding_of(pool, account),
                 eas_bytes_make(known, sizeof(*known)), &lesson.sealed, &err)
        == EAS_OK) {
        eas_shm_table_update(accounts, name, known->asked_at, write_lesson, &lesson);
    }
}

bool eas_known_password_learn(struct eas_shm_table *accounts, const struct eas_keyring *ring,
                              apr_pool_t *pool, const unsigned char account[EAS_SHM_TABLE_KEY_SIZE],
                              const unsigned char digest[EAS_SEAL_MAC_SIZE], apr_time_t asked_at,
                              apr_interval_time_t keep_for)
{
    struct known known = { 0 }, learnt = { .asked_at = asked_at };
    bool there = read_known(accounts, ring, pool, account, asked_at, &known);
    bool same = there && CRYPTO_memcmp(known.digest, digest, EAS_SEAL_MAC_SIZE) == 0;

    /* An answer that was long under way must not replace a newer one. */
    if (there && known.asked_at > asked_at && known.asked_at - asked_at < UNDER_WAY) {
        return false;
    }
    if (!same || asked_at - known.asked_at >= RENEW_AFTER(keep_for)) {
        memcpy(learnt.digest, digest, EAS_SEAL_MAC_SIZE);
        write_known(accounts, ring, pool, account, &learnt, keep_for);
    }
    OPENSSL_cleanse(&learnt, sizeof(learnt));
    OPENSSL_cleanse(&known, sizeof(known));
    return !same;
}
