/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_seal.c - authenticated encryption with key rotation */

#include "t/unit/seals.h"

static void test_bad_secrets_are_refused(void **state)
{
    const struct eas_secret *ab[] = { secret_from(*state, 'a'), secret_from(*state, 'b') };
    const struct eas_secret *aba[] = { ab[0], ab[1], secret_from(*state, 'a') };
    const struct eas_secret *short_one[] = { ab[0], eas_secret_make(*state, ab[1]->bytes, 31) };
    const struct eas_secret *empty[] = { eas_secret_make(*state, "", 0) };
    const struct {
        const char *what;
        const struct eas_secret *const *secrets;
        int n, tag;
    } rows[] = {
        { "no secret", NULL, 0, 1140 },
        { "31 bytes", short_one, 2, 1142 },
        { "an empty secret", empty, 1, 1142 },
        { "the same secret twice", aba, 3, 1144 },
    };
    struct eas_keyring *ring = NULL;
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_seal_keyring_create(*state, rows[i].secrets, rows[i].n, &ring, &err)
                != EAS_MISCONFIGURED
            || err.tag != rows[i].tag || ring != NULL) {
            fail_msg("%s: EAS%04d", rows[i].what, err.tag);
        }
    }
    assert_int_equal(eas_seal_keyring_create(*state, ab, 2, &ring, &err), EAS_OK);
}

static void test_round_trips_of_every_length(void **state)
{
    static unsigned char plain[600];
    struct eas_keyring *ring = ring_of(*state, "a");
    apr_size_t i;

    for (i = 0; i < sizeof(plain); i++) {
        plain[i] = (unsigned char)(i * 7);
    }
    for (i = 0; i <= sizeof(plain); i++) {
        struct eas_bytes bytes = eas_bytes_make(plain, i);

        assert_unseals(ring, *state, seal(ring, *state, EAS_SEAL_SESSION, VHOST, bytes), bytes);
    }
}

static void test_longest_message(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    char *plain = apr_pcalloc(*state, EAS_SEAL_MAX + OVERHEAD + 1);
    struct eas_bytes sealed =
        seal(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(plain, EAS_SEAL_MAX));
    struct eas_err err;

    assert_unseals(ring, *state, sealed, eas_bytes_make(plain, EAS_SEAL_MAX));
    assert_int_equal(eas_seal(ring, *state, EAS_SEAL_SESSION, VHOST,
                              eas_bytes_make(plain, EAS_SEAL_MAX + 1), &sealed, &err),
                     EAS_UNAVAILABLE);
    assert_int_equal(err.tag, 1145);
    memcpy(plain, sealed.at, 29);
    assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST,
                   eas_bytes_make(plain, EAS_SEAL_MAX + OVERHEAD + 1), "a longer message");
}

/* Copies the plaintext after the secret's cleanup has run. */
struct observer {
    const char *bytes;
    char seen[PLAIN_LEN];
};

static apr_status_t copy_bytes(void *data)
{
    struct observer *observer = data;

    memcpy(observer->seen, observer->bytes, sizeof(observer->seen));
    return APR_SUCCESS;
}

static void test_plaintext_is_cleansed_with_its_pool(void **state)
{
    static const char zeros[PLAIN_LEN];
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_bytes sealed = seal(ring, *state, EAS_SEAL_PASSWORD, VHOST, PLAIN_BYTES);
    struct eas_secret *plain;
    struct observer observer;
    struct eas_err err;
    apr_pool_t *request;

    assert_int_equal(apr_pool_create(&request, NULL), APR_SUCCESS);
    apr_pool_cleanup_register(request, &observer, copy_bytes, apr_pool_cleanup_null);
    assert_int_equal(eas_unseal(ring, request, EAS_SEAL_PASSWORD, VHOST, sealed, &plain, &err),
                     EAS_OK);
    assert_memory_equal(plain->bytes, PLAIN, PLAIN_LEN);
    observer.bytes = plain->bytes;
    apr_pool_destroy(request);
    assert_memory_equal(observer.seen, zeros, sizeof(zeros));
}

/* HKDF(00 01 … 1f, "mod_eas_kcd 1 session"), from another implementation. */
static const unsigned char session_key[] = {
    0x7e, 0x69, 0x35, 0x55, 0x1b, 0x77, 0xce, 0x26, 0xdc, 0xdd, 0x80, 0xbb, 0x68, 0x04, 0x3d, 0xe1,
    0x9a, 0x94, 0x9d, 0x5f, 0xca, 0xb6, 0xde, 0x1c, 0x45, 0x42, 0xeb, 0xe7, 0x5a, 0x5c, 0x01, 0xc1,
};

