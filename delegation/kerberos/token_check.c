/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/token_check.c - an exchange with GSSAPI's acceptor, for the start of httpd */

#include "delegation/kerberos/token_check.h"
#include "delegation/kerberos/gss_token.h"
#include "delegation/kerberos/message.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <errno.h>
#include <gssapi/gssapi_ext.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define REALM "EAS-KCD.INVALID"
#define USER "user"
#define CHANNEL "tls-server-end-point:check"

/* RFC 4120 sections 5.3, 5.10 and 7.5.1. */
#define TICKET 1
#define ENC_TICKET_PART 3
#define USAGE_TICKET 2
#define DOMAIN_X500_COMPRESS 1

#define KVNO 1
#define LIFE 3600

/* Twice what a made-up ticket needs. */
#define TICKET_MAX 1024

/* A service whose key lies in a keytab in memory. */
struct service {
    krb5_context ctx;
    apr_pool_t *pool;
    const char *keytab_name;
    krb5_keytab keytab;
    krb5_keyblock key;
    krb5_creds creds; /* of the user, for the service */
};

/* --- the ticket ------------------------------------------------------------------------------- */

static krb5_error_code put_encrypted(struct service *service, const struct eas_der *plain,
                                     struct eas_der *der)
{
    const unsigned char *end = der->at;
    krb5_data in = { 0, (unsigned)(plain->end - plain->at), (char *)plain->at };
    krb5_enc_data out = { 0 };
    size_t len;
    krb5_error_code code =
        krb5_c_encrypt_length(service->ctx, service->key.enctype, in.length, &len);

    if (code == 0) {
        out.ciphertext.data = (char *)eas_der_put_room(der, len);
        out.ciphertext.length = (unsigned)len;
        code = krb5_c_encrypt(service->ctx, &service->key, USAGE_TICKET, NULL, &in, &out);
    }
    eas_der_wrap(der, end, EAS_DER_OCTET_STRING);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(2));
    eas_message_put_integer(der, 1, KVNO);
    eas_message_put_integer(der, 0, service->key.enctype);
    eas_der_wrap(der, end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(3));
    return code;
}

/* EncTicketPart, RFC 4120 section 5.3. */
static void put_enc_ticket_part(struct eas_der *der, const krb5_creds *creds)
{
    static const unsigned char no_flags[5];

    eas_message_put_time(der, 7, creds->times.endtime);
    eas_message_put_time(der, 5, creds->times.authtime);
    eas_message_put_typed(der, 4, DOMAIN_X500_COMPRESS, "", 0);
    eas_message_put_name(der, 3, creds->client);
    eas_message_put_realm(der, 2, creds->client);
    eas_message_put_typed(der, 1, creds->keyblock.enctype, creds->keyblock.contents,
                          creds->keyblock.length);
    eas_message_put_octets(der, 0, EAS_DER_BIT_STRING, no_flags, sizeof(no_flags));
    eas_der_wrap(der, der->end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, der->end, EAS_DER_APPLICATION(ENC_TICKET_PART));
}

static krb5_error_code issue_ticket(struct service *service)
{
    unsigned char plain_room[TICKET_MAX], room[2 * TICKET_MAX];
    struct eas_der plain = eas_der_begin(plain_room, sizeof(plain_room));
    struct eas_der der = eas_der_begin(room, sizeof(room));
    krb5_creds *creds = &service->creds;
    krb5_error_code code;

    put_enc_ticket_part(&plain, creds);
    code = put_encrypted(service, &plain, &der);
    OPENSSL_cleanse(plain_room, sizeof(plain_room));
    eas_message_put_name(&der, 2, creds->server);
    eas_message_put_realm(&der, 1, creds->server);
    eas_message_put_integer(&der, 0, EAS_MESSAGE_PVNO);
    eas_der_wrap(&der, der.end, EAS_DER_SEQUENCE);
    eas_der_wrap(&der, der.end, EAS_DER_APPLICATION(TICKET));
    creds->ticket.length = (unsigned)(der.end - der.at);
    creds->ticket.data = malloc(creds->ticket.length);
    if (creds->ticket.data == NULL) {
        return ENOMEM;
    }
    memcpy(creds->ticket.data, der.at, creds->ticket.length);
    return code;
}

