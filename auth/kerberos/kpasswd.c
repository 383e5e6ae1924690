/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kpasswd.c - change of a password at the KDC (RFC 3244, version 1) */

#include "auth/kerberos/kpasswd.h"
#include "auth/kerberos/kdc_locate.h"
#include "auth/kerberos/kdc_transport.h"

#include <apr_strings.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Lengths of the message and of its first part, around a version; 16 bits each. */
#define HEAD 6
#define VERSION_CHANGE 1
#define VERSION_SET 0xff80u

/* The first octet of a KRB-ERROR (RFC 4120 section 5.10). */
#define KRB_ERROR 0x7e

/* A result: a code of 16 bits, and a text. */
#define CODE_SIZE 2

/* A text of this size explains any policy. */
#define TEXT_MAX 400

static unsigned read_16(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void write_16(char *at, size_t value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
}

/* --- the reply -------------------------------------------------------------------------------- */

bool eas_kpasswd_split(struct eas_bytes octets, struct eas_kpasswd_reply *reply_out)
{
    const unsigned char *at = octets.at;
    size_t ap_rep;

    *reply_out = (struct eas_kpasswd_reply){ .krb_priv = octets };
    if (octets.len < HEAD) {
        return false;
    }
    if (at[0] == KRB_ERROR) {
        return true;
    }
    ap_rep = read_16(at + 4);
    if (read_16(at) != octets.len || ap_rep > octets.len - HEAD
        || (read_16(at + 2) != VERSION_CHANGE && read_16(at + 2) != VERSION_SET)) {
        return false;
    }
    reply_out->ap_rep = eas_bytes_make(at + HEAD, ap_rep);
    reply_out->krb_priv = eas_bytes_make(at + HEAD + ap_rep, octets.len - HEAD - ap_rep);
    return true;
}

static bool is_reply(struct eas_bytes octets)
{
    struct eas_kpasswd_reply ignored;

    return eas_kpasswd_split(octets, &ignored);
}

static krb5_data data_of(struct eas_bytes octets)
{
    return (krb5_data){ 0, (unsigned)octets.len, (char *)octets.at };
}

static const char *text_of(krb5_context ctx, apr_pool_t *pool, const krb5_data *text)
{
    char *message = NULL, *copy = NULL;

    if (krb5_chpw_message(ctx, text, &message) == 0) {
        copy = apr_pstrndup(pool, message, TEXT_MAX);
        krb5_free_string(ctx, message);
    }
    return copy;
}

/* Without a result in it, the error itself is the outcome. */
static krb5_error_code read_error(krb5_context ctx, struct eas_bytes octets,
                                  struct eas_kpasswd_result *result_out)
{
    const krb5_data data = data_of(octets);
    krb5_error *error = NULL;
    krb5_error_code code = krb5_rd_error(ctx, &data, &error);

    if (code != 0) {
        return code;
    }
    if (error->e_data.length >= CODE_SIZE && error->e_data.data != NULL) {
        result_out->code = (int)read_16((const unsigned char *)error->e_data.data);
    }
    /* An error is not protected, and changes nothing. */
    if (result_out->code == KRB5_KPASSWD_SUCCESS) {
        result_out->code = -1;
    }
    if (result_out->code < 0) {
        code = ERROR_TABLE_BASE_krb5 + (krb5_error_code)error->error;
    }
    krb5_free_error(ctx, error);
    return code;
}

/* The server encrypts its result with the subkey of the request, whatever its AP-REP has. */
static krb5_error_code decrypt(krb5_context ctx, krb5_auth_context auth,
                               const struct eas_kpasswd_reply *reply, krb5_data *clear_out)
{
    const krb5_data ap_rep = data_of(reply->ap_rep), krb_priv = data_of(reply->krb_priv);
    krb5_ap_rep_enc_part *part = NULL;
    krb5_replay_data ignored;
    krb5_keyblock *subkey = NULL;
    krb5_error_code code = krb5_auth_con_getsendsubkey(ctx, auth, &subkey);

    if (code == 0) {
        code = krb5_rd_rep(ctx, auth, &ap_rep, &part);
    }
    if (code == 0) {
        code = krb5_auth_con_setrecvsubkey(ctx, auth, subkey);
    }
    if (code == 0) {
        code = krb5_rd_priv(ctx, auth, &krb_priv, clear_out, &ignored);
    }
    krb5_free_ap_rep_enc_part(ctx, part);
    krb5_free_keyblock(ctx, subkey);
    return code;
}

static krb5_error_code read_reply(krb5_context ctx, apr_pool_t *pool, krb5_auth_context auth,
                                  struct eas_bytes octets, struct eas_kpasswd_result *result_out)
{
    struct eas_kpasswd_reply reply;
    krb5_data clear = { 0 }, text;
    krb5_error_code code;

    *result_out = (struct eas_kpasswd_result){ .code = -1 };
    if (!eas_kpasswd_split(octets, &reply)) {
        return KRB5KRB_AP_ERR_MODIFIED;
    }
    if (reply.ap_rep.len == 0) {
        return read_error(ctx, reply.krb_priv, result_out);
    }
    code = decrypt(ctx, auth, &reply, &clear);
    if (code == 0 && clear.length < CODE_SIZE) {
        code = KRB5KRB_AP_ERR_MODIFIED;
    }
    if (code == 0) {
        result_out->code = (int)read_16((const unsigned char *)clear.data);
        text = (krb5_data){ 0, clear.length - CODE_SIZE, clear.data + CODE_SIZE };
        result_out->text = text_of(ctx, pool, &text);
    }
    krb5_free_data_contents(ctx, &clear);
    return code;
}

/* --- the request ------------------------------------------------------------------------------ */

/* KRB-PRIV has the sender's address, which NAT changes; servers do not compare it. */
static krb5_error_code set_address(krb5_context ctx, krb5_auth_context auth)
{
    struct in_addr any = { htonl(INADDR_ANY) };
    krb5_address address = { 0, ADDRTYPE_INET, sizeof(any), (krb5_octet *)&any };

    return krb5_auth_con_setaddrs(ctx, auth, &address, NULL);
}

static krb5_error_code make_krb_priv(krb5_context ctx, krb5_auth_context auth,
                                     const struct eas_secret *new_password, krb5_data *krb_priv_out)
{
    krb5_data password = { 0, (unsigned)new_password->len, new_password->bytes };
    krb5_replay_data ignored;
    krb5_error_code code = set_address(ctx, auth);

    if (code == 0) {
        code = krb5_auth_con_setflags(ctx, auth, KRB5_AUTH_CONTEXT_DO_SEQUENCE);
    }
    return code != 0 ? code : krb5_mk_priv(ctx, auth, &password, krb_priv_out, &ignored);
}

/* In pool.  It is encrypted, but for the heads. */
static krb5_error_code make_request(krb5_context ctx, apr_pool_t *pool, krb5_auth_context *auth,
                                    krb5_creds *ticket, const struct eas_secret *new_password,
                                    struct eas_bytes *request_out)
{
    krb5_data ap_req = { 0 }, krb_priv = { 0 };
    krb5_error_code code =
        krb5_mk_req_extended(ctx, auth, AP_OPTS_USE_SUBKEY, NULL, ticket, &ap_req);
    size_t len;

    if (code == 0) {
        code = make_krb_priv(ctx, *auth, new_password, &krb_priv);
    }
    len = HEAD + (size_t)ap_req.length + krb_priv.length;
    if (code == 0 && len > 0xffff) {
        code = KRB5_BAD_MSIZE;
    }
    if (code == 0) {
        char *request = apr_palloc(pool, len);

        write_16(request, len);
        write_16(request + 2, VERSION_CHANGE);
        write_16(request + 4, ap_req.length);
        memcpy(request + HEAD, ap_req.data, ap_req.length);
        memcpy(request + HEAD + ap_req.length, krb_priv.data, krb_priv.length);
        *request_out = eas_bytes_make(request, len);
    }
    krb5_free_data_contents(ctx, &ap_req);
    krb5_free_data_contents(ctx, &krb_priv);
    return code;
}

static krb5_error_code exchange(struct eas_kdc *kdc, apr_pool_t *pool, const krb5_creds *ticket,
                                struct eas_bytes message, struct eas_kdc_transport_reply *reply_out)
{
    const krb5_data *realm = &ticket->client->realm;
    struct eas_kdc_addresses addresses;
    const struct eas_kdc_transport_request request = { .addresses = &addresses,
                                                       .message = message,
                                                       .guess = true,
                                                       .is_reply = is_reply,
                                                       .until = kdc->until };

    switch (eas_kdc_locate_kpasswd(kdc->profile->files,
                                   apr_pstrmemdup(pool, realm->data, realm->length), kdc->until,
                                   &addresses)) {
    case EAS_KDC_LOCATED:
        eas_kdc_health_sort(&addresses);
        return eas_kdc_transport_exchange(&request, reply_out) ? 0 : KRB5_KDC_UNREACH;
    case EAS_KDC_LOCATED_NOT:
        return KRB5_REALM_CANT_RESOLVE;
    default:
        return KRB5_KDC_UNREACH;
    }
}

krb5_error_code eas_kpasswd_change(struct eas_kdc *kdc, apr_pool_t *pool, krb5_creds *ticket,
                                   const struct eas_secret *new_password,
                                   struct eas_kpasswd_result *result_out)
{
    struct eas_kdc_transport_reply reply = { NULL, 0, 0 };
    krb5_auth_context auth = NULL;
    struct eas_bytes request;
    krb5_error_code code = make_request(kdc->ctx, pool, &auth, ticket, new_password, &request);

    if (code == 0) {
        code = exchange(kdc, pool, ticket, request, &reply);
    }
    if (code == 0) {
        code = read_reply(kdc->ctx, pool, auth, eas_bytes_make(reply.bytes, reply.len), result_out);
    }
    free(reply.bytes);
    krb5_auth_con_free(kdc->ctx, auth);
    return code;
}
