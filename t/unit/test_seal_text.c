/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_seal_text.c - MACs, text and threads of auth/base/seal */

#include "t/unit/seals.h"

/* An initialiser of struct eas_bytes. */
#define BYTES(literal)                                        \
    {                                                         \
        (const unsigned char *)(literal), sizeof(literal) - 1 \
    }

static void test_macs_differ_in_every_respect(void **state)
{
    static const struct {
        const char *what;
        struct eas_bytes parts[3];
        int n;
    } rows[] = {
        { "ab, c", { BYTES("ab"), BYTES("c") }, 2 },
        { "a, bc", { BYTES("a"), BYTES("bc") }, 2 },
        { "abc", { BYTES("abc") }, 1 },
        { "abc and an empty part", { BYTES("abc"), BYTES("") }, 2 },
        { "an empty part and abc", { BYTES(""), BYTES("abc") }, 2 },
        { "a, b, c", { BYTES("a"), BYTES("b"), BYTES("c") }, 3 },
        { "c, ab", { BYTES("c"), BYTES("ab") }, 2 },
        { "a\\0c", { BYTES("a\0c") }, 1 },
        { "a part like a length", { BYTES("ab\0\0\0\0\0\0\0\1c") }, 1 },
        { "no part", { BYTES("") }, 0 },
        { "an empty part", { BYTES("") }, 1 },
    };
    struct eas_keyring *ring = ring_of(*state, "ab");
    unsigned char macs[COUNT_OF(rows) * COUNT_OF(purposes) * 2][EAS_SEAL_MAC_SIZE];
    struct eas_err err;
    size_t i, j, k, n = 0;

    for (i = 0; i < COUNT_OF(rows); i++) {
        for (j = 0; j < COUNT_OF(purposes); j++) {
            for (k = 0; k < 2; k++) {
                assert_int_equal(eas_seal_mac(ring, (int)k, purposes[j], rows[i].parts, rows[i].n,
                                              macs[n++], &err),
                                 EAS_OK);
            }
        }
    }
    for (i = 0; i < n; i++) {
        for (j = 0; j < i; j++) {
            assert_memory_not_equal(macs[i], macs[j], EAS_SEAL_MAC_SIZE);
        }
    }
}

static void test_mac_check(void **state)
{
    static const struct eas_bytes parts[] = { BYTES("alice"), BYTES("form") };
    struct eas_keyring *ring = ring_of(*state, "ab");
    unsigned char mac[EAS_SEAL_MAC_SIZE + 1] = { 0 };
    struct eas_err err;
    apr_size_t i;

    assert_int_equal(eas_seal_mac(ring, 0, EAS_SEAL_CSRF, parts, 2, mac, &err), EAS_OK);
    for (i = 0; i <= sizeof(mac); i++) {
        assert_int_equal(
            eas_seal_mac_check(ring, EAS_SEAL_CSRF, parts, 2, eas_bytes_make(mac, i), &err),
            i == EAS_SEAL_MAC_SIZE ? EAS_OK : EAS_DENIED);
    }
    assert_int_equal(eas_seal_mac_check(ring, EAS_SEAL_SESSION, parts, 2,
                                        eas_bytes_make(mac, EAS_SEAL_MAC_SIZE), &err),
                     EAS_DENIED);
    assert_int_equal(eas_seal_mac_check(ring, EAS_SEAL_CSRF, parts, 1,
                                        eas_bytes_make(mac, EAS_SEAL_MAC_SIZE), &err),
                     EAS_DENIED);
    for (i = 0; i < 8 * EAS_SEAL_MAC_SIZE; i++) {
        mac[i / 8] ^= (unsigned char)(1 << i % 8);
        assert_int_equal(eas_seal_mac_check(ring, EAS_SEAL_CSRF, parts, 2,
                                            eas_bytes_make(mac, EAS_SEAL_MAC_SIZE), &err),
                         EAS_DENIED);
        assert_int_equal(err.tag, 1143);
        mac[i / 8] ^= (unsigned char)(1 << i % 8);
    }
}

