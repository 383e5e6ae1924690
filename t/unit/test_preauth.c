/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_preauth.c - Pre-authentication data of a KDC's answer */

#include "t/unit/unit.h"

#include "auth/kerberos/preauth.h"

#include <string.h>

/* PA-DATA; all lengths are below 128. */
#define PA_FX_FAST "\x30\x0a\xa1\x04\x02\x02\x00\x88\xa2\x02\x04\x00"
#define PA_FX_FAST_REPLY "\x30\x0c\xa1\x04\x02\x02\x00\x88\xa2\x04\x04\x02xx"
#define PA_ENC_TIMESTAMP "\x30\x09\xa1\x03\x02\x01\x02\xa2\x02\x04\x00"
#define ENTRY_AES "\x30\x0e\xa0\x03\x02\x01\x12\xa1\x07\x1b\x05TESTx"
#define ENTRY_AES128 "\x30\x16\xa0\x03\x02\x01\x11\xa1\x07\x1b\x05TESTx\xa2\x06\x04\x04\0\1\0\2"
#define ENTRY_WEAK "\x30\x16\xa0\x03\x02\x01\x12\xa1\x07\x1b\x05TESTx\xa2\x06\x04\x04\0\0\x0f\xff"
#define ENTRY_LONG "\x30\x16\xa0\x03\x02\x01\x12\xa1\x07\x1b\x05TESTx\xa2\x06\x04\x04\1\0\0\0"
#define ENTRY_OTHER "\x30\x13\xa0\x03\x02\x01\x12\xa1\x07\x1b\x05TESTx\xa2\x03\x04\x01\1"
#define ENTRY_RC4 "\x30\x05\xa0\x03\x02\x01\x17"
#define PA_ETYPE_INFO2 "\x30\x22\xa1\x03\x02\x01\x13\xa2\x1b\x04\x19\x30\x17" ENTRY_RC4 ENTRY_AES
#define PA_ETYPE_INFO2_RC4 "\x30\x12\xa1\x03\x02\x01\x13\xa2\x0b\x04\x09\x30\x07" ENTRY_RC4
#define PA_ETYPE_INFO2_COUNT "\x30\x23\xa1\x03\x02\x01\x13\xa2\x1c\x04\x1a\x30\x18" ENTRY_AES128
#define PA_ETYPE_INFO2_NUL                                                                         \
    "\x30\x1b\xa1\x03\x02\x01\x13\xa2\x14\x04\x12\x30\x10\x30\x0e\xa0\x03\x02\x01\x12\xa1\x07\x1b" \
    "\x05TE\0Tx"

#define ROW(text, octets, fast, armoured, ...)                                                     \
    {                                                                                              \
        text, { (const unsigned char *)(octets), sizeof(octets) - 1 }, fast, armoured, __VA_ARGS__ \
    }

static const struct {
    const char *what;
    struct eas_bytes octets;
    bool offers_fast, is_fast;
    const char *salt;
} errors[] = {
    ROW("nothing", "", false, false, ""),
    ROW("FAST and a salt", "\x30\x3b" PA_FX_FAST PA_ETYPE_INFO2 PA_ENC_TIMESTAMP, true, false,
        "TESTx"),
    ROW("AES128 with an iteration count", "\x30\x25" PA_ETYPE_INFO2_COUNT, false, false, "TESTx"),
    ROW("no FAST", "\x30\x2f" PA_ETYPE_INFO2 PA_ENC_TIMESTAMP, false, false, "TESTx"),
    ROW("RC4 alone", "\x30\x14" PA_ETYPE_INFO2_RC4, false, false, ""),
    ROW("a salt with a NUL", "\x30\x1d" PA_ETYPE_INFO2_NUL, false, false, ""),
    ROW("an armoured answer", "\x30\x0e" PA_FX_FAST_REPLY, false, true, ""),
    ROW("an NTSTATUS",
        "\x30\x15\xa1\x03\x02\x01\x03\xa2\x0e\x04\x0c\x34\x02\x00\xc0\0\0\0\0\1\0\0\0", false,
        false, ""),
};

