/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/offer.h - schemes and forms by which a backend asks for a user */

#ifndef EAS_DELEGATION_KERBEROS_OFFER_H
#define EAS_DELEGATION_KERBEROS_OFFER_H

#include <apr_tables.h>

enum eas_offer {
    EAS_OFFER_NOTHING,
    EAS_OFFER_BASIC,
    EAS_OFFER_NTLM,
    EAS_OFFER_NEGOTIATE,
    EAS_OFFER_FORM /* a redirect to a log-on page, or OWA's own status for a session that is over */
};

/* The last in this order that a response offers.  Schemes count for a 401 alone. */
enum eas_offer eas_offer_of(int status, const apr_table_t *headers);

#endif
