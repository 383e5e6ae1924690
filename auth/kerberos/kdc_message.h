/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_message.h - messages between client and KDC, as far as transport needs them */

#ifndef EAS_AUTH_KERBEROS_KDC_MESSAGE_H
#define EAS_AUTH_KERBEROS_KDC_MESSAGE_H

#include "auth/base/bytes.h"

#include <stdbool.h>

/*
 * True if the KDC may count the request as a failed log-on: an AS-REQ with an encrypted timestamp
 * or challenge.  FAST (RFC 6113) hides these; its first request in a conversation has none.  So an
 * armoured request is a guess where the conversation has had an answer.  Bytes that are no request
 * count as a guess.
 */
bool eas_kdc_message_is_guess(struct eas_bytes message, bool conversation);

/* True if the bytes are one DER element of the type AS-REP, TGS-REP or KRB-ERROR. */
bool eas_kdc_message_is_reply(struct eas_bytes message);

/* The error code of a KRB-ERROR (RFC 4120 7.5.9), or -1. */
int eas_kdc_message_error(struct eas_bytes message);

#endif