/* --- the service ------------------------------------------------------------------------------ */

static krb5_error_code open_keytab(struct service *service)
{
    krb5_keytab_entry entry = { .principal = service->creds.server,
                                .vno = KVNO,
                                .key = service->key };
    krb5_error_code code = krb5_kt_resolve(service->ctx, service->keytab_name, &service->keytab);

    return code != 0 ? code : krb5_kt_add_entry(service->ctx, service->keytab, &entry);
}

static krb5_error_code open_service(struct service *service, krb5_enctype enctype)
{
    krb5_creds *creds = &service->creds;
    krb5_timestamp now;
    krb5_error_code code = krb5_c_make_random_key(service->ctx, enctype, &service->key);

    if (code == 0) {
        code = krb5_c_make_random_key(service->ctx, enctype, &creds->keyblock);
    }
    if (code == 0) {
        code = krb5_build_principal(service->ctx, &creds->client, sizeof(REALM) - 1, REALM, USER,
                                    (char *)NULL);
    }
    if (code == 0) {
        code = krb5_build_principal(service->ctx, &creds->server, sizeof(REALM) - 1, REALM, "HTTP",
                                    "check", (char *)NULL);
    }
    if (code == 0) {
        code = krb5_timeofday(service->ctx, &now);
    }
    if (code == 0) {
        creds->times.authtime = now;
        creds->times.endtime = now + LIFE;
        code = issue_ticket(service);
    }
    return code != 0 ? code : open_keytab(service);
}

static void close_service(struct service *service)
{
    if (service->keytab != NULL) {
        krb5_kt_close(service->ctx, service->keytab);
    }
    krb5_free_keyblock_contents(service->ctx, &service->key);
    krb5_free_cred_contents(service->ctx, &service->creds);
}

static bool is_user(gss_name_t name)
{
    static const char expected[] = USER "@" REALM;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor;
    bool is = gss_display_name(&minor, name, &text, NULL) == GSS_S_COMPLETE
              && text.length == sizeof(expected) - 1
              && memcmp(text.value, expected, text.length) == 0;

    gss_release_buffer(&minor, &text);
    return is;
}

static OM_uint32 accept_by(OM_uint32 *minor, gss_cred_id_t cred, gss_buffer_t in,
                           gss_name_t *client, gss_buffer_t out, OM_uint32 *flags)
{
    struct gss_channel_bindings_struct channel = { .application_data = { sizeof(CHANNEL) - 1,
                                                                         (void *)CHANNEL } };
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    OM_uint32 ignored, major = gss_accept_sec_context(minor, &context, cred, in, &channel, client,
                                                      NULL, out, flags, NULL, NULL);

    gss_delete_sec_context(&ignored, &context, GSS_C_NO_BUFFER);
    return major;
}

/* The service's answer to a token, as a header's value.  NULL, or the reason for a refusal. */
static const char *answer(struct service *service, const char *token, const char **value)
{
    static const OM_uint32 expected = GSS_C_MUTUAL_FLAG | GSS_C_CHANNEL_BOUND_FLAG;
    gss_key_value_element_desc elements[] = { { "keytab", service->keytab_name },
                                              { "rcache", "none:" } };
    const gss_key_value_set_desc store = { 2, elements };
    gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
    gss_buffer_desc in, out = GSS_C_EMPTY_BUFFER;
    gss_name_t client = GSS_C_NO_NAME;
    OM_uint32 minor, ignored, flags = 0;
    const char *words = NULL;
    OM_uint32 major =
        gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET,
                              GSS_C_ACCEPT, &store, &cred, NULL, NULL);

    in.value = (void *)apr_pdecode_base64_binary(service->pool, token + strlen("Negotiate "),
                                                 APR_ENCODE_STRING, APR_ENCODE_NONE, &in.length);
    if (major == GSS_S_COMPLETE) {
        major = accept_by(&minor, cred, &in, &client, &out, &flags);
    }
    if (major != GSS_S_COMPLETE) {
        words = eas_gss_token_words(service->pool, major, minor);
    }
    else if (!is_user(client) || (flags & expected) != expected) {
        words = "the acceptor reads another user or other flags";
    }
    *value = apr_pstrcat(service->pool, "Negotiate ",
                         apr_pencode_base64_binary(service->pool, out.value,
                                                   (apr_ssize_t)out.length, APR_ENCODE_NONE, NULL),
                         NULL);
    gss_release_buffer(&ignored, &out);
    gss_release_name(&ignored, &client);
    gss_release_cred(&ignored, &cred);
    return words;
}