static void test_errors(void **state)
{
    struct eas_preauth preauth;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(errors); i++) {
        memset(&preauth, 0xa5, sizeof(preauth));
        eas_preauth_read_error(errors[i].octets, &preauth);
        if (preauth.offers_fast != errors[i].offers_fast || preauth.is_fast != errors[i].is_fast
            || strcmp(preauth.salt, errors[i].salt) != 0) {
            fail_msg("%s: %d %d %s", errors[i].what, preauth.offers_fast, preauth.is_fast,
                     preauth.salt);
        }
    }
}

/* ETYPE-INFO2, and the first entry of an enctype in it. */
static void test_salt_and_count_of_a_key(void **state)
{
    static const struct {
        struct eas_bytes octets;
        int enctype;
        uint32_t iterations; /* 0: none is found */
    } rows[] = {
#define ENTRIES(octets) { (const unsigned char *)(octets), sizeof(octets) - 1 }
        { ENTRIES("\x30\x17" ENTRY_RC4 ENTRY_AES), 18, 4096 },
        { ENTRIES("\x30\x28" ENTRY_AES ENTRY_AES128), 17, 0x10002 },
        { ENTRIES("\x30\x28" ENTRY_WEAK ENTRY_AES), 18, 0 },
        { ENTRIES("\x30\x18" ENTRY_LONG), 18, 0 },
        { ENTRIES("\x30\x15" ENTRY_OTHER), 18, 0 },
        { ENTRIES("\x30\x17" ENTRY_RC4 ENTRY_AES), 23, 0 },
        { ENTRIES("\x30\x17" ENTRY_RC4 ENTRY_AES), 17, 0 },
        { ENTRIES(""), 18, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_string_to_key key = { .enctype = rows[i].enctype };

        assert_int_equal(eas_preauth_find_key(rows[i].octets, &key), rows[i].iterations > 0);
        if (rows[i].iterations > 0) {
            assert_int_equal(key.enctype, rows[i].enctype);
            assert_int_equal(key.iterations, rows[i].iterations);
            assert_int_equal(key.salt.len, 5);
            assert_memory_equal(key.salt.at, "TESTx", 5);
        }
    }
}

/* Each beginning of the longest row, at the end of its memory. */
static void test_truncated_errors(void **state)
{
    const struct eas_bytes whole = errors[1].octets;
    struct eas_preauth preauth;
    size_t len;

    (void)state;
    for (len = 0; len < whole.len; len++) {
        unsigned char *copy = test_malloc(len);

        memcpy(copy, whole.at, len);
        eas_preauth_read_error(eas_bytes_make(copy, len), &preauth);
        assert_false(preauth.offers_fast);
        assert_string_equal(preauth.salt, "");
        test_free(copy);
    }
}

static void test_replies(void **state)
{
#define HEAD "\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0b"
    static const char salted[] = "\x6b\x34\x30\x32" HEAD "\xa2\x26\x30\x24" PA_ETYPE_INFO2;
    static const char bare[] = "\x6b\x0c\x30\x0a" HEAD;
    static const char tgs_rep[] = "\x6d\x0c\x30\x0a" HEAD;
    struct eas_preauth preauth;

    (void)state;
    assert_true(eas_preauth_read_reply(eas_bytes_make(salted, sizeof(salted) - 1), &preauth));
    assert_string_equal(preauth.salt, "TESTx");
    assert_true(preauth.is_reply);
    assert_true(eas_preauth_read_reply(eas_bytes_make(bare, sizeof(bare) - 1), &preauth));
    assert_string_equal(preauth.salt, "");
    assert_false(eas_preauth_read_reply(eas_bytes_make(bare, sizeof(bare) - 2), &preauth));
    assert_false(eas_preauth_read_reply(eas_bytes_make(tgs_rep, sizeof(tgs_rep) - 1), &preauth));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_salt_and_count_of_a_key),
        cmocka_unit_test(test_truncated_errors),
        cmocka_unit_test(test_replies),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
