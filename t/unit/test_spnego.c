/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_spnego.c - SPNEGO around a Kerberos message */

#include "t/unit/der.h"
#include "t/unit/unit.h"

#include "auth/kerberos/spnego.h"

#include <stdlib.h>
#include <string.h>

/* Kerberos' OID and the TOK_ID, before the AP-REQ in the innermost token. */
#define INNER_OVERHEAD 13

static const unsigned char *init_token(apr_pool_t *pool, const void *ap_req, apr_size_t ap_req_len,
                                       apr_size_t *len)
{
    apr_size_t room = ap_req_len + EAS_SPNEGO_INIT_MAX;
    struct eas_der der = eas_der_begin(apr_palloc(pool, room), room);

    eas_der_put(&der, ap_req, ap_req_len);
    eas_spnego_wrap_init(&der);
    *len = (apr_size_t)(der.end - der.at);
    return der.at;
}

static bool find_ap_rep(const void *token, apr_size_t len, struct eas_bytes *ap_rep)
{
    return eas_spnego_find_ap_rep((struct eas_bytes){ token, len }, ap_rep);
}

static void test_small_token_to_the_octet(void **state)
{
    static const unsigned char expected[] = {
        0x60, 0x31,                                     /* InitialContextToken */
        0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02, /* SPNEGO */
        0xa0, 0x27, 0x30, 0x25,                         /* NegTokenInit */
        0xa0, 0x0d, 0x30, 0x0b,                         /* mechTypes */
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12,
        0x01, 0x02, 0x02, 0xa2, 0x14, 0x04, 0x12, /* mechToken */
        0x60, 0x10,                               /* InitialContextToken */
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12,
        0x01, 0x02, 0x02, 0x01, 0x00, 'a',  'b',  'c', /* TOK_ID, AP-REQ */
    };
    apr_size_t len;
    const unsigned char *token = init_token(*state, "abc", 3, &len);

    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(token, expected, sizeof(expected));
}

static void assert_round_trip(const unsigned char *ap_req, apr_size_t ap_req_len)
{
    apr_pool_t *pool;
    struct der_text text, inner;
    const unsigned char *token;
    apr_size_t len;

    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    token = init_token(pool, ap_req, ap_req_len, &len);
    text = der_begin(token, len);
    inner = der_enter_spnego(&text);
    assert_int_equal(der_left(&inner), ap_req_len);
    assert_memory_equal(inner.at, ap_req, ap_req_len);
    apr_pool_destroy(pool);
}

/* All lengths at which a nested length grows by an octet: within 100 octets of each other. */
static void test_lengths_around_each_boundary(void **state)
{
    static const apr_size_t boundaries[] = { 0x80, 0x100, 0x10000 };
    static unsigned char ap_req[0x10000 + 128];
    apr_size_t i, len;

    (void)state;
    for (i = 0; i < sizeof(ap_req); i++) {
        ap_req[i] = (unsigned char)(i * 31 + 7);
    }
    for (i = 0; i < COUNT_OF(boundaries); i++) {
        for (len = boundaries[i] - 120; len <= boundaries[i] + 16; len++) {
            assert_round_trip(ap_req, len);
        }
    }
}

/* The length octets of the innermost token themselves. */
static void test_form_of_lengths(void **state)
{
    static const struct {
        apr_size_t len;
        const char *octets;
        apr_size_t n_octets;
    } rows[] = {
        { 127, "\x7f", 1 },         { 128, "\x81\x80", 2 },       { 255, "\x81\xff", 2 },
        { 256, "\x82\x01\x00", 3 }, { 65535, "\x82\xff\xff", 3 }, { 65536, "\x83\x01\x00\x00", 4 },
    };
    static const unsigned char ap_req[65536];
    apr_size_t i, len;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const unsigned char *token = init_token(*state, ap_req, rows[i].len - INNER_OVERHEAD, &len);
        const unsigned char *inner = token + len - rows[i].len;

        assert_memory_equal(inner - rows[i].n_octets, rows[i].octets, rows[i].n_octets);
        assert_int_equal(inner[-1 - (int)rows[i].n_octets], 0x60);
    }
}

static void test_token_without_an_ap_req_is_still_der(void **state)
{
    struct der_text text, inner;
    const unsigned char *token;
    apr_size_t len;

    token = init_token(*state, "", 0, &len);
    text = der_begin(token, len);
    inner = der_enter_spnego(&text);
    der_done(&inner);
}

/* A NegTokenResp as MIT's acceptor makes it, with `abc` instead of the AP-REP. */
static const unsigned char response[] = {
    0xa1, 0x2a, 0x30, 0x28,                                     /* NegTokenResp */
    0xa0, 0x03, 0x0a, 0x01, 0x00,                               /* accept-completed */
    0xa1, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,                   /* Kerberos */
    0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0xa2, 0x14, 0x04, 0x12, /* responseToken */
    0x60, 0x10, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12,
    0x01, 0x02, 0x02, 0x02, 0x00, 'a',  'b',  'c', /* TOK_ID, AP-REP */
};

