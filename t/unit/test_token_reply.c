/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_token_reply.c - verification of the reply to a token */

#include "t/unit/tokens.h"

static void assert_verified(struct fixture *f, struct eas_pending_ap *pending, const char *reply,
                            enum eas_rc expected)
{
    struct eas_err err = { EAS_OK, 0, "" };

    assert_int_equal(eas_token_verify(f->pool, pending, reply, &err), expected);
    assert_int_equal(err.tag, expected == EAS_OK ? 0 : 2053);
}

/* A new token for each: after a wrong reply, GSSAPI accepts no other. */
static void assert_wrong(struct fixture *f, const char *reply)
{
    assert_verified(f, make_token(f, make_ticket(f, 3600)).pending, reply, EAS_BACKEND);
}

static void test_reply_to_another_token(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct eas_token one = make_token(f, ticket), two = make_token(f, ticket);
    struct eas_token three = make_token(f, ticket);
    struct accepted a = accept_token(f, one.value, NULL);
    struct accepted b = accept_token(f, two.value, NULL);

    assert_verified(f, one.pending, a.reply, EAS_OK);
    assert_verified(f, three.pending, a.reply, EAS_BACKEND); /* replayed */
    assert_verified(f, two.pending, b.reply, EAS_OK);
    forget_accepted(&a);
    forget_accepted(&b);
}

/* The module tries each token of a response; GSSAPI's context ends with the first wrong one. */
static void test_reply_after_a_wrong_one(void **state)
{
    struct fixture *f = *state;
    struct eas_token made = make_token(f, make_ticket(f, 3600));
    struct accepted a = accept_token(f, made.value, NULL);

    assert_verified(f, made.pending, "Negotiate oQA=", EAS_BACKEND);
    assert_verified(f, made.pending, a.reply, f->by == EAS_TOKEN_NATIVE ? EAS_OK : EAS_BACKEND);
    forget_accepted(&a);
}

static void test_reply_with_another_key(void **state)
{
    struct fixture *f = *state;
    struct eas_token theirs = make_token(f, make_ticket(f, 3600));
    struct accepted a = accept_token(f, theirs.value, NULL);

    assert_wrong(f, a.reply);
    forget_accepted(&a);
}

static const char *as_value(struct fixture *f, const void *octets, size_t len)
{
    return apr_pstrcat(f->pool, "Negotiate ",
                       apr_pencode_base64_binary(f->pool, octets, (apr_ssize_t)len, 0, NULL), NULL);
}

/* The octets of the reply to a token, for a change. */
struct answered {
    struct eas_pending_ap *pending;
    unsigned char *octets;
    size_t len;
    size_t ap_rep; /* with its TOK_ID; the last of the octets */
};

static struct answered answer(struct fixture *f, const struct eas_ticket *ticket)
{
    struct eas_token made = make_token(f, ticket);
    struct accepted a = accept_token(f, made.value, NULL);
    struct der_text token = octets_of(f, a.reply);
    struct answered answered = { made.pending, apr_pmemdup(f->pool, token.at, der_left(&token)),
                                 der_left(&token), 0 };
    unsigned char *framed = memmem(answered.octets, answered.len, "\x02\x00\x6f", 3);

    assert_non_null(framed);
    answered.ap_rep = (size_t)(framed - answered.octets);
    forget_accepted(&a);
    return answered;
}

/* libgssapi_krb5 1.20 reads the message type from the APPLICATION tag alone. */
static bool is_msg_type(const struct answered *a, size_t at)
{
    return memcmp(a->octets + at - 4, "\xa1\x03\x02\x01", 4) == 0;
}

/* Each octet.  A kvno is not verified; libkrb5 sends none. */
static void test_reply_that_was_changed(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct answered a = answer(f, ticket);
    size_t i;

    assert_verified(f, a.pending, as_value(f, a.octets, a.len), EAS_OK);
    for (i = 0; a = answer(f, ticket), a.ap_rep + i < a.len; i++) {
        if (f->by == EAS_TOKEN_NATIVE || !is_msg_type(&a, a.ap_rep + i)) {
            a.octets[a.ap_rep + i] ^= 1;
            assert_verified(f, a.pending, as_value(f, a.octets, a.len), EAS_BACKEND);
        }
    }
}

static void test_reply_that_was_cut(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    struct answered a;
    size_t cut;

    for (cut = 1; a = answer(f, ticket), cut < a.len; cut++) {
        assert_verified(f, a.pending, as_value(f, a.octets, a.len - cut), EAS_BACKEND);
    }
}

/* A NegTokenResp with an AP-REP of this encrypted part. */
static struct blob reply_with(struct blob encrypted)
{
    static const unsigned char completed[] = { 0x0a, 0x01, 0x00 };
    static const unsigned char framing[] = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02\x00";
    struct blob ap_rep = { .len = 0 }, framed = bytes(framing, sizeof(framing) - 1);
    struct blob resp = { .len = 0 };

    field(&ap_rep, 0, integer(5));
    field(&ap_rep, 1, integer(15));
    field(&ap_rep, 2, encrypted);
    append(&framed, tlv(0x6f, tlv(0x30, ap_rep)));
    field(&resp, 0, bytes(completed, sizeof(completed)));
    field(&resp, 2, tlv(0x04, tlv(0x60, framed)));
    return tlv(0xa1, tlv(0x30, resp));
}

