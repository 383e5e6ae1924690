/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_transport.h - one message to a KDC over TCP, and its reply */

#ifndef EAS_AUTH_KERBEROS_KDC_TRANSPORT_H
#define EAS_AUTH_KERBEROS_KDC_TRANSPORT_H

#include "auth/base/bytes.h"
#include "auth/kerberos/kdc_health.h"

/*
 * TCP with a length of four octets (RFC 4120 7.2.2), one connection for each message.  No call
 * outlasts its deadline.
 *
 *  - A KDC that refuses, closes or sends no Kerberos message is left at once for the next address;
 *    one that does not accept the connection is left after a third of a second.
 *  - A KDC that has the message and stays silent is overtaken after its patience: the message goes
 *    to the next address as well, and the first reply counts.
 *  - A guess (kdc_message.h) goes to one KDC only.  After the first of its bytes has been sent, no
 *    other address gets it: the two KDCs would count two failures.
 */
struct eas_kdc_transport_request {
    const struct eas_kdc_addresses *addresses; /* in the order in which they are asked */
    const char *realm;                         /* for the status page; NULL: not for that */
    struct eas_bytes message;
    bool guess;
    bool (*is_reply)(struct eas_bytes octets); /* of another service than a KDC's; or NULL */
    apr_time_t until;                          /* of eas_clock_now() */
};

struct eas_kdc_transport_reply {
    unsigned char *bytes; /* allocated by malloc() for the caller */
    size_t len;
    unsigned from; /* index of the address */
};

/* False if no reply came; records the health of each address. */
bool eas_kdc_transport_exchange(const struct eas_kdc_transport_request *request,
                                struct eas_kdc_transport_reply *reply_out);

#endif
