/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_reply.c - fuzz target of delegation/kerberos: token, spnego, ap, der */

#include "t/fuzz/fuzz.h"

#include "delegation/kerberos/ap.h"
#include "auth/kerberos/spnego.h"
#include "delegation/kerberos/token.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <time.h>

#define USAGE_AP_REP 12
#define REPLY_MAX 4096

/* 2027-01-15 08:00:00 UTC; as EncAPRepPart has it, RFC 4120 section 5.5.2. */
static const struct eas_ap_time sent_at = { 1800000000, 123456 };
static const unsigned char right_part[] = "\x7b\x1c\x30\x1a"
                                          "\xa0\x11\x18\x0f"
                                          "20270115080000Z"
                                          "\xa1\x05\x02\x03\x01\xe2\x40";
#define RIGHT_PART eas_bytes_make(right_part, sizeof(right_part) - 1)

/* All inputs share it; it lasts. */
static struct {
    krb5_context ctx;
    krb5_keyblock session;
    struct eas_ticket_key *key;
    struct eas_token_maker *maker;
    struct eas_token token;
    struct eas_bytes cipher; /* of the right part */
    struct eas_bytes reply;  /* with it */
} shared;

/* --- replies ---------------------------------------------------------------------------------- */

static struct eas_bytes encrypt(apr_pool_t *pool, struct eas_bytes plain)
{
    krb5_data in = { 0, (unsigned)plain.len, (char *)plain.at };
    krb5_enc_data out = { 0 };
    size_t len;

    check(krb5_c_encrypt_length(shared.ctx, shared.session.enctype, plain.len, &len) == 0);
    out.ciphertext.data = apr_palloc(pool, len);
    out.ciphertext.length = (unsigned)len;
    check(krb5_c_encrypt(shared.ctx, &shared.session, USAGE_AP_REP, NULL, &in, &out) == 0);
    return eas_bytes_make(out.ciphertext.data, out.ciphertext.length);
}

/* A NegTokenResp around an AP-REP around that ciphertext. */
static struct eas_bytes wrap(apr_pool_t *pool, struct eas_bytes cipher)
{
    static const unsigned char krb5[] = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02";
    static const unsigned char completed[] = "\xa0\x03\x0a\x01";
    size_t room = cipher.len + 256;
    struct eas_der der = eas_der_begin(apr_palloc(pool, room), room);
    const unsigned char *end;

    eas_der_put_element(&der, EAS_DER_OCTET_STRING, cipher.at, cipher.len);
    eas_der_wrap(&der, der.end, EAS_DER_CONTEXT(2));
    end = der.at;
    eas_der_put_integer(&der, shared.session.enctype);
    eas_der_wrap(&der, end, EAS_DER_CONTEXT(0));
    eas_der_wrap(&der, der.end, EAS_DER_SEQUENCE);
    eas_der_wrap(&der, der.end, EAS_DER_CONTEXT(2));
    eas_der_put(&der, "\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0f", 10);
    eas_der_wrap(&der, der.end, EAS_DER_SEQUENCE);
    eas_der_wrap(&der, der.end, EAS_DER_APPLICATION(15));
    eas_der_put(&der, krb5, sizeof(krb5)); /* with the NUL that ends its TOK_ID */
    eas_der_wrap(&der, der.end, EAS_DER_APPLICATION(0));
    eas_der_wrap(&der, der.end, EAS_DER_OCTET_STRING);
    eas_der_wrap(&der, der.end, EAS_DER_CONTEXT(2));
    eas_der_put(&der, completed, sizeof(completed)); /* with the NUL that is its state */
    eas_der_wrap(&der, der.end, EAS_DER_SEQUENCE);
    eas_der_wrap(&der, der.end, EAS_DER_CONTEXT(1));
    return eas_bytes_make(der.at, (size_t)(der.end - der.at));
}

static bool contains(struct eas_bytes whole, struct eas_bytes part)
{
    size_t i;

    for (i = 0; i + part.len <= whole.len; i++) {
        if (memcmp(whole.at + i, part.at, part.len) == 0) {
            return true;
        }
    }
    return false;
}