static void test_keys_are_not_left_in_memory(void **state)
{
    const struct eas_secret *secret = secret_from(*state, 0);
    struct eas_keyring *ring;
    unsigned char *end;
    struct eas_err err;

    assert_int_equal(eas_seal_keyring_create(*state, &secret, 1, &ring, &err), EAS_OK);
    end = apr_palloc(*state, 8); /* the ring's memory ends here */
    assert_uint_in_range(end - (unsigned char *)ring, 64, 4096);
    assert_null(memmem(ring, (size_t)(end - (unsigned char *)ring), session_key, 4));
}

/*
 * Gateways of different versions share the format.  Another implementation made these messages
 * (Python's hmac, and AESGCM of its cryptography package): secret 00 01 … 1f, random 64 65 … 7b.
 */
static void test_format_does_not_change(void **state)
{
    static const char *const sealed[] = {
        [EAS_SEAL_SESSION] = "ArXWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5envzyncx"
                             "J9NDRITjzsOonBvnNVRDBfwDO4N0CectNl8",
        [EAS_SEAL_EVIDENCE] = "ArXWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ens59M9n"
                              "IyxnZOpF-OkLAHSa6lKXw_YqmtVND4r8SdE",
        [EAS_SEAL_RECORD_NAME] = "ArXWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5enu4F9Bh"
                                 "IXmy6VUPVjiA_ZGx8SGR4ou8syn3xmoAp-U",
        [EAS_SEAL_CSRF] = "ArXWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ens-IEYh"
                          "v2i2LqB-UW3NznalgRXvbc-bipAPaiKOkrw",
        [EAS_SEAL_PASSWORD] = "ArXWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5envYE9vo"
                              "8mKv84_ZYpE2jfoiFtj9Is0F_rmJGJ69o_w",
    };
    const struct eas_bytes parts[] = { eas_bytes_of_text("alice"), eas_bytes_of_text(""),
                                       eas_bytes_make("x\0y", 3) };
    const struct eas_secret *secret = secret_from(*state, 0);
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct eas_keyring *ring;
    struct eas_err err;
    size_t i;

    assert_int_equal(eas_seal_keyring_create(*state, &secret, 1, &ring, &err), EAS_OK);
    for (i = 0; i < COUNT_OF(sealed); i++) {
        struct eas_bytes bytes;
        struct eas_secret *plain;

        assert_true(eas_seal_from_text(*state, sealed[i], &bytes));
        assert_int_equal(
            eas_unseal(ring, *state, (enum eas_seal_purpose)i, VHOST, bytes, &plain, &err), EAS_OK);
        assert_string_equal(plain->bytes, PLAIN);
    }
    assert_int_equal(eas_seal_mac(ring, 0, EAS_SEAL_CSRF, parts, 3, mac, &err), EAS_OK);
    assert_string_equal(eas_seal_to_text(*state, mac, sizeof(mac)),
                        "p5PqRzJp3I9F4BaLkjwB0GNdsFvdaNRT07BOFDiluLI");
}

/* Authentic messages like those above, of other versions: no other format is misread. */
static void test_other_versions_are_refused(void **state)
{
    static const char *const others[] = {
        "AbXWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5envzyncx"
        "J9NDRITjzsOonFLIuVeCnTGy4_GA46zOkjo",
        "A7XWzLRkZWZnaGlqa2xtbm9wcXJzdHV2d3h5envzyncx"
        "J9NDRITjzsOonCMCTqr8ckdsc60nr95zqnw",
    };
    const struct eas_secret *secret = secret_from(*state, 0);
    struct eas_keyring *ring;
    struct eas_err err;
    size_t i;

    assert_int_equal(eas_seal_keyring_create(*state, &secret, 1, &ring, &err), EAS_OK);
    for (i = 0; i < COUNT_OF(others); i++) {
        struct eas_bytes bytes;

        assert_true(eas_seal_from_text(*state, others[i], &bytes));
        assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, bytes, "version 1 or 3");
    }
}

