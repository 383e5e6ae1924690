/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/ap.h - client side of Kerberos' AP exchange (RFC 4120 section 3.2) */

#ifndef EAS_DELEGATION_KERBEROS_AP_H
#define EAS_DELEGATION_KERBEROS_AP_H

#include "auth/base/der.h"
#include "auth/kerberos/ticket_key.h"

#include <apr_time.h>

/*
 * krb5_mk_req_extended() and krb5_rd_rep() do the same, but decode and encode the ticket and derive
 * keys each time.  A ticket serves thousands of requests here, and this would be the greater part
 * of the cost (t/bench, case token).  So the KDC's encoding of the ticket is copied as it is,
 * derived keys stay with the ticket, and an authenticator is copied from a form.
 *
 * The functions return libkrb5's error codes.
 */

/* Octets of the authenticator's checksum (RFC 4121 section 4.1.1). */
#define EAS_AP_CHECKSUM_SIZE 24

/* An authenticator's time, which the AP-REP must repeat (RFC 4120 section 3.2.4). */
struct eas_ap_time {
    krb5_timestamp ctime;
    krb5_int32 cusec;
};

/* The most octets of a ticket's authenticator, and of its AP-REQ. */
apr_size_t eas_ap_authenticator_max(const krb5_creds *ticket);
apr_size_t eas_ap_request_max(const krb5_creds *ticket);

/*
 * A ticket's authenticator without the fields that differ from one to the next, and their offsets.
 * Each field has always the same length.  It holds no secret.
 */
struct eas_ap_form {
    const unsigned char *authenticator;
    apr_size_t len;
    apr_size_t cipher_len; /* of an encrypted authenticator */
    apr_size_t checksum, cusec, ctime, subkey, sequence;
    size_t seed_len, subkey_len; /* of the enctype's keys */
};

/* In room, which has the most octets of an authenticator. */
krb5_error_code eas_ap_form(krb5_context ctx, const struct eas_ticket_key *key,
                            const krb5_creds *ticket, void *room, struct eas_ap_form *out);

/*
 * The time of the authenticator after another one.  The clock's second is divided into the
 * microseconds 32 768 to 999 999, which DER writes in three octets.  The times are unique, so that
 * no AP-REP belongs to two, until the clock is set back: then they follow it, because an acceptor
 * refuses a time that is ahead of its own clock.
 */
apr_time_t eas_ap_time_after(apr_time_t before, apr_time_t now);

/* The time of the next authenticator of this process.  Fails for a ticket that is over. */
krb5_error_code eas_ap_now(const krb5_creds *ticket, struct eas_ap_time *time_out);

/*
 * Puts an encrypted authenticator into der: a fresh one with a subkey, as that of
 * gss_init_sec_context() (RFC 4120 section 5.5.1, RFC 4121 section 4.1).  key is the ticket's
 * session key; the checksum's type is 0x8003.  The time is that of eas_ap_now().
 */
krb5_error_code eas_ap_authenticator(krb5_context ctx, struct eas_ticket_key *key,
                                     const struct eas_ap_form *form, const unsigned char *checksum,
                                     const struct eas_ap_time *time, struct eas_der *der);

/* Makes an AP-REQ that requires mutual authentication of the encrypted authenticator in der. */
void eas_ap_wrap(struct eas_der *der, krb5_enctype enctype, const krb5_data *ticket);

/*
 * 0 if reply is the AP-REP to the AP-REQ of that time, encrypted with the session key (RFC 4120
 * section 5.5.2).  The octets are untrusted.
 */
krb5_error_code eas_ap_check_reply(krb5_context ctx, struct eas_ticket_key *key,
                                   struct eas_bytes reply, const struct eas_ap_time *time);

#endif