/* True if the token holds the right AP-REP. */
static bool accepts(struct eas_bytes token)
{
    struct eas_bytes ap_rep = { NULL, 0 };

    if (!eas_spnego_find_ap_rep(token, &ap_rep)) {
        return false;
    }
    check(ap_rep.at > token.at && ap_rep.at + ap_rep.len <= token.at + token.len);
    check(memcmp(ap_rep.at - 2, "\x02\x00", 2) == 0);
    check(!eas_spnego_is_bare(token));
    return eas_ap_check_reply(shared.ctx, shared.key, ap_rep, &sent_at) == 0;
}

/* --- what is shared --------------------------------------------------------------------------- */

static struct eas_token make_token(apr_pool_t *pool)
{
    struct eas_token_request request = { .by = EAS_TOKEN_NATIVE };
    struct eas_token token = { NULL, NULL };
    krb5_creds creds;
    struct eas_err err;

    memset(&creds, 0, sizeof(creds));
    check(krb5_parse_name(shared.ctx, "alice@EAS.TEST", &creds.client) == 0);
    check(krb5_parse_name(shared.ctx, "HTTP/cas1.eas.test@EAS.TEST", &creds.server) == 0);
    check(krb5_copy_keyblock_contents(shared.ctx, &shared.session, &creds.keyblock) == 0);
    creds.ticket = (krb5_data){ 0, 8, strdup("a ticket") };
    creds.times.endtime = (krb5_timestamp)(time(NULL) + 86400 * 30);
    request.ticket = eas_ticket_take(&creds);
    check(eas_token_make(shared.maker, pool, &request, &token, &err) == EAS_OK);
    return token;
}

static void start(void)
{
    static unsigned char session[32] = "the session key of all the runs";
    apr_pool_t *pool;

    if (shared.ctx != NULL) {
        return;
    }
    setenv("KRB5_CONFIG", "/dev/null", 1);
    check(apr_pool_create(&pool, NULL) == APR_SUCCESS && krb5_init_context(&shared.ctx) == 0);
    shared.session =
        (krb5_keyblock){ 0, ENCTYPE_AES256_CTS_HMAC_SHA1_96, sizeof(session), session };
    check(eas_ticket_key_make(shared.ctx, &shared.session, &shared.key) == 0);
    shared.maker = eas_token_maker_create(pool);
    shared.token = make_token(pool);
    shared.cipher = encrypt(pool, RIGHT_PART);
    shared.reply = wrap(pool, shared.cipher);
    check(accepts(shared.reply));
}

/* --- kinds of input --------------------------------------------------------------------------- */

/* The value of a header.  No input has the key of the token. */
static void check_value(apr_pool_t *pool, const char *value)
{
    struct eas_err err = { EAS_OK, 0, "" };

    check(eas_token_verify(pool, shared.token.pending, value, &err) == EAS_BACKEND
          && err.tag == 2053);
}

static void check_token(apr_pool_t *pool, struct eas_bytes token)
{
    const char *base64 =
        apr_pencode_base64_binary(pool, token.at, (apr_ssize_t)token.len, APR_ENCODE_NONE, NULL);

    check(!accepts(token));
    check_value(pool, apr_pstrcat(pool, "Negotiate ", base64, NULL));
}

/* An encrypted part of any content: accepted only with the time. */
static void check_part(apr_pool_t *pool, struct eas_bytes part)
{
    if (accepts(wrap(pool, encrypt(pool, part)))) {
        check(contains(part, eas_bytes_make("20270115080000Z", 15))
              && contains(part, eas_bytes_make("\x02\x03\x01\xe2\x40", 5)));
    }
}