static void test_every_flip_is_refused(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "ab");
    struct eas_bytes sealed = seal(ring, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    unsigned char *copy = apr_pmemdup(*state, sealed.at, sealed.len);
    apr_size_t i;

    for (i = 0; i < 8 * sealed.len; i++) {
        copy[i / 8] ^= (unsigned char)(1 << i % 8);
        assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(copy, sealed.len),
                       apr_psprintf(*state, "with bit %d flipped, it", (int)i));
        copy[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    assert_unseals(ring, *state, (struct eas_bytes){ copy, sealed.len }, PLAIN_BYTES);
}

/* Each in a block of its own, so that valgrind sees a read beyond it. */
static void test_every_other_length_is_refused(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_bytes sealed = seal(ring, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    apr_size_t len;

    for (len = 0; len < sealed.len + 600; len++) {
        apr_size_t shared = len < sealed.len ? len : sealed.len;
        unsigned char *copy = calloc(1, len + (len == 0)), *tail = malloc(len + (len == 0));

        assert_non_null(copy);
        assert_non_null(tail);
        memcpy(copy, sealed.at, shared);
        memset(tail, 'x', len);
        memcpy(tail, sealed.at + sealed.len - shared, shared);
        if (len != sealed.len) {
            assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(copy, len),
                           "another length");
            assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(tail, len),
                           "another beginning");
        }
        free(copy);
        free(tail);
    }
}

static void test_pieces_of_two_messages_are_refused(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_bytes one = seal(ring, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    struct eas_bytes two = seal(ring, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    unsigned char *mixed = apr_palloc(*state, one.len);
    apr_size_t at;

    /* The headers before the random part are equal. */
    for (at = RANDOM_AT + 1; at < one.len; at++) {
        memcpy(mixed, one.at, at);
        memcpy(mixed + at, two.at + at, one.len - at);
        if (memcmp(mixed, one.at, one.len) != 0 && memcmp(mixed, two.at, one.len) != 0) {
            assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(mixed, one.len),
                           "a mixture");
        }
    }
}

static void test_other_purposes_and_bindings_are_refused(void **state)
{
    static const char *const others[] = { "",
                                          "mail.example.com:44",
                                          "mail.example.com:4433",
                                          "Mail.example.com:443",
                                          "mail.example.com:444",
                                          " " VHOST };
    struct eas_keyring *ring = ring_of(*state, "a");
    size_t i, j;

    for (i = 0; i < COUNT_OF(purposes); i++) {
        struct eas_bytes sealed = seal(ring, *state, purposes[i], VHOST, PLAIN_BYTES);
        struct eas_bytes unbound = seal(ring, *state, purposes[i], "", PLAIN_BYTES);

        for (j = 0; j < COUNT_OF(purposes); j++) {
            if (i != j) {
                assert_refused(ring, *state, purposes[j], VHOST, sealed, "another purpose");
            }
        }
        for (j = 0; j < COUNT_OF(others); j++) {
            assert_refused(ring, *state, purposes[i], others[j], sealed, others[j]);
        }
        assert_refused(ring, *state, purposes[i], VHOST, unbound, "no binding");
    }
}

/* The end of the binding is no beginning of the ciphertext, and vice versa. */
static void test_binding_and_message_do_not_run_together(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_bytes sealed = seal(ring, *state, EAS_SEAL_SESSION, "ab", eas_bytes_of_text("c"));

    assert_refused(ring, *state, EAS_SEAL_SESSION, "abc", sealed, "abc");
    assert_refused(ring, *state, EAS_SEAL_SESSION, "a", sealed, "a");
}

static void test_unknown_keys_and_versions_are_refused(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "ab"), *other = ring_of(*state, "c");
    struct eas_bytes sealed = seal(other, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    struct eas_bytes own = seal(ring, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    unsigned char *copy = apr_pmemdup(*state, sealed.at, sealed.len);

    assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, sealed, "unknown key");
    memcpy(copy + ID_AT, own.at + ID_AT, 4);
    assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(copy, sealed.len),
                   "our key's id");
    copy = apr_pmemdup(*state, own.at, own.len);
    copy[0] = 1;
    assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(copy, own.len),
                   "version 1");
    copy[0] = 0;
    assert_refused(ring, *state, EAS_SEAL_SESSION, VHOST, eas_bytes_make(copy, own.len),
                   "version 0");
}

