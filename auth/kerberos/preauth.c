/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/preauth.c - Pre-authentication data of a KDC's answer in an AS exchange */

#include "auth/kerberos/preauth.h"
#include "auth/base/der.h"

#include <string.h>

#define AS_REP 11

/* RFC 3962 section 4.  libkrb5 refuses smaller counts, which ease guesses, and greater ones. */
#define DEFAULT_ITERATIONS 4096
#define ITERATIONS_MAX 0xffffff

/* Types of PA-DATA, as the contents of an INTEGER. */
#define PA_ETYPE_INFO2 "\x13"
#define PA_FX_FAST "\x00\x88"

/* Whether the octets are those of a string constant. */
#define is(bytes, constant) \
    ((bytes).len == sizeof(constant) - 1 && memcmp((bytes).at, constant, (bytes).len) == 0)

/* Four octets, or none at all.  0 for other parameters, and for counts that libkrb5 refuses. */
static uint32_t read_iterations(struct eas_bytes entry)
{
    struct eas_bytes field, p;
    uint32_t count;

    if (entry.len == 0) {
        return DEFAULT_ITERATIONS;
    }
    if (!eas_der_enter(&entry, EAS_DER_CONTEXT(2), &field)
        || !eas_der_enter_only(field, EAS_DER_OCTET_STRING, &p) || p.len != 4) {
        return 0;
    }
    count = (uint32_t)p.at[0] << 24 | (uint32_t)p.at[1] << 16 | (uint32_t)p.at[2] << 8 | p.at[3];
    return count >= DEFAULT_ITERATIONS && count <= ITERATIONS_MAX ? count : 0;
}

/*
 * ETYPE-INFO2-ENTRY ::= SEQUENCE { etype [0], salt [1] OPTIONAL, s2kparams [2] OPTIONAL }
 * False without a salt; the enctype is set all the same, to 0 if unknown.
 */
static bool read_entry(struct eas_bytes entry, struct eas_string_to_key *out)
{
    struct eas_bytes field, enctype, salt;

    out->enctype = 0;
    if (!eas_der_enter(&entry, EAS_DER_CONTEXT(0), &field)
        || !eas_der_enter_only(field, EAS_DER_INTEGER, &enctype)) {
        return false;
    }
    out->enctype = enctype.len == 1 ? enctype.at[0] : 0;
    if (!eas_der_enter(&entry, EAS_DER_CONTEXT(1), &field)
        || !eas_der_enter_only(field, EAS_DER_GENERAL_STRING, &salt) || salt.len == 0
        || salt.len > EAS_PREAUTH_SALT_MAX || memchr(salt.at, '\0', salt.len) != NULL) {
        return false;
    }
    out->salt = salt;
    out->iterations = read_iterations(entry);
    return true;
}

static void read_etype_info2(struct eas_bytes value, struct eas_preauth *preauth)
{
    struct eas_bytes entries, entry;
    struct eas_string_to_key key;

    if (!eas_der_enter_only(value, EAS_DER_SEQUENCE, &entries)) {
        return;
    }
    while (eas_der_enter(&entries, EAS_DER_SEQUENCE, &entry)) {
        if (read_entry(entry, &key)) {
            memcpy(preauth->salt, key.salt.at, key.salt.len);
            preauth->salt[key.salt.len] = '\0';
            return;
        }
    }
}

bool eas_preauth_find_key(struct eas_bytes etype_info2, struct eas_string_to_key *key)
{
    struct eas_bytes entries, entry;
    struct eas_string_to_key found;

    if (!eas_der_enter_only(etype_info2, EAS_DER_SEQUENCE, &entries)) {
        return false;
    }
    while (eas_der_enter(&entries, EAS_DER_SEQUENCE, &entry)) {
        bool is_salted = read_entry(entry, &found);

        if (found.enctype == key->enctype) {
            *key = found;
            return is_salted && found.iterations > 0;
        }
    }
    return false;
}

/* PA-DATA ::= SEQUENCE { padata-type [1] Int32, padata-value [2] OCTET STRING } */
static void read_padata(struct eas_bytes padata, struct eas_preauth *preauth)
{
    struct eas_bytes field, type, value;

    if (!eas_der_enter(&padata, EAS_DER_CONTEXT(1), &field)
        || !eas_der_enter_only(field, EAS_DER_INTEGER, &type)
        || !eas_der_enter(&padata, EAS_DER_CONTEXT(2), &field)
        || !eas_der_enter_only(field, EAS_DER_OCTET_STRING, &value)) {
        return;
    }
    if (is(type, PA_FX_FAST)) {
        preauth->offers_fast = value.len == 0;
        preauth->is_fast = value.len > 0;
    }
    else if (is(type, PA_ETYPE_INFO2)) {
        read_etype_info2(value, preauth);
    }
}

void eas_preauth_read_error(struct eas_bytes e_data, struct eas_preauth *preauth_out)
{
    struct eas_bytes list, padata;

    memset(preauth_out, 0, sizeof(*preauth_out));
    if (eas_der_enter_only(e_data, EAS_DER_SEQUENCE, &list)) {
        while (eas_der_enter(&list, EAS_DER_SEQUENCE, &padata)) {
            read_padata(padata, preauth_out);
        }
    }
}

/* KDC-REP ::= SEQUENCE { pvno [0], msg-type [1], padata [2] OPTIONAL, … } */
bool eas_preauth_read_reply(struct eas_bytes message, struct eas_preauth *preauth_out)
{
    struct eas_bytes reply, fields, field;

    memset(preauth_out, 0, sizeof(*preauth_out));
    if (!eas_der_enter_only(message, EAS_DER_APPLICATION(AS_REP), &reply)
        || !eas_der_enter_only(reply, EAS_DER_SEQUENCE, &fields)
        || !eas_der_enter(&fields, EAS_DER_CONTEXT(0), &field)
        || !eas_der_enter(&fields, EAS_DER_CONTEXT(1), &field)) {
        return false;
    }
    if (eas_der_enter(&fields, EAS_DER_CONTEXT(2), &field)) {
        eas_preauth_read_error(field, preauth_out);
    }
    preauth_out->is_reply = true;
    return true;
}
