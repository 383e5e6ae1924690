/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/seal.c - authenticated encryption and MACs with key rotation */

#include "auth/base/seal.h"
#include "auth/base/hmac.h"

#include <apr_encode.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#define VERSION 2
#define ID_SIZE 4
#define RANDOM_SIZE 24
#define HEADER_SIZE (1 + ID_SIZE + RANDOM_SIZE)
#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16

#define LABEL(what) "mod_eas_kcd 1 " what

/* Part of the format: with another label, no older message unseals. */
static const char *const purpose_labels[] = {
    [EAS_SEAL_SESSION] = LABEL("session"),   [EAS_SEAL_EVIDENCE] = LABEL("evidence"),
    [EAS_SEAL_RECORD_NAME] = LABEL("name"),  [EAS_SEAL_CSRF] = LABEL("csrf"),
    [EAS_SEAL_PASSWORD] = LABEL("password"), [EAS_SEAL_TYPED] = LABEL("typed"),
    [EAS_SEAL_KEYTAB] = LABEL("keytab"),     [EAS_SEAL_LOG_NAME] = LABEL("log name"),
};

#define PURPOSES (sizeof(purpose_labels) / sizeof(purpose_labels[0]))

/* The keys that are derived from one secret. */
struct key {
    unsigned char id[ID_SIZE];
    struct eas_hmac *purposes[PURPOSES];
};

struct eas_keyring {
    EVP_CIPHER *gcm;
    int n_keys;
    struct key *keys; /* the first seals */
};

static apr_status_t keyring_cleanup(void *data)
{
    EVP_CIPHER_free(((struct eas_keyring *)data)->gcm);
    return APR_SUCCESS;
}

