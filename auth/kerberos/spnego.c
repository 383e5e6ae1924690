/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/spnego.c - SPNEGO around a Kerberos message (RFC 4178) */

#include "auth/kerberos/spnego.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <string.h>

/* InitialContextToken, RFC 2743 section 3.1. */
#define INITIAL_CONTEXT_TOKEN EAS_DER_APPLICATION(0)

/* 1.3.6.1.5.5.2 and 1.2.840.113554.1.2.2, with tag and length. */
static const unsigned char spnego_oid[] = { 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02 };
static const unsigned char krb5_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x12, 0x01, 0x02, 0x02 };
/* 1.2.840.48018.1.2.2, an error of Windows 2000 that later versions keep. */
static const unsigned char ms_krb5_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x82,
                                             0xf7, 0x12, 0x01, 0x02, 0x02 };
/* TOK_IDs, RFC 4121 section 4.1. */
static const unsigned char ap_req_id[] = { 0x01, 0x00 };
static const unsigned char ap_rep_id[] = { 0x02, 0x00 };

/* NegTokenResp's negState. */
#define ACCEPT_COMPLETED 0

void eas_spnego_wrap_init(struct eas_der *der)
{
    const unsigned char *mech_token;

    eas_der_put(der, ap_req_id, sizeof(ap_req_id));
    eas_der_put(der, krb5_oid, sizeof(krb5_oid));
    eas_der_wrap(der, der->end, INITIAL_CONTEXT_TOKEN);
    eas_der_wrap(der, der->end, EAS_DER_OCTET_STRING);
    eas_der_wrap(der, der->end, EAS_DER_CONTEXT(2)); /* mechToken */

    mech_token = der->at;
    eas_der_put(der, krb5_oid, sizeof(krb5_oid));
    eas_der_wrap(der, mech_token, EAS_DER_SEQUENCE);
    eas_der_wrap(der, mech_token, EAS_DER_CONTEXT(0)); /* mechTypes */

    eas_der_wrap(der, der->end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, der->end, EAS_DER_CONTEXT(0)); /* negTokenInit */
    eas_der_put(der, spnego_oid, sizeof(spnego_oid));
    eas_der_wrap(der, der->end, INITIAL_CONTEXT_TOKEN);
}

static bool take_krb5_oid(struct eas_bytes *text)
{
    return eas_der_take(text, krb5_oid, sizeof(krb5_oid))
           || eas_der_take(text, ms_krb5_oid, sizeof(ms_krb5_oid));
}

/* Kerberos' token, RFC 4121 section 4.1. */
static bool find_framed_ap_req(struct eas_bytes token, struct eas_bytes *ap_req_out)
{
    return eas_der_enter_only(token, INITIAL_CONTEXT_TOKEN, ap_req_out) && take_krb5_oid(ap_req_out)
           && eas_der_take(ap_req_out, ap_req_id, sizeof(ap_req_id));
}

/* The list of mechanisms, whose first is the one of the token. */
static bool take_mechanism(struct eas_bytes *fields, struct eas_bytes *mechanism)
{
    struct eas_bytes field, types;

    if (!eas_der_enter(fields, EAS_DER_CONTEXT(0), &field)
        || !eas_der_enter_only(field, EAS_DER_SEQUENCE, &types)) {
        return false;
    }
    *mechanism = eas_bytes_make(types.at, sizeof(krb5_oid)); /* as long as the other one */
    return take_krb5_oid(&types);
}

/* reqFlags, which a later version of the protocol has dropped, may precede; a MIC may follow. */
static bool enter_mech_token(struct eas_bytes *fields, struct eas_bytes *token)
{
    struct eas_bytes field;

    eas_der_enter(fields, EAS_DER_CONTEXT(1), &field);
    return eas_der_enter(fields, EAS_DER_CONTEXT(2), &field)
           && eas_der_enter_only(field, EAS_DER_OCTET_STRING, token);
}

bool eas_spnego_find_ap_req(struct eas_bytes token, struct eas_spnego_init *out)
{
    struct eas_bytes contents, choice, fields, mech_token;

    *out = (struct eas_spnego_init){ .mechanism = { NULL, 0 } };
    if (find_framed_ap_req(token, &out->ap_req)) {
        return true;
    }
    return eas_der_enter_only(token, INITIAL_CONTEXT_TOKEN, &contents)
           && eas_der_take(&contents, spnego_oid, sizeof(spnego_oid))
           && eas_der_enter_only(contents, EAS_DER_CONTEXT(0), &choice)
           && eas_der_enter_only(choice, EAS_DER_SEQUENCE, &fields)
           && take_mechanism(&fields, &out->mechanism) && enter_mech_token(&fields, &mech_token)
           && find_framed_ap_req(mech_token, &out->ap_req);
}