/* {old} -> {new, old} -> {new}, one gateway after the other. */
static void test_rotation(void **state)
{
    const struct eas_bytes part = eas_bytes_of_text("x");
    struct eas_keyring *old = ring_of(*state, "o"), *both = ring_of(*state, "no");
    struct eas_keyring *both_old_first = ring_of(*state, "on"), *new = ring_of(*state, "n");
    struct eas_bytes by_old = seal(old, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    struct eas_bytes by_both = seal(both, *state, EAS_SEAL_SESSION, VHOST, PLAIN_BYTES);
    unsigned char mac[EAS_SEAL_MAC_SIZE], again[EAS_SEAL_MAC_SIZE];
    struct eas_err err;

    assert_unseals(both, *state, by_old, PLAIN_BYTES);
    assert_unseals(both, *state, by_both, PLAIN_BYTES);
    assert_unseals(both_old_first, *state, by_both, PLAIN_BYTES);
    assert_unseals(new, *state, by_both, PLAIN_BYTES);
    assert_refused(old, *state, EAS_SEAL_SESSION, VHOST, by_both, "the new key");
    assert_refused(new, *state, EAS_SEAL_SESSION, VHOST, by_old, "the old key");

    assert_int_equal(eas_seal_mac(old, 0, EAS_SEAL_CSRF, &part, 1, mac, &err), EAS_OK);
    assert_int_equal(eas_seal_mac(both, 1, EAS_SEAL_CSRF, &part, 1, again, &err), EAS_OK);
    assert_memory_equal(mac, again, sizeof(mac));
    assert_int_equal(
        eas_seal_mac_check(both, EAS_SEAL_CSRF, &part, 1, eas_bytes_make(mac, sizeof(mac)), &err),
        EAS_OK);
    assert_int_equal(
        eas_seal_mac_check(new, EAS_SEAL_CSRF, &part, 1, eas_bytes_make(mac, sizeof(mac)), &err),
        EAS_DENIED);
    assert_int_equal(err.tag, 1143);
}

#define SEALERS 5
#define SEALS_EACH 20000

static void seal_many(const struct eas_keyring *ring, unsigned char *randoms)
{
    struct eas_err err;
    apr_pool_t *pool;
    int i;

    apr_pool_create(&pool, NULL);
    for (i = 0; i < SEALS_EACH; i++) {
        struct eas_bytes sealed;

        if (eas_seal(ring, pool, EAS_SEAL_SESSION, VHOST, eas_bytes_of_text(""), &sealed, &err)
            != EAS_OK) {
            abort();
        }
        memcpy(randoms + (apr_size_t)i * RANDOM_SIZE, sealed.at + RANDOM_AT, RANDOM_SIZE);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
}

static int compare_randoms(const void *a, const void *b)
{
    return memcmp(a, b, RANDOM_SIZE);
}

/* Keyring and random generator are used, then forked, as in httpd's children. */
static void test_random_parts_never_repeat(void **state)
{
    const apr_size_t each = SEALS_EACH * RANDOM_SIZE;
    struct eas_keyring *ring = ring_of(*state, "a");
    unsigned char *randoms =
        mmap(NULL, SEALERS * each, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[SEALERS - 1];
    apr_size_t i;

    assert_ptr_not_equal(randoms, MAP_FAILED);
    seal_many(ring, randoms);
    for (i = 0; i < COUNT_OF(children); i++) {
        children[i] = fork();
        assert_int_not_equal(children[i], -1);
        if (children[i] == 0) {
            seal_many(ring, randoms + (i + 1) * each);
            _exit(0);
        }
    }
    for (i = 0; i < COUNT_OF(children); i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    qsort(randoms, SEALERS * SEALS_EACH, RANDOM_SIZE, compare_randoms);
    for (i = 1; i < SEALERS * SEALS_EACH; i++) {
        if (compare_randoms(randoms + (i - 1) * RANDOM_SIZE, randoms + i * RANDOM_SIZE) == 0) {
            fail_msg("a random part came twice");
        }
    }
    munmap(randoms, SEALERS * each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_bad_secrets_are_refused),
        POOL_TEST(test_round_trips_of_every_length),
        POOL_TEST(test_longest_message),
        POOL_TEST(test_plaintext_is_cleansed_with_its_pool),
        POOL_TEST(test_keys_are_not_left_in_memory),
        POOL_TEST(test_format_does_not_change),
        POOL_TEST(test_other_versions_are_refused),
        POOL_TEST(test_every_flip_is_refused),
        POOL_TEST(test_every_other_length_is_refused),
        POOL_TEST(test_pieces_of_two_messages_are_refused),
        POOL_TEST(test_other_purposes_and_bindings_are_refused),
        POOL_TEST(test_binding_and_message_do_not_run_together),
        POOL_TEST(test_unknown_keys_and_versions_are_refused),
        POOL_TEST(test_rotation),
        POOL_TEST(test_random_parts_never_repeat),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
