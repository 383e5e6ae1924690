/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/ap.h - the client's side of Kerberos' AP exchange (RFC 4120 section 3.2) */

#ifndef EAS_DELEGATION_KERBEROS_AP_H
#define EAS_DELEGATION_KERBEROS_AP_H

#include "auth/kerberos/ticket_key.h"
#include "delegation/kerberos/der.h"

/*
 * krb5_mk_req_extended() and krb5_rd_rep() do the same and begin anew each time: they take the ticket
 * apart, put it together again, and derive from the session key what they derived before.  A ticket
 * serves thousands of requests here, of which that would be the greater part of the cost (t/bench, case
 * token).  So the ticket stays as the KDC has encoded it, and what is derived stays with it.
 *
 * The functions return libkrb5's error codes.
 */

/* What the AP-REP must repeat (RFC 4120 section 3.2.4). */
struct eas_ap_time {
    krb5_timestamp ctime;
    krb5_int32 cusec;
};

/* The octets of an AP-REQ with this ticket, at most. */
apr_size_t eas_ap_request_max(const krb5_creds *ticket);

/*
 * Puts an AP-REQ into der, with a fresh authenticator that asks for mutual authentication and has a
 * subkey, as gss_init_sec_context() would make it (RFC 4120 section 5.5.1, RFC 4121 section 4.1).  key is
 * the ticket's session key, checksum the authenticator's, of type 0x8003.
 */
krb5_error_code eas_ap_request(krb5_context ctx, struct eas_ticket_key *key,
                               const krb5_creds *ticket, const krb5_data *checksum,
                               struct eas_der *der, struct eas_ap_time *stamp_out);

/*
 * Is this the AP-REP to the AP-REQ of that stamp, from somebody who has the session key (RFC 4120
 * section 5.5.2)?  0 if so, whatever the octets are.
 */
krb5_error_code eas_ap_check_reply(krb5_context ctx, struct eas_ticket_key *key,
                                   struct eas_der_text reply, const struct eas_ap_time *stamp);

#endif
