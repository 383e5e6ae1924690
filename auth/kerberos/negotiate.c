/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/negotiate.c - a client's token of scheme Negotiate (RFC 4559), accepted */

#include "auth/kerberos/negotiate.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/spnego.h"
#include "auth/kerberos/ticket.h"

#include <apr_encode.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* RFC 4120 section 5.5.1. */
#define AP_REQ 14

/* RFC 4120 section 7.5.1: key usage of a ticket's encrypted part. */
#define TICKET_USAGE 2

/* No message is sent, so none is waited for. */
#define NO_TIME 0

/* An exchange; the owners start empty. */
struct exchange {
    apr_pool_t *pool;
    struct eas_keytab *keytab;
    struct eas_kdc kdc; /* its context, and its words for errors */
    struct eas_spnego_init init;
    krb5_auth_context auth;
    krb5_ticket *ticket;
    krb5_flags options;
};

static enum eas_rc find_ap_req(struct exchange *exchange, const char *text, struct eas_err *err)
{
    static const char ntlm[] = "NTLMSSP";
    apr_size_t len;
    const unsigned char *octets =
        apr_pdecode_base64_binary(exchange->pool, text, APR_ENCODE_STRING, APR_ENCODE_NONE, &len);

    if (octets == NULL) {
        return eas_fail(err, EAS_DENIED, 1170, "the token of scheme Negotiate is not base64");
    }
    if (len >= sizeof(ntlm) && memcmp(octets, ntlm, sizeof(ntlm)) == 0) {
        return eas_fail(err, EAS_DENIED, 1171,
                        "the client has no Kerberos ticket for this host, and sends NTLM; see that "
                        "its name is an SPN of the gateway's account (setspn -L), and that the "
                        "client reaches a domain controller");
    }
    if (!eas_spnego_find_ap_req(eas_bytes_make(octets, len), &exchange->init)) {
        return eas_fail(err, EAS_DENIED, 1172,
                        "the token of scheme Negotiate prefers another mechanism than Kerberos");
    }
    return EAS_OK;
}

/* The field of the AP-REQ (RFC 4120 section 5.5.1), as the KDC has encoded it. */
static bool find_ticket(struct eas_bytes ap_req, struct eas_bytes *ticket_out)
{
    struct eas_bytes choice, fields, ignored;

    return eas_der_enter_only(ap_req, EAS_DER_APPLICATION(AP_REQ), &choice)
           && eas_der_enter_only(choice, EAS_DER_SEQUENCE, &fields)
           && eas_der_enter(&fields, EAS_DER_CONTEXT(0), &ignored)
           && eas_der_enter(&fields, EAS_DER_CONTEXT(1), &ignored)
           && eas_der_enter(&fields, EAS_DER_CONTEXT(2), &ignored)
           && eas_der_enter(&fields, EAS_DER_CONTEXT(3), ticket_out);
}

static krb5_data as_data(struct eas_bytes bytes)
{
    return (krb5_data){ 0, (unsigned)bytes.len, (char *)bytes.at };
}

static enum eas_rc refuse(struct exchange *exchange, krb5_error_code code, struct eas_err *err)
{
    krb5_data ticket = { 0 };
    struct eas_bytes found;

    switch (code) {
    case KRB5KRB_AP_ERR_NOT_US:
    case KRB5KRB_AP_ERR_BADKEYVER:
    case KRB5KRB_AP_ERR_NOKEY:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
    case KRB5KRB_AP_ERR_MODIFIED:
    case KRB5KRB_AP_WRONG_PRINC:
    case KRB5_KT_NOTFOUND:
    case KRB5_KT_KVNONOTFOUND:
        if (find_ticket(exchange->init.ap_req, &found)) {
            ticket = as_data(found);
        }
        return eas_fail(
            err, EAS_DENIED, 1173, "the client's ticket does not fit the keytab: %s",
            eas_keytab_explain(exchange->keytab, exchange->kdc.ctx, exchange->pool, &ticket));
    case KRB5KRB_AP_ERR_SKEW:
        return eas_fail(err, EAS_DENIED, 1174,
                        "the clocks of the client and of the gateway differ by more than five "
                        "minutes; set both by NTP");
    default:
        return eas_kdc_fail(&exchange->kdc, err, EAS_DENIED, 1175, code,
                            "the client's ticket is refused");
    }
}

/* With the time of the authenticator checked, and without a replay cache (KRB5_AUTH_CONTEXT_DO_TIME). */
static enum eas_rc read_ap_req(struct exchange *exchange, struct eas_err *err)
{
    krb5_context ctx = exchange->kdc.ctx;
    krb5_data ap_req = as_data(exchange->init.ap_req);
    krb5_error_code code = krb5_auth_con_init(ctx, &exchange->auth);

    if (code == 0) {
        code = krb5_auth_con_setflags(ctx, exchange->auth, 0);
    }
    if (code == 0) {
        /* Another process may have read a changed keytab. */
        eas_keytab_refresh(exchange->keytab);
        code = krb5_rd_req(ctx, &exchange->auth, &ap_req, NULL, eas_keytab_handle(exchange->keytab),
                           &exchange->options, &exchange->ticket);
    }
    return code == 0 ? EAS_OK : refuse(exchange, code, err);
}

/*
 * krb5_rd_req() tries every key of the keytab.  A ticket for another account there, such as a
 * computer's, is none for the gateway, and no evidence.
 */
static enum eas_rc check_account(struct exchange *exchange, struct eas_err *err)
{
    krb5_context ctx = exchange->kdc.ctx;
    const krb5_enc_data *encrypted = &exchange->ticket->enc_part;
    krb5_data plain = { 0, encrypted->ciphertext.length,
                        apr_palloc(exchange->pool, encrypted->ciphertext.length) };
    krb5_keytab_entry entry;
    krb5_error_code code = krb5_kt_get_entry(ctx, eas_keytab_handle(exchange->keytab),
                                             eas_keytab_principal(exchange->keytab),
                                             encrypted->kvno, encrypted->enctype, &entry);

