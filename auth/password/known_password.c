/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/known_password.c - Last verified password of an AD user, as a keyed digest */

#include "auth/password/known_password.h"

#include <apr_escape.h>
#include <openssl/crypto.h>
#include <string.h>

/* An unchanged record is written again after this part of its time. */
#define RENEW_AFTER(keep_for) ((keep_for) / 16)

/* Longer than any exchange with a KDC.  A record newer by more dates from before a clock step. */
#define EXCHANGE_MAX apr_time_from_sec(120)

/* The plain text of a record.  The seal binds it to the user. */
struct record {
    apr_time_t asked_at;
    unsigned char digest[EAS_SEAL_MAC_SIZE];
};

/* Differs from the key of the user's lockout record, which is in the same table. */
static void make_key(const unsigned char *user, unsigned char key[EAS_SHM_TABLE_KEY_SIZE])
{
    apr_size_t i;

    for (i = 0; i < EAS_SHM_TABLE_KEY_SIZE; i++) {
        key[i] = (unsigned char)~user[i];
    }
}

static const char *binding_of(apr_pool_t *pool, const unsigned char *user)
{
    return apr_pescape_hex(pool, user, EAS_SHM_TABLE_KEY_SIZE, 0);
}

static bool read_record(const struct eas_known_password *presented, apr_pool_t *pool,
                        apr_time_t now, struct record *record)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_bytes sealed;
    struct eas_secret *plain;
    struct eas_err err;

    make_key(presented->user, key);
    if (!eas_shm_table_get(presented->records, pool, key, now, &sealed.at, &sealed.len)
        || eas_unseal(presented->keyring, pool, EAS_SEAL_PASSWORD,
                      binding_of(pool, presented->user), sealed, &plain, &err)
               != EAS_OK
        || plain->len != sizeof(*record)) {
        return false;
    }
    memcpy(record, plain->bytes, sizeof(*record));
    return true;
}

bool eas_known_password_is(const struct eas_known_password *presented, apr_pool_t *pool,
                           apr_interval_time_t known_for, apr_time_t now)
{
    struct record record;

    return known_for > 0 && read_record(presented, pool, now, &record)
           && now - record.asked_at < known_for
           && CRYPTO_memcmp(record.digest, presented->digest, EAS_SEAL_MAC_SIZE) == 0;
}

struct sealed_record {
    struct eas_bytes bytes;
    apr_time_t expires;
};

static bool replace_value(void *data, struct eas_shm_table_value *value)
{
    const struct sealed_record *sealed = data;

    memcpy(value->bytes, sealed->bytes.at, sealed->bytes.len);
    value->len = sealed->bytes.len;
    value->expires = sealed->expires;
    return true;
}

static void write_record(const struct eas_known_password *presented, apr_pool_t *pool,
                         const struct record *record, apr_interval_time_t keep_for)
{
    struct sealed_record sealed = { .expires = record->asked_at + keep_for };
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    struct eas_err err;

    make_key(presented->user, key);
    if (eas_seal(presented->keyring, pool, EAS_SEAL_PASSWORD, binding_of(pool, presented->user),
                 eas_bytes_make(record, sizeof(*record)), &sealed.bytes, &err)
        == EAS_OK) {
        eas_shm_table_update(presented->records, key, record->asked_at, replace_value, &sealed);
    }
}

bool eas_known_password_learn(const struct eas_known_password *presented, apr_pool_t *pool,
                              apr_time_t asked_at, apr_interval_time_t keep_for)
{
    struct record last = { 0 }, verified = { .asked_at = asked_at };
    bool found = read_record(presented, pool, asked_at, &last);
    bool same = found && CRYPTO_memcmp(last.digest, presented->digest, EAS_SEAL_MAC_SIZE) == 0;

    /* A late answer must not replace a newer record. */
    if (found && last.asked_at > asked_at && last.asked_at - asked_at < EXCHANGE_MAX) {
        return false;
    }
    if (!same || asked_at - last.asked_at >= RENEW_AFTER(keep_for)) {
        memcpy(verified.digest, presented->digest, EAS_SEAL_MAC_SIZE);
        write_record(presented, pool, &verified, keep_for);
    }
    OPENSSL_cleanse(&verified, sizeof(verified));
    OPENSSL_cleanse(&last, sizeof(last));
    return !same;
}