static void test_text_round_trips(void **state)
{
    unsigned char bytes[256];
    apr_size_t len, i;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(255 - i);
    }
    for (len = 0; len <= sizeof(bytes); len++) {
        struct eas_bytes back = { NULL, 0 };
        const char *text = eas_seal_to_text(*state, bytes, len);

        assert_int_equal(strlen(text), (len * 4 + 2) / 3);
        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
                         strlen(text));
        assert_true(eas_seal_from_text(*state, text, &back));
        assert_int_equal(back.len, len);
        assert_memory_equal(back.at, bytes, len);
    }
}

static void test_text_of_other_forms_is_refused(void **state)
{
    static const char *const rows[] = {
        "-_8=",   "-_8==",        "-w==",     "-w=",     "-_-_====", "=",
        "====",   "+/8",          "+_8",      "-/8",     "-_8 ",     " -_8",
        "-_ 8",   "-_8\n",        "-_8\r\n",  "\t-_8",   " ",        "-_8\v",
        "A",      "-_-_A",        "-_9",      "-_B",     "-_-",      "-x",
        "-z",     "-_8.",         "-_8,",     "-_8\"",   "\"-_8\"",  "-_8%",
        "-_8%3D", "-_\xc3\xa9",   "\xff\xff", "-_8\x80", "-_8\x01",  "-_8;",
        "-=_8",   "-_-_-w==-_-_",
    };
    struct eas_bytes bytes = { NULL, 0 };
    apr_size_t i;

    assert_true(eas_seal_from_text(*state, "-_8", &bytes));
    assert_int_equal(bytes.len, 2);
    assert_true(eas_seal_from_text(*state, "-w", &bytes));
    assert_int_equal(bytes.len, 1);
    for (i = 0; i < COUNT_OF(rows); i++) {
        bytes.at = NULL;
        if (eas_seal_from_text(*state, rows[i], &bytes) || bytes.at != NULL) {
            fail_msg("\"%s\" is decoded", rows[i]);
        }
    }
}

/* No two short texts decode to the same bytes. */
static void test_every_short_text(void **state)
{
    unsigned int counts[3] = { 0 }, a, b, c;

    for (a = 1; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            char pair[] = { (char)a, (char)b, '\0' };
            struct eas_bytes bytes;

            if (eas_seal_from_text(*state, pair, &bytes)) {
                counts[bytes.len]++;
            }
        }
        apr_pool_clear(*state);
    }
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 256);
    for (c = 1; c < 256; c++) {
        char triple[] = { '-', '_', (char)c, '\0' };
        struct eas_bytes bytes;

        counts[2] += eas_seal_from_text(*state, triple, &bytes);
    }
    assert_int_equal(counts[2], 16);
}

/* The data of one thread of the next test. */
struct worker {
    const struct eas_keyring *ring;
    int failures;
};

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    static const struct eas_bytes part = BYTES("part");
    struct worker *worker = data;
    unsigned char mac[EAS_SEAL_MAC_SIZE];
    struct eas_err err;
    apr_pool_t *pool;
    int i;

    (void)thread;
    apr_pool_create(&pool, NULL);
    for (i = 0; i < 500; i++) {
        struct eas_secret *plain;
        struct eas_bytes sealed;

        worker->failures +=
            eas_seal(worker->ring, pool, EAS_SEAL_SESSION, VHOST, eas_bytes_make(&i, sizeof(i)),
                     &sealed, &err)
                != EAS_OK
            || eas_unseal(worker->ring, pool, EAS_SEAL_SESSION, VHOST, sealed, &plain, &err)
                   != EAS_OK
            || memcmp(plain->bytes, &i, sizeof(i)) != 0
            || eas_seal_mac(worker->ring, 0, EAS_SEAL_CSRF, &part, 1, mac, &err) != EAS_OK
            || eas_seal_mac_check(worker->ring, EAS_SEAL_CSRF, &part, 1,
                                  eas_bytes_make(mac, sizeof(mac)), &err)
                   != EAS_OK;
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void test_eight_threads(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "ab");
    struct worker workers[UNIT_THREADS];
    size_t i;

    for (i = 0; i < UNIT_THREADS; i++) {
        workers[i] = (struct worker){ ring, 0 };
    }
    unit_run_threads(*state, work, workers, sizeof(workers[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(workers[i].failures, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_macs_differ_in_every_respect),
        POOL_TEST(test_mac_check),
        POOL_TEST(test_text_round_trips),
        POOL_TEST(test_text_of_other_forms_is_refused),
        POOL_TEST(test_every_short_text),
        POOL_TEST(test_eight_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
