/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/preauth.h - Pre-authentication data of a KDC's answer in an AS exchange */

#ifndef EAS_AUTH_KERBEROS_PREAUTH_H
#define EAS_AUTH_KERBEROS_PREAUTH_H

#include "auth/kerberos/string_to_key.h"

#include <stdbool.h>

/* The longest salt that is read: AD's is a realm and a user's name. */
#define EAS_PREAUTH_SALT_MAX 639

/* Pre-authentication data (RFC 4120 5.2.7, RFC 6113) that this module uses. */
struct eas_preauth {
    bool is_reply;    /* an AS-REP, which offers nothing */
    bool offers_fast; /* an empty PA-FX-FAST: the KDC understands FAST */
    bool is_fast;     /* a PA-FX-FAST with contents: the answer itself is armoured */
    char salt[EAS_PREAUTH_SALT_MAX + 1]; /* of the first key with one; "" if none has */
};

/* Reads METHOD-DATA, the e-data of an error.  Other octets have no pre-authentication data. */
void eas_preauth_read_error(struct eas_bytes e_data, struct eas_preauth *preauth_out);

/*
 * Finds the key's salt and count in ETYPE-INFO2, by its enctype.  False without a salt, or with
 * parameters that are left to libkrb5.
 */
bool eas_preauth_find_key(struct eas_bytes etype_info2, struct eas_string_to_key *key);

/* Reads an AS-REP.  False if the message is none. */
bool eas_preauth_read_reply(struct eas_bytes message, struct eas_preauth *preauth_out);

#endif