/* EncAPRepPart (RFC 4120 section 5.5.2) with the authenticator's time. */
static struct blob enc_ap_rep_part(const krb5_authenticator *authenticator)
{
    const unsigned char cusec[] = { 0, (unsigned char)(authenticator->cusec >> 16),
                                    (unsigned char)(authenticator->cusec >> 8),
                                    (unsigned char)authenticator->cusec };
    size_t skip = 0;
    struct blob part = { .len = 0 };

    while (skip < 3 && cusec[skip] == 0 && cusec[skip + 1] < 0x80) {
        skip++; /* DER has the shortest form */
    }
    field(&part, 0, kerberos_time((time_t)(uint32_t)authenticator->ctime));
    field(&part, 1, tlv(0x02, bytes(cusec + skip, sizeof(cusec) - skip)));
    return tlv(0x7b, tlv(0x30, part));
}

/* A new token, and the part of the reply to it. */
struct started {
    struct eas_pending_ap *pending;
    struct blob part;
};

static struct started start_exchange(struct fixture *f, const struct eas_ticket *ticket,
                                     int error_of_time)
{
    struct eas_token made = make_token(f, ticket);
    struct request request = read_request(f, made.value);
    struct started started = { .pending = made.pending };

    request.authenticator->cusec ^= error_of_time;
    started.part = enc_ap_rep_part(request.authenticator);
    close_request(f, &request);
    return started;
}

static void assert_reply(struct fixture *f, const struct started *started, struct blob encrypted,
                         enum eas_rc expected)
{
    struct blob reply = reply_with(encrypted);

    assert_verified(f, started->pending, as_value(f, reply.bytes, reply.len), expected);
}

/* The smallest valid reply; then with another key usage, another time, or cut. */
static void test_reply_by_hand(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    const krb5_keyblock *key = &eas_ticket_creds(ticket)->keyblock;
    struct started s = start_exchange(f, ticket, 0);
    size_t len;

    assert_reply(f, &s, encrypted(f->ctx, key, USAGE_AP_REP, s.part), EAS_OK);
    s = start_exchange(f, ticket, 0);
    assert_reply(f, &s, encrypted(f->ctx, key, USAGE_AUTHENTICATOR, s.part), EAS_BACKEND);
    for (len = 0; s = start_exchange(f, ticket, 0), len < s.part.len; len++) {
        assert_reply(f, &s, encrypted(f->ctx, key, USAGE_AP_REP, bytes(s.part.bytes, len)),
                     EAS_BACKEND);
    }
    s = start_exchange(f, ticket, 1);
    assert_reply(f, &s, encrypted(f->ctx, key, USAGE_AP_REP, s.part), EAS_BACKEND);
}

/* The SPNEGO token around it is valid. */
static void test_encrypted_part_that_was_cut(void **state)
{
    struct fixture *f = *state;
    struct eas_ticket *ticket = make_ticket(f, 3600);
    const krb5_keyblock *key = &eas_ticket_creds(ticket)->keyblock;
    size_t len = 0, whole_len;

    do {
        struct started s = start_exchange(f, ticket, 0);
        struct blob whole = encrypted(f->ctx, key, USAGE_AP_REP, s.part);

        whole_len = whole.len;
        assert_reply(f, &s, bytes(whole.bytes, len), EAS_BACKEND);
    } while (++len < whole_len);
}

/* Encrypted with the right key, with the right time, but by the client. */
static void test_own_request_as_reply(void **state)
{
    struct fixture *f = *state;
    struct eas_token made = make_token(f, make_ticket(f, 3600)), other;
    struct der_text token = octets_of(f, made.value), ap_req = der_enter_spnego(&token), fields,
                    last;
    struct blob reply;
    unsigned char n;

    fields = der_enter(&ap_req, 0x6e);
    fields = der_enter(&fields, 0x30);
    for (n = 0; n < 4; n++) {
        der_enter(&fields, 0xa0 | n);
    }
    last = der_enter(&fields, 0xa4);
    reply = reply_with(bytes(last.at, der_left(&last)));
    assert_verified(f, made.pending, as_value(f, reply.bytes, reply.len), EAS_BACKEND);
    other = make_token(f, make_ticket(f, 3600));
    assert_verified(f, other.pending, other.value, EAS_BACKEND);
}

/* Both sides of the exchange, with each enctype that Active Directory may choose. */
static void test_each_enctype(void **state)
{
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(session_enctypes); i++) {
        struct eas_ticket *ticket = make_ticket_for(f, 3600, session_enctypes[i]);
        struct eas_token made = make_token(f, ticket);
        struct accepted a = accept_token(f, made.value, NULL);

        assert_int_equal(a.major, GSS_S_COMPLETE);
        assert_name(a.client, CLIENT);
        assert_verified(f, made.pending, a.reply, EAS_OK);
        forget_accepted(&a);
    }
}

static void test_values_without_a_reply(void **state)
{
    static const char *const values[] = { "",
                                          "Negotiate",
                                          "Negotiate ",
                                          "NTLM TlRM",
                                          "Negotiate YII",
                                          "Negotiate ====",
                                          "Negotiate oQcwBaADCgEA" };
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(values); i++) {
        assert_wrong(f, values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_reply_to_another_token),
        TOKEN_TEST(test_reply_after_a_wrong_one),
        TOKEN_TEST(test_reply_with_another_key),
        TOKEN_TEST(test_reply_that_was_changed),
        TOKEN_TEST(test_reply_that_was_cut),
        TOKEN_TEST(test_reply_by_hand),
        TOKEN_TEST(test_encrypted_part_that_was_cut),
        TOKEN_TEST(test_own_request_as_reply),
        TOKEN_TEST(test_each_enctype),
        TOKEN_TEST(test_values_without_a_reply),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