static void test_ap_rep_is_found(void **state)
{
    struct eas_bytes ap_rep;

    (void)state;
    assert_true(find_ap_rep(response, sizeof(response), &ap_rep));
    assert_int_equal(ap_rep.len, 3);
    assert_memory_equal(ap_rep.at, "abc", 3);
}

/* In both places. */
static void test_windows_oid(void **state)
{
    unsigned char copy[sizeof(response)];
    struct eas_bytes ap_rep;

    (void)state;
    memcpy(copy, response, sizeof(copy));
    copy[16] = copy[33] = 0x82;
    assert_true(find_ap_rep(copy, sizeof(copy), &ap_rep));
}

/* In a block of its own size, so that valgrind reports a read beyond it. */
static void assert_refused(const unsigned char *bytes, apr_size_t len)
{
    unsigned char *copy = malloc(len > 0 ? len : 1);
    struct eas_bytes ap_rep;

    memcpy(copy, bytes, len);
    assert_false(find_ap_rep(copy, len, &ap_rep));
    free(copy);
}

static void test_cut_response(void **state)
{
    apr_size_t len;

    (void)state;
    for (len = 0; len < sizeof(response); len++) {
        assert_refused(response, len);
    }
}

static void test_octets_after_the_response(void **state)
{
    unsigned char copy[sizeof(response) + 1] = { 0 };

    (void)state;
    memcpy(copy, response, sizeof(response));
    assert_refused(copy, sizeof(copy));
}

/* Each octet with each value: the AP-REP lies within the token. */
static void test_changed_octets(void **state)
{
    unsigned char copy[sizeof(response)];
    struct eas_bytes ap_rep;
    apr_size_t i;
    unsigned value;

    (void)state;
    for (i = 0; i < sizeof(response); i++) {
        memcpy(copy, response, sizeof(copy));
        for (value = 0; value < 256; value++) {
            copy[i] = (unsigned char)value;
            if (find_ap_rep(copy, sizeof(copy), &ap_rep)) {
                assert_true(ap_rep.at >= copy && ap_rep.at + ap_rep.len <= copy + sizeof(copy));
                /* Unchanged, in the AP-REP, or an OID of Windows. */
                assert_true(value == response[i] || i >= sizeof(response) - 3
                            || (value == 0x82 && (i == 16 || i == 33)));
            }
        }
    }
}

static void test_rejected_and_incomplete_states(void **state)
{
    unsigned char copy[sizeof(response)];

    (void)state;
    memcpy(copy, response, sizeof(copy));
    for (copy[8] = 1; copy[8] < 4; copy[8]++) {
        assert_refused(copy, sizeof(copy));
    }
}

static void test_responses_without_a_token(void **state)
{
    static const struct {
        const char *octets;
        apr_size_t len;
        bool bare;
    } rows[] = {
#define ROW(octets, bare) { octets, sizeof(octets) - 1, bare }
        ROW("\xa1\x07\x30\x05\xa0\x03\x0a\x01\x00", true), /* accept-completed */
        ROW("\xa1\x07\x30\x05\xa0\x03\x0a\x01\x02", true), /* reject */
        ROW("\xa1\x14\x30\x12\xa0\x03\x0a\x01\x00\xa1\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02",
            true),                      /* gokrb5 */
        ROW("\xa1\x02\x30\x00", false), /* no state */
        ROW("\xa1\x00", false),         /* no sequence */
        ROW("\xa1\x08\x30\x05\xa0\x03\x0a\x01\x00\x00", false),
        ROW("\xa1\x84\xff\xff\xff\xff\x30\x05\xa0\x03\x0a\x01\x00", false),
        ROW("\xa1\x0b\x30\x09\xa0\x03\x0a\x01\x00\xa2\x02\x04\x00", false), /* an empty token */
        ROW("\xa1\x0b\x30\x09\xa0\x03\x0a\x01\x00\xa3\x02\x04\x00", false), /* a MIC */
        ROW("", false),
#undef ROW
    };
    apr_size_t i;

    (void)state;
    assert_false(eas_spnego_is_bare(eas_bytes_make(response, sizeof(response))));
    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(eas_spnego_is_bare(eas_bytes_make(rows[i].octets, rows[i].len)),
                         rows[i].bare);
    }
}

/* A NegTokenInit of Windows: its OID first, then Kerberos' and NTLM's; reqFlags; a MIC behind. */
static const unsigned char windows[] = {
    0x60, 0x5a, 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02, 0xa0, 0x50, 0x30, 0x4e, /* */
    0xa0, 0x24, 0x30, 0x22,                                                             /* */
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02,                   /* */
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02,                   /* */
    0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a,             /* */
    0xa1, 0x04, 0x03, 0x02, 0x01, 0x06,                                                 /* */
    0xa2, 0x14, 0x04, 0x12, 0x60, 0x10, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12,
    0x01, 0x02, 0x02, 0x01, 0x00, 'a',  'b',  'c', /* */
    0xa3, 0x0a, 0x04, 0x08, 1,    2,    3,    4,    5,    6,    7,    8,
};