void eas_spnego_wrap_response(struct eas_der *der, const struct eas_spnego_init *init)
{
    static const unsigned char state[] = { ACCEPT_COMPLETED };
    const unsigned char *end = der->end, *mechanism;

    if (der->at != end) {
        eas_der_put(der, ap_rep_id, sizeof(ap_rep_id));
        eas_der_put(der, krb5_oid, sizeof(krb5_oid));
        eas_der_wrap(der, end, INITIAL_CONTEXT_TOKEN);
        if (init->mechanism.len == 0) {
            return;
        }
        eas_der_wrap(der, end, EAS_DER_OCTET_STRING);
        eas_der_wrap(der, end, EAS_DER_CONTEXT(2)); /* responseToken */
    }
    mechanism = der->at;
    eas_der_put(der, init->mechanism.at, init->mechanism.len);
    eas_der_wrap(der, mechanism, EAS_DER_CONTEXT(1)); /* supportedMech */
    mechanism = der->at;
    eas_der_put_element(der, EAS_DER_ENUMERATED, state, sizeof(state));
    eas_der_wrap(der, mechanism, EAS_DER_CONTEXT(0)); /* negState */
    eas_der_wrap(der, end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(1));
}

/* The state of a NegTokenResp, and the fields behind it. */
static bool enter_response(struct eas_bytes token, unsigned char *state, struct eas_bytes *fields)
{
    struct eas_bytes choice, field, value;

    if (!eas_der_enter_only(token, EAS_DER_CONTEXT(1), &choice)
        || !eas_der_enter_only(choice, EAS_DER_SEQUENCE, fields)
        || !eas_der_enter(fields, EAS_DER_CONTEXT(0), &field)
        || !eas_der_enter_only(field, EAS_DER_ENUMERATED, &value) || value.len != 1) {
        return false;
    }
    *state = value.at[0];
    return true;
}

bool eas_spnego_find_ap_rep(struct eas_bytes token, struct eas_bytes *ap_rep_out)
{
    struct eas_bytes fields, field, value, framed;
    unsigned char state;

    if (!enter_response(token, &state, &fields) || state != ACCEPT_COMPLETED) {
        return false;
    }
    if (eas_der_enter(&fields, EAS_DER_CONTEXT(1), &field)
        && (!take_krb5_oid(&field) || field.len != 0)) {
        return false;
    }
    /* A mechListMIC may follow.  With one offered mechanism it protects nothing. */
    if (!eas_der_enter(&fields, EAS_DER_CONTEXT(2), &field)
        || !eas_der_enter_only(field, EAS_DER_OCTET_STRING, &value)
        || !eas_der_enter_only(value, INITIAL_CONTEXT_TOKEN, &framed) || !take_krb5_oid(&framed)
        || !eas_der_take(&framed, ap_rep_id, sizeof(ap_rep_id))) {
        return false;
    }
    *ap_rep_out = framed;
    return true;
}

bool eas_spnego_is_bare(struct eas_bytes token)
{
    struct eas_bytes fields, mechanism;
    unsigned char state;

    if (!enter_response(token, &state, &fields)) {
        return false;
    }
    eas_der_enter(&fields, EAS_DER_CONTEXT(1), &mechanism);
    return fields.len == 0;
}

/* The next comma outside of a quoted string, or the end. */
static const char *end_of_element(const char *p)
{
    bool quoted = false;

    for (; *p != '\0' && (quoted || *p != ','); p++) {
        if (quoted && *p == '\\' && p[1] != '\0') {
            p++;
        }
        else if (*p == '"') {
            quoted = !quoted;
        }
    }
    return p;
}

bool eas_spnego_next_element(const char **value, struct eas_bytes *element_out)
{
    const char *begin = *value + strspn(*value, ", \t"), *end = end_of_element(begin);

    *value = end;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *element_out = eas_bytes_make(begin, (apr_size_t)(end - begin));
    return end > begin;
}

const char *eas_spnego_next_challenge(apr_pool_t *pool, const char **value)
{
    static const char scheme[] = "Negotiate ";
    const apr_size_t len = sizeof(scheme) - 1;
    struct eas_bytes element;

    while (eas_spnego_next_element(value, &element)) {
        const char *at = (const char *)element.at;

        if (element.len > len && apr_cstr_casecmpn(at, scheme, len) == 0) {
            return apr_pstrmemdup(pool, at, element.len);
        }
    }
    return NULL;
}
