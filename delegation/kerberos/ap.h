/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/ap.h - client side of Kerberos' AP exchange (RFC 4120 section 3.2) */

#ifndef EAS_DELEGATION_KERBEROS_AP_H
#define EAS_DELEGATION_KERBEROS_AP_H

#include "auth/base/der.h"
#include "auth/kerberos/ticket_key.h"

/*
 * krb5_mk_req_extended() and krb5_rd_rep() do the same, but decode and encode the ticket and derive
 * keys each time.  A ticket serves thousands of requests here, and this would be the greater part
 * of the cost (t/bench, case token).  So the KDC's encoding of the ticket is copied as it is, and
 * derived keys stay with the ticket.
 *
 * The functions return libkrb5's error codes.
 */

/* An authenticator's time, which the AP-REP must repeat (RFC 4120 section 3.2.4). */
struct eas_ap_time {
    krb5_timestamp ctime;
    krb5_int32 cusec;
};

/* The most octets of an AP-REQ with this ticket. */
apr_size_t eas_ap_request_max(const krb5_creds *ticket);

/*
 * Puts an AP-REQ into der.  Its fresh authenticator requires mutual authentication and has a
 * subkey, as that of gss_init_sec_context() (RFC 4120 section 5.5.1, RFC 4121 section 4.1).  key is
 * the ticket's session key; checksum is the authenticator's, of type 0x8003.
 */
krb5_error_code eas_ap_request(krb5_context ctx, struct eas_ticket_key *key,
                               const krb5_creds *ticket, const krb5_data *checksum,
                               struct eas_der *der, struct eas_ap_time *time_out);

/*
 * 0 if reply is the AP-REP to the AP-REQ of that time, encrypted with the session key (RFC 4120
 * section 5.5.2).  The octets are untrusted.
 */
krb5_error_code eas_ap_check_reply(krb5_context ctx, struct eas_ticket_key *key,
                                   struct eas_bytes reply, const struct eas_ap_time *time);

#endif