/* --- the check -------------------------------------------------------------------------------- */

/* Near the end lies the part that is encrypted. */
static const char *damaged(apr_pool_t *pool, const char *value)
{
    char *copy = apr_pstrdup(pool, value), *at = copy + strlen(copy) - 8;

    *at = *at == 'A' ? 'B' : 'A';
    return copy;
}

/* A right answer must be accepted, a damaged one refused. */
static const char *exchange(struct service *service, const struct eas_token_request *request,
                            bool right)
{
    struct eas_token_maker *maker = eas_token_maker_create(service->pool);
    struct eas_token token;
    struct eas_err err;
    const char *value, *words;
    bool accepted;

    if (eas_token_make(maker, service->pool, request, &token, &err) != EAS_OK) {
        return apr_pstrdup(service->pool, err.text);
    }
    words = answer(service, token.value, &value);
    if (words != NULL) {
        return words;
    }
    accepted = eas_token_verify(service->pool, token.pending,
                                right ? value : damaged(service->pool, value), &err)
               == EAS_OK;
    return accepted == right ? NULL
           : accepted        ? "a damaged answer is taken for a right one"
                             : apr_pstrdup(service->pool, err.text);
}

static const char *check_enctype(krb5_context ctx, apr_pool_t *pool, enum eas_token_by by,
                                 krb5_enctype enctype)
{
    struct service service = { .ctx = ctx, .pool = pool };
    krb5_error_code code;
    const char *words;

    service.keytab_name = eas_gss_token_secret_name(pool);
    code = service.keytab_name != NULL ? open_service(&service, enctype) : EIO;
    if (code != 0) {
        const char *text = krb5_get_error_message(ctx, code);

        words = apr_pstrdup(pool, text);
        krb5_free_error_message(ctx, text);
    }
    else {
        const struct eas_token_request request = {
            by, eas_ticket_to_pool(eas_ticket_take(&service.creds), pool),
            eas_bytes_of_text(CHANNEL)
        };

        words = exchange(&service, &request, true);
        words = words == NULL ? exchange(&service, &request, false) : words;
    }
    close_service(&service);
    if (words != NULL) {
        char name[64] = "";

        krb5_enctype_to_name(enctype, FALSE, name, sizeof(name));
        words = apr_psprintf(pool, "%s: %s", name, words);
    }
    return words;
}

static bool is_aes(krb5_enctype enctype)
{
    return enctype == ENCTYPE_AES128_CTS_HMAC_SHA1_96 || enctype == ENCTYPE_AES256_CTS_HMAC_SHA1_96
           || enctype == ENCTYPE_AES128_CTS_HMAC_SHA256_128
           || enctype == ENCTYPE_AES256_CTS_HMAC_SHA384_192;
}

const char *eas_token_check(apr_pool_t *pool, enum eas_token_by by)
{
    krb5_enctype *permitted = NULL, *enctype;
    krb5_context ctx;
    const char *words = NULL;

    if (krb5_init_context(&ctx) != 0) {
        return "libkrb5 cannot read krb5.conf";
    }
    if (krb5_get_permitted_enctypes(ctx, &permitted) != 0) {
        words = "libkrb5 permits no enctypes";
    }
    for (enctype = permitted; words == NULL && *enctype != 0; enctype++) {
        if (is_aes(*enctype)) {
            words = check_enctype(ctx, pool, by, *enctype);
        }
    }
    krb5_free_enctypes(ctx, permitted);
    krb5_free_context(ctx);
    return words;
}
