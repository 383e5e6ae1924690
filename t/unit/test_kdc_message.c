/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_message.c - guesses, replies and error codes, from DER by hand */

#include "t/unit/unit.h"

#include "auth/kerberos/kdc_message.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(text) eas_bytes_make(text, sizeof(text) - 1)

/* PA-DATA with a type of one octet, and of two. */
#define PA(type) "\x30\x09\xa1\x03\x02\x01" type "\xa2\x02\x04\x00"
#define PA2(type) "\x30\x0a\xa1\x04\x02\x02\x00" type "\xa2\x02\x04\x00"
#define AS_REQ_HEAD(len, inner) "\x6a" len "\x30" inner "\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a"

static void test_guesses(void **state)
{
    const struct {
        struct eas_bytes message;
        bool alone, in_conversation;
    } rows[] = {
        { BYTES(AS_REQ_HEAD("\x10", "\x0e") "\xa4\x02\x30\x00"), false, false },
        { BYTES(AS_REQ_HEAD("\x1b", "\x19") "\xa3\x0d\x30\x0b" PA("\x10")), false, false },
        { BYTES(AS_REQ_HEAD("\x1b", "\x19") "\xa3\x0d\x30\x0b" PA("\x02")), true, true },
        { BYTES(AS_REQ_HEAD("\x1c", "\x1a") "\xa3\x0e\x30\x0c" PA2("\x8a")), true, true },
        { BYTES(AS_REQ_HEAD("\x1c", "\x1a") "\xa3\x0e\x30\x0c" PA2("\x88")), false, true },
        { BYTES(AS_REQ_HEAD("\x1c", "\x1a") "\xa3\x0e\x30\x0c" PA2("\x95")), false, false },
        { BYTES(AS_REQ_HEAD("\x1c", "\x1a") "\xa3\x0e\x30\x0c" PA2("\x97")), true, true },
        { BYTES(AS_REQ_HEAD("\x26", "\x24") "\xa3\x18\x30\x16" PA("\x10") PA("\x02")), true, true },
        { BYTES("\x6c\x02\x30\x00"), false, false }, /* a TGS-REQ */
        { BYTES("\x6e\x02\x30\x00"), true, true },   /* neither */
        { BYTES(""), true, true },
        { BYTES("\x6a"), true, true },
        { BYTES("\x6a\x84\xff\xff\xff\xff"), true, true },
        { BYTES("\x6a\x80\x30\x00"), true, true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_kdc_message_is_guess(rows[i].message, false) != rows[i].alone
            || eas_kdc_message_is_guess(rows[i].message, true) != rows[i].in_conversation) {
            fail_msg("row %d", (int)i);
        }
    }
}

/* Each cut of a guess is a guess: what cannot be read is not sent twice. */
static void test_cut_guess_is_a_guess(void **state)
{
    static const char message[] = AS_REQ_HEAD("\x1b", "\x19") "\xa3\x0d\x30\x0b" PA("\x02");
    size_t len;

    (void)state;
    for (len = 0; len < sizeof(message); len++) {
        char *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy, message, len);
        assert_true(eas_kdc_message_is_guess(eas_bytes_make(copy, len), false));
        free(copy);
    }
}

static void test_replies(void **state)
{
    const struct {
        struct eas_bytes message;
        bool is_reply;
    } rows[] = {
        { BYTES("\x6b\x02\x30\x00"), true },  { BYTES("\x6d\x02\x30\x00"), true },
        { BYTES("\x7e\x02\x30\x00"), true },  { BYTES("\x6a\x02\x30\x00"), false },
        { BYTES("\x6b\x03\x30\x00"), false }, { BYTES("\x6b\x01\x30\x00"), false },
        { BYTES("HTTP/1.1"), false },         { BYTES(""), false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(eas_kdc_message_is_reply(rows[i].message), rows[i].is_reply);
    }
}

static void test_error_codes(void **state)
{
    (void)state;
    assert_int_equal(eas_kdc_message_error(BYTES("\x7e\x07\x30\x05\xa6\x03\x02\x01\x1d")), 29);
    assert_int_equal(eas_kdc_message_error(BYTES("\x7e\x0c\x30\x0a\xa5\x03\x02\x01\x07"
                                                 "\xa6\x03\x02\x01\x19")),
                     25);
    assert_int_equal(eas_kdc_message_error(BYTES("\x7e\x08\x30\x06\xa6\x04\x02\x02\x01\x00")), 256);
    assert_int_equal(eas_kdc_message_error(BYTES("\x7e\x07\x30\x05\xa5\x03\x02\x01\x1d")), -1);
    assert_int_equal(eas_kdc_message_error(BYTES("\x6b\x07\x30\x05\xa6\x03\x02\x01\x1d")), -1);
    assert_int_equal(eas_kdc_message_error(BYTES("\x7e\x07\x30\x05\xa6\x03\x02\x01")), -1);
    assert_int_equal(eas_kdc_message_error(BYTES("")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_cut_guess_is_a_guess),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_error_codes),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