static void test_token_of_windows(void **state)
{
    struct eas_spnego_init init;
    unsigned char room[128];
    struct eas_der der = eas_der_begin(room, sizeof(room));
    struct eas_bytes ap_rep;

    (void)state;
    assert_true(eas_spnego_find_ap_req(eas_bytes_make(windows, sizeof(windows)), &init));
    assert_int_equal(init.ap_req.len, 3);
    assert_memory_equal(init.ap_req.at, "abc", 3);
    assert_int_equal(init.mechanism.len, 11);
    assert_memory_equal(init.mechanism.at, windows + 18, 11);

    eas_der_put(&der, "xyz", 3);
    eas_spnego_wrap_response(&der, &init);
    assert_true(find_ap_rep(der.at, (apr_size_t)(der.end - der.at), &ap_rep));
    assert_memory_equal(ap_rep.at, "xyz", 3);
    assert_memory_equal(der.at + 11, init.mechanism.at, 11);
}

/* In a block of its own size; a token that is read lies within it. */
static bool reads(const unsigned char *bytes, apr_size_t len)
{
    unsigned char *copy = malloc(len > 0 ? len : 1);
    struct eas_spnego_init init;
    bool found;

    memcpy(copy, bytes, len);
    found = eas_spnego_find_ap_req(eas_bytes_make(copy, len), &init);
    assert_true(!found
                || (init.ap_req.at >= copy && init.ap_req.at + init.ap_req.len <= copy + len));
    free(copy);
    return found;
}

static void test_tokens_that_are_refused(void **state)
{
    unsigned char copy[sizeof(windows)];
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(windows); i++) {
        assert_false(reads(windows, i));
        memcpy(copy, windows, sizeof(copy));
        copy[i] ^= 0xff;
        reads(copy, sizeof(copy));
    }
    memcpy(copy, windows, sizeof(copy));
    memcpy(copy + 18, windows + 29, 11); /* Kerberos' own OID first */
    assert_true(reads(copy, sizeof(copy)));
    copy[18 + 10] = 0x03; /* user to user */
    assert_false(reads(copy, sizeof(copy)));
    assert_true(reads(windows + 62, 18)); /* Kerberos' token alone */
    assert_false(reads((const unsigned char *)"NTLMSSP", 8));
}

static void test_challenges_of_a_header(void **state)
{
    static const struct {
        const char *value;
        const char *first;
        const char *second;
    } rows[] = {
        { "Negotiate oYG2", "Negotiate oYG2", NULL },
        { "negotiate   oYG2==  ", "negotiate   oYG2==", NULL },
        { "Negotiate oYG2, NTLM", "Negotiate oYG2", NULL },
        { "NTLM,Negotiate oYG2", "Negotiate oYG2", NULL },
        { ", ,NTLM\t,\tNegotiate oYG2,,", "Negotiate oYG2", NULL },
        { "Negotiate a, Negotiate b", "Negotiate a", "Negotiate b" },
        { "Negotiate a Negotiate b", "Negotiate a Negotiate b", NULL },
        { "Basic realm=\"a, Negotiate b\", Negotiate c", "Negotiate c", NULL },
        { "Basic realm=\"\\\", Negotiate b\", Negotiate c", "Negotiate c", NULL },
        { "Basic realm=\"a, Negotiate b", NULL, NULL },
        { "Basic realm=\"a\\", NULL, NULL },
        { "Negotiate", NULL, NULL },
        { "Negotiate ", NULL, NULL },
        { "Negotiate , a", NULL, NULL },
        { "Negotiates oYG2", NULL, NULL },
        { "", NULL, NULL },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *value = rows[i].value, *expected[] = { rows[i].first, rows[i].second, NULL };
        size_t j = 0;
        const char *found;

        while ((found = eas_spnego_next_challenge(*state, &value)) != NULL) {
            assert_non_null(expected[j]);
            assert_string_equal(found, expected[j]);
            j++;
        }
        assert_null(expected[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_small_token_to_the_octet),
        POOL_TEST(test_lengths_around_each_boundary),
        POOL_TEST(test_form_of_lengths),
        POOL_TEST(test_token_without_an_ap_req_is_still_der),
        POOL_TEST(test_ap_rep_is_found),
        POOL_TEST(test_windows_oid),
        POOL_TEST(test_cut_response),
        POOL_TEST(test_octets_after_the_response),
        POOL_TEST(test_changed_octets),
        POOL_TEST(test_rejected_and_incomplete_states),
        POOL_TEST(test_responses_without_a_token),
        POOL_TEST(test_token_of_windows),
        POOL_TEST(test_tokens_that_are_refused),
        POOL_TEST(test_challenges_of_a_header),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