/* HKDF-SHA256 (RFC 5869) without salt. */
static bool derive(const struct eas_secret *secret, const char *label, unsigned char *out,
                   apr_size_t out_len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret->bytes, secret->len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = hkdf != NULL ? EVP_KDF_CTX_new(hkdf) : NULL;
    bool ok = ctx != NULL && EVP_KDF_derive(ctx, out, out_len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(hkdf);
    return ok;
}

static bool derive_key(apr_pool_t *pool, const struct eas_secret *secret, struct key *key)
{
    unsigned char derived[KEY_SIZE];
    apr_size_t i;
    bool ok = derive(secret, LABEL("key id"), key->id, ID_SIZE);

    for (i = 0; ok && i < PURPOSES; i++) {
        ok = derive(secret, purpose_labels[i], derived, KEY_SIZE);
        if (ok) {
            key->purposes[i] = eas_hmac_create(pool, "SHA256", derived, KEY_SIZE);
            ok = key->purposes[i] != NULL;
        }
    }
    OPENSSL_cleanse(derived, sizeof(derived));
    return ok;
}

static const struct key *key_by_id(const struct eas_keyring *ring, const unsigned char *id)
{
    int i;

    for (i = 0; i < ring->n_keys; i++) {
        if (memcmp(ring->keys[i].id, id, ID_SIZE) == 0) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

static enum eas_rc fail_for_openssl(struct eas_err *err)
{
    return eas_fail(
        err, EAS_UNAVAILABLE, 1141,
        "OpenSSL does not provide HKDF-SHA256, AES-256-GCM or HMAC; check its providers "
        "in openssl.cnf");
}

enum eas_rc eas_seal_keyring_create(apr_pool_t *pool, const struct eas_secret *const *secrets,
                                    int n_secrets, struct eas_keyring **out, struct eas_err *err)
{
    struct eas_keyring *ring = apr_pcalloc(pool, sizeof(*ring));
    int i;

    if (n_secrets < 1) {
        return eas_fail(err, EAS_MISCONFIGURED, 1140, "there is no secret for sealing");
    }
    ring->keys = apr_pcalloc(pool, (apr_size_t)n_secrets * sizeof(*ring->keys));
    apr_pool_cleanup_register(pool, ring, keyring_cleanup, apr_pool_cleanup_null);
    ring->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (ring->gcm == NULL) {
        return fail_for_openssl(err);
    }
    for (i = 0; i < n_secrets; i++) {
        struct key *key = &ring->keys[i];

        if (secrets[i]->len < EAS_SEAL_SECRET_MIN) {
            return eas_fail(err, EAS_MISCONFIGURED, 1142,
                            "secret number %d is shorter than %d bytes; make one by "
                            "`openssl rand 32`",
                            i + 1, EAS_SEAL_SECRET_MIN);
        }
        ring->n_keys = i + 1;
        if (!derive_key(pool, secrets[i], key)) {
            return fail_for_openssl(err);
        }
        if (key_by_id(ring, key->id) != key) {
            return eas_fail(err, EAS_MISCONFIGURED, 1144,
                            "secret number %d is there twice; remove one", i + 1);
        }
    }
    *out = ring;
    return EAS_OK;
}

int eas_seal_keyring_size(const struct eas_keyring *ring)
{
    return ring->n_keys;
}

static bool message_key(const struct key *key, enum eas_seal_purpose purpose,
                        const unsigned char *random, unsigned char out[KEY_SIZE])
{
    static const char label[] = LABEL("message");
    EVP_MAC_CTX *ctx = eas_hmac_checkout(key->purposes[purpose]);
    size_t len;
    bool ok = ctx != NULL
              && EVP_MAC_update(ctx, (const unsigned char *)label, sizeof(label) - 1) == 1
              && EVP_MAC_update(ctx, random, RANDOM_SIZE) == 1
              && EVP_MAC_final(ctx, out, &len, KEY_SIZE) == 1;

    eas_hmac_checkin(key->purposes[purpose], ctx);
    return ok;
}

/* AES-256-GCM with the message's own key, after the additional data; NULL if OpenSSL fails. */
static EVP_CIPHER_CTX *start_message(const struct eas_keyring *ring, const struct key *key,
                                     enum eas_seal_purpose purpose, const char *binding,
                                     const unsigned char *header, int encrypt)
{
    static const unsigned char nonce[NONCE_SIZE]; /* once for each key */
    unsigned char derived[KEY_SIZE];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;

    if (ctx != NULL
        && (!message_key(key, purpose, header + 1 + ID_SIZE, derived)
            || EVP_CipherInit_ex2(ctx, ring->gcm, derived, nonce, encrypt, NULL) != 1
            || EVP_CipherUpdate(ctx, NULL, &n, header, HEADER_SIZE) != 1
            || EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)binding, (int)strlen(binding))
                   != 1)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    OPENSSL_cleanse(derived, sizeof(derived));
    return ctx;
}

enum eas_rc eas_seal(const struct eas_keyring *ring, apr_pool_t *pool,
                     enum eas_seal_purpose purpose, const char *binding, struct eas_bytes plain,
                     struct eas_bytes *sealed_out, struct eas_err *err)
{
    unsigned char *sealed, *text;
    EVP_CIPHER_CTX *ctx = NULL;
    bool ok;
    int n;

    if (plain.len > EAS_SEAL_MAX) {
        return eas_fail(err, EAS_UNAVAILABLE, 1145,
                        "%" APR_SIZE_T_FMT " bytes are too long for a sealed message", plain.len);
    }
    sealed = apr_palloc(pool, HEADER_SIZE + plain.len + TAG_SIZE);
    text = sealed + HEADER_SIZE;
    sealed[0] = VERSION;
    memcpy(sealed + 1, ring->keys[0].id, ID_SIZE);
    if (RAND_bytes(sealed + 1 + ID_SIZE, RANDOM_SIZE) == 1) {
        ctx = start_message(ring, &ring->keys[0], purpose, binding, sealed, 1);
    }
    ok = ctx != NULL && EVP_EncryptUpdate(ctx, text, &n, plain.at, (int)plain.len) == 1
         && EVP_EncryptFinal_ex(ctx, text + plain.len, &n) == 1
         && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, text + plain.len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        return eas_fail(err, EAS_UNAVAILABLE, 1146, "OpenSSL could not encrypt");
    }
    *sealed_out = eas_bytes_make(sealed, HEADER_SIZE + plain.len + TAG_SIZE);
    return EAS_OK;
}

static enum eas_rc fail_to_unseal(struct eas_err *err)
{
    return eas_fail(
        err, EAS_DENIED, 1147,
        "a sealed message cannot be decrypted: damaged, sealed with an unknown secret, or for "
        "another purpose");
}

enum eas_rc eas_unseal(const struct eas_keyring *ring, apr_pool_t *pool,
                       enum eas_seal_purpose purpose, const char *binding, struct eas_bytes sealed,
                       struct eas_secret **plain_out, struct eas_err *err)
{
    const unsigned char *header = sealed.at;
    const struct key *key;
    struct eas_secret *plain;
    unsigned char *text, tag[TAG_SIZE];
    EVP_CIPHER_CTX *ctx;
    enum eas_rc rc = EAS_OK;
    int n;

    if (sealed.len < HEADER_SIZE + TAG_SIZE || sealed.len > HEADER_SIZE + EAS_SEAL_MAX + TAG_SIZE
        || header[0] != VERSION) {
        return fail_to_unseal(err);
    }
    key = key_by_id(ring, header + 1);
    if (key == NULL) {
        return fail_to_unseal(err);
    }
    /* The ciphertext is decrypted in place. */
    plain = eas_secret_make(pool, (const char *)header + HEADER_SIZE,
                            sealed.len - HEADER_SIZE - TAG_SIZE);
    text = (unsigned char *)plain->bytes;
    memcpy(tag, header + HEADER_SIZE + plain->len, TAG_SIZE);
    ctx = start_message(ring, key, purpose, binding, header, 0);
    if (ctx == NULL || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1
        || EVP_DecryptUpdate(ctx, text, &n, text, (int)plain->len) != 1) {
        rc = eas_fail(err, EAS_UNAVAILABLE, 1148, "OpenSSL could not decrypt");
    }
    else if (EVP_DecryptFinal_ex(ctx, text + plain->len, &n) != 1) {
        rc = fail_to_unseal(err);
    }
    EVP_CIPHER_CTX_free(ctx);
    if (rc != EAS_OK) {
        eas_secret_wipe(plain); /* decrypted, but not authenticated */
        return rc;
    }
    *plain_out = plain;
    return EAS_OK;
}

/* Big-endian: gateways of all architectures share the MACs. */
static bool mac_length(EVP_MAC_CTX *ctx, apr_uint64_t len)
{
    unsigned char bytes[8];
    int i;

    for (i = 7; i >= 0; i--) {
        bytes[i] = (unsigned char)len;
        len >>= 8;
    }
    return EVP_MAC_update(ctx, bytes, sizeof(bytes)) == 1;
}

enum eas_rc eas_seal_mac(const struct eas_keyring *ring, int which, enum eas_seal_purpose purpose,
                         const struct eas_bytes *parts, int n_parts,
                         unsigned char mac_out[EAS_SEAL_MAC_SIZE], struct eas_err *err)
{
    struct eas_hmac *mac = ring->keys[which].purposes[purpose];
    EVP_MAC_CTX *ctx = eas_hmac_checkout(mac);
    bool ok = ctx != NULL;
    size_t len;
    int i;

    for (i = 0; ok && i < n_parts; i++) {
        ok = mac_length(ctx, parts[i].len) && EVP_MAC_update(ctx, parts[i].at, parts[i].len) == 1;
    }
    ok = ok && EVP_MAC_final(ctx, mac_out, &len, EAS_SEAL_MAC_SIZE) == 1;
    eas_hmac_checkin(mac, ctx);
    return ok ? EAS_OK : eas_fail(err, EAS_UNAVAILABLE, 1149, "OpenSSL could not compute a MAC");
}

enum eas_rc eas_seal_mac_check(const struct eas_keyring *ring, enum eas_seal_purpose purpose,
                               const struct eas_bytes *parts, int n_parts, struct eas_bytes mac,
                               struct eas_err *err)
{
    unsigned char expected[EAS_SEAL_MAC_SIZE];
    int i;

    for (i = 0; i < ring->n_keys && mac.len == sizeof(expected); i++) {
        enum eas_rc rc = eas_seal_mac(ring, i, purpose, parts, n_parts, expected, err);

        if (rc != EAS_OK) {
            return rc;
        }
        if (CRYPTO_memcmp(expected, mac.at, sizeof(expected)) == 0) {
            return EAS_OK;
        }
    }
    return eas_fail(err, EAS_DENIED, 1143,
                    "a MAC does not match: the token was changed, or made with an unknown secret");
}

const char *eas_seal_to_text(apr_pool_t *pool, const void *bytes, apr_size_t len)
{
    return apr_pencode_base64_binary(pool, bytes, (apr_ssize_t)len, APR_ENCODE_BASE64URL, NULL);
}

bool eas_seal_from_text(apr_pool_t *pool, const char *text, struct eas_bytes *out)
{
    apr_size_t len;
    const unsigned char *bytes =
        apr_pdecode_base64_binary(pool, text, APR_ENCODE_STRING, APR_ENCODE_NONE, &len);

    /* APR decodes both alphabets, with or without padding, and ignores stray bits. */
    if (bytes == NULL || strcmp(eas_seal_to_text(pool, bytes, len), text) != 0) {
        return false;
    }
    *out = eas_bytes_make(bytes, len);
    return true;
}