    if (code == 0) {
        code = krb5_c_decrypt(ctx, &entry.key, TICKET_USAGE, NULL, encrypted, &plain);
        krb5_free_keytab_entry_contents(ctx, &entry);
        OPENSSL_cleanse(plain.data, encrypted->ciphertext.length);
    }
    return code == 0 ? EAS_OK
                     : eas_fail(err, EAS_DENIED, 1179,
                                "the client's ticket is for another account in the keytab than %s; "
                                "take the other account's keys out of the keytab, or register the "
                                "host's name as an SPN of this account (setspn -S)",
                                eas_keytab_principal_name(exchange->keytab));
}

static krb5_error_code copy_data(struct eas_bytes from, krb5_data *to)
{
    to->data = malloc(from.len);
    if (to->data == NULL) {
        return ENOMEM;
    }
    to->length = (unsigned)from.len;
    memcpy(to->data, from.at, from.len);
    return 0;
}

/* The ticket as its client has it. */
static enum eas_rc take_evidence(struct exchange *exchange, struct eas_ticket **evidence_out,
                                 struct eas_err *err)
{
    krb5_context ctx = exchange->kdc.ctx;
    const krb5_enc_tkt_part *part = exchange->ticket->enc_part2;
    krb5_creds creds = { .times = part->times, .ticket_flags = part->flags };
    struct eas_bytes ticket;
    krb5_error_code code = krb5_copy_principal(ctx, part->client, &creds.client);

    if (code == 0) {
        code = krb5_copy_principal(ctx, exchange->ticket->server, &creds.server);
    }
    if (code == 0) {
        code = krb5_copy_keyblock_contents(ctx, part->session, &creds.keyblock);
    }
    if (code == 0) {
        code = find_ticket(exchange->init.ap_req, &ticket)
                   ? copy_data(ticket, &creds.ticket)
                   : (krb5_error_code)KRB5KRB_AP_ERR_MSG_TYPE;
    }
    if (code != 0) {
        krb5_free_cred_contents(ctx, &creds);
        return eas_kdc_fail(&exchange->kdc, err, EAS_UNAVAILABLE, 1176, code,
                            "the client's ticket cannot be kept");
    }
    *evidence_out = eas_ticket_take(&creds);
    return EAS_OK;
}

/* An AP-REP, if the client wants one. */
static enum eas_rc prove(struct exchange *exchange, const char **proof_out, struct eas_err *err)
{
    krb5_data ap_rep = { 0 };
    krb5_error_code code = (exchange->options & AP_OPTS_MUTUAL_REQUIRED) != 0
                               ? krb5_mk_rep(exchange->kdc.ctx, exchange->auth, &ap_rep)
                               : 0;
    apr_size_t size = ap_rep.length + EAS_SPNEGO_RESPONSE_MAX;
    struct eas_der der = eas_der_begin(apr_palloc(exchange->pool, size), size);

    if (code != 0) {
        return eas_kdc_fail(&exchange->kdc, err, EAS_UNAVAILABLE, 1177, code,
                            "the proof for the client cannot be made");
    }
    eas_der_put(&der, ap_rep.data != NULL ? ap_rep.data : "", ap_rep.length);
    krb5_free_data_contents(exchange->kdc.ctx, &ap_rep);
    *proof_out = NULL;
    if (der.at != der.end || exchange->init.mechanism.len > 0) {
        eas_spnego_wrap_response(&der, &exchange->init);
        *proof_out = apr_pencode_base64_binary(
            exchange->pool, der.at, (apr_ssize_t)(der.end - der.at), APR_ENCODE_NONE, NULL);
    }
    return EAS_OK;
}

static enum eas_rc read_token(struct exchange *exchange, const struct eas_realms *realms,
                              struct eas_negotiated *out, struct eas_err *err)
{
    struct eas_identity *identity = apr_pcalloc(exchange->pool, sizeof(*identity));
    enum eas_rc rc = read_ap_req(exchange, err);

    if (rc == EAS_OK) {
        rc = check_account(exchange, err);
    }
    if (rc == EAS_OK) {
        rc = eas_kdc_user_name(&exchange->kdc, exchange->pool, exchange->ticket->enc_part2->client,
                               realms, &identity->principal, err);
    }
    if (rc == EAS_OK) {
        rc = take_evidence(exchange, &identity->evidence, err);
    }
    if (rc == EAS_OK) {
        eas_ticket_to_pool(identity->evidence, exchange->pool);
        identity->authenticated_by = EAS_BY_TICKET;
        out->identity = identity;
        rc = prove(exchange, &out->proof, err);
    }
    return rc;
}

enum eas_rc eas_negotiate_accept(apr_pool_t *pool, struct eas_keytab *keytab,
                                 const struct eas_realms *realms, const char *text,
                                 struct eas_negotiated *out, struct eas_err *err)
{
    struct exchange exchange = { .pool = pool, .keytab = keytab };
    enum eas_rc rc = find_ap_req(&exchange, text, err);

    if (rc != EAS_OK) {
        return rc;
    }
    rc = eas_kdc_open(&exchange.kdc, NULL, NO_TIME, err);
    if (rc == EAS_OK) {
        rc = read_token(&exchange, realms, out, err);
        krb5_free_ticket(exchange.kdc.ctx, exchange.ticket);
        krb5_auth_con_free(exchange.kdc.ctx, exchange.auth);
    }
    eas_kdc_close(&exchange.kdc);
    return rc;
}
