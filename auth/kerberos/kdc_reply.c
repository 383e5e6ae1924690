/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_reply.c - rules for a KDC's reply, above all for its errors */

#include "auth/kerberos/kdc_reply.h"
#include "auth/base/der.h"

#include <string.h>

/* The application tag of a KRB-ERROR (RFC 4120 section 5.9.1) as its first octet. */
#define KRB_ERROR_OCTET 0x7e

/*
 * The status of an element with a type [1] INTEGER 3 and a value [2] OCTET STRING of three
 * little-endian words; 0 if the octets do not begin with one.
 */
static unsigned read_ntstatus(struct eas_bytes octets)
{
    static const unsigned char head[] = { 0x30, 0x15, 0xa1, 0x03, 0x02, 0x01,
                                          0x03, 0xa2, 0x0e, 0x04, 0x0c };
    const unsigned char *p;

    if (octets.len < sizeof(head) + 12 || memcmp(octets.at, head, sizeof(head)) != 0) {
        return 0;
    }
    p = octets.at + sizeof(head);
    return (unsigned)p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 | (unsigned)p[3] << 24;
}

/*
 * The NTSTATUS in the e-data of an error; 0 if there is none.  After a TGS-REQ it is alone, a
 * KERB-ERROR-DATA of the type KERB_ERR_TYPE_EXTENDED ([MS-KILE] 2.2.1 and 2.2.2).  After an AS-REQ
 * it is one PA-DATA of several, of the type PA-PW-SALT.
 */
static unsigned ntstatus_of(struct eas_bytes e_data)
{
    struct eas_bytes list, ignored;
    unsigned status;

    if (!eas_der_enter_only(e_data, EAS_DER_SEQUENCE, &list)) {
        return 0;
    }
    status = read_ntstatus(e_data);
    while (status == 0) {
        status = read_ntstatus(list);
        if (!eas_der_enter(&list, EAS_DER_SEQUENCE, &ignored)) {
            break;
        }
    }
    return status;
}

/* An error may name a realm of the client, in which the KDC knows the client (RFC 6806 section 7). */
static bool read_referral(struct eas_kdc_as *as, const krb5_data *realm, const krb5_error *error)
{
    krb5_error_code code = ERROR_TABLE_BASE_krb5 + (krb5_error_code)error->error;
    const krb5_data *to;

    if (error->client == NULL
        || (code != KRB5KDC_ERR_WRONG_REALM && code != KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN)) {
        return false;
    }
    to = &error->client->realm;
    if (to->length == 0 || to->length > EAS_KDC_REALM_MAX
        || memchr(to->data, '\0', to->length) != NULL
        || (to->length == realm->length && memcmp(to->data, realm->data, to->length) == 0)) {
        return false;
    }
    memcpy(as->referral, to->data, to->length);
    as->referral[to->length] = '\0';
    return true;
}

/*
 * Any result but 0 ends the exchange.  A KDC that demands armour asks for the password again, where
 * it has it ([MS-KILE] 3.3.5.1); libkrb5 would send it a dozen times.
 */
static krb5_error_code read_as_error(struct eas_kdc_as *as, const krb5_data *realm,
                                     const krb5_error *error)
{
    krb5_error_code code = ERROR_TABLE_BASE_krb5 + (krb5_error_code)error->error;

    eas_preauth_read_error(eas_bytes_make(error->e_data.data, error->e_data.length), &as->preauth);
    if (read_referral(as, realm, error)) {
        return KRB5KDC_ERR_WRONG_REALM;
    }
    if (as->armored && !as->preauth.is_fast && code != KRB5KRB_ERR_RESPONSE_TOO_BIG) {
        as->unarmored = true;
        return code;
    }
    if (as->guessed && !as->armored && code == KRB5KDC_ERR_PREAUTH_REQUIRED) {
        return KRB5_ERR_FAST_REQUIRED;
    }
    as->ended = as->armored && code != KRB5KDC_ERR_PREAUTH_REQUIRED
                && code != KRB5KDC_ERR_MORE_PREAUTH_DATA_REQUIRED
                && code != KRB5KRB_ERR_RESPONSE_TOO_BIG;
    return as->probing && code == KRB5KDC_ERR_PREAUTH_REQUIRED ? code : 0;
}

static krb5_error_code read_error(const krb5_data *realm, const krb5_error *error,
                                  struct eas_kdc_as *as)
{
    if (error->error == KRB5KDC_ERR_PREAUTH_FAILED - ERROR_TABLE_BASE_krb5) {
        return KRB5KDC_ERR_PREAUTH_FAILED;
    }
    return as->running ? read_as_error(as, realm, error) : 0;
}

krb5_error_code eas_kdc_reply_read(krb5_context ctx, const krb5_data *realm, const krb5_data *reply,
                                   struct eas_kdc_as *as, unsigned *ntstatus)
{
    krb5_error_code code;
    krb5_error *error;

    if (reply->length == 0) {
        return 0;
    }
    /* An AS-REP answers a probe for a user without pre-authentication. */
    if (as->running && as->probing
        && eas_preauth_read_reply(eas_bytes_make(reply->data, reply->length), &as->preauth)) {
        return KRB5KDC_ERR_PREAUTH_REQUIRED;
    }
    as->is_error = (unsigned char)reply->data[0] == KRB_ERROR_OCTET;
    if (!as->is_error || krb5_rd_error(ctx, reply, &error) != 0) {
        return 0;
    }
    *ntstatus = ntstatus_of(eas_bytes_make(error->e_data.data, error->e_data.length));
    code = read_error(realm, error, as);
    krb5_free_error(ctx, error);
    return code;
}