/* The right reply with changed octets, cut or with more: accepted only if its ciphertext is. */
static void check_changed(apr_pool_t *pool, struct eas_bytes input)
{
    size_t cut = fuzz_octet(&input) % 16, n = fuzz_octet(&input) % 8;
    struct eas_bytes token = { NULL, shared.reply.len };
    unsigned char *octets = apr_palloc(pool, token.len + input.len);

    memcpy(octets, shared.reply.at, token.len);
    for (; n > 0; n--) {
        size_t at = fuzz_octet(&input) % token.len;

        octets[at] = (unsigned char)fuzz_octet(&input);
    }
    memcpy(octets + token.len, input.at, input.len);
    token = eas_bytes_make(octets, token.len + input.len - cut % (token.len + 1));
    token.at = apr_pmemdup(pool, token.at, token.len);
    check(!accepts(token) || contains(token, shared.cipher));
}

/* The length of the head and of the contents, by X.690 section 8.1.3; false if it is none. */
static bool measure(struct eas_bytes text, unsigned tag, size_t *head, size_t *len)
{
    size_t octets = text.len > 1 && text.at[1] > 0x80 ? text.at[1] - 0x80 : 0;

    *head = 2 + octets;
    if (text.len < *head || text.at[0] != tag || text.at[1] == 0x80 || octets > 3) {
        return false;
    }
    text.at += octets > 0 ? 2 : 1;
    text.len = octets > 0 ? octets : 1;
    *len = (size_t)fuzz_number(&text, (int)text.len);
    return true;
}

/* The reader finds what stands there, and nothing else. */
static void check_enter(apr_pool_t *pool, struct eas_bytes input)
{
    unsigned tag = input.len > 0 ? input.at[0] : 0;
    struct eas_bytes contents, whole = input;
    size_t head, len = 0;
    bool good = measure(input, tag, &head, &len) && len <= input.len - head;

    check(eas_der_enter(&input, tag, &contents) == good);
    check(!eas_der_enter(&whole, tag ^ 1, &contents));
    if (good) {
        check(contents.at == whole.at + head && contents.len == len);
        check(input.at == contents.at + len && input.at + input.len == whole.at + whole.len);
        check_enter(pool, contents);
    }
}

static void check_integer(apr_pool_t *pool, apr_int32_t value)
{
    struct eas_der der = eas_der_begin(apr_palloc(pool, 8), 8);
    struct eas_bytes written, octets = { NULL, 0 };
    int64_t found;

    eas_der_put_integer(&der, value);
    written = eas_bytes_make(der.at, (size_t)(der.end - der.at));
    check(eas_der_enter_only(written, EAS_DER_INTEGER, &octets) && octets.len > 0);
    found = octets.at[0] & 0x80 ? -1 : 0;
    check(octets.len == 1 || octets.at[0] != (found & 0xff) || (octets.at[1] ^ found) & 0x80);
    while (octets.len > 0) {
        found = (int64_t)((uint64_t)found << 8 | fuzz_octet(&octets));
    }
    check(found == value);
}

/* The writer's elements are read as they were written. */
static void check_der(apr_pool_t *pool, struct eas_bytes input)
{
    size_t room = input.len + EAS_DER_HEAD_MAX;
    struct eas_der der = eas_der_begin(apr_palloc(pool, room), room);
    struct eas_bytes contents, rest = input, written;
    unsigned tag = fuzz_octet(&rest);

    check_enter(pool, input);
    eas_der_put_element(&der, tag, rest.at, rest.len);
    written = eas_bytes_make(der.at, (size_t)(der.end - der.at));
    check(eas_der_enter_only(written, tag, &contents) && contents.len == rest.len
          && memcmp(contents.at, rest.at, rest.len) == 0);
    check_integer(pool, (apr_int32_t)fuzz_number(&rest, 4));
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    start();
    if (input.len > REPLY_MAX) {
        return;
    }
    switch (fuzz_octet(&input) % 5) {
    case 0:
        check_value(pool, fuzz_text(pool, &input));
        break;
    case 1:
        check_token(pool, input);
        break;
    case 2:
        check_part(pool, input);
        break;
    case 3:
        check_changed(pool, input);
        break;
    default:
        check_der(pool, input);
    }
}
