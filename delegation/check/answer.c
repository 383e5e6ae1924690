/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/answer.c - what the answers of a backend mean */

#include "delegation/check/answer.h"
#include "delegation/kerberos/offer.h"

/* httpd's limit for a field is about this, and that of http.sys twice as much. */
#define LONG_HEADER 8000

enum eas_finding eas_answer_offer(const struct eas_http_response *response)
{
    switch (eas_offer_of(response->status, response->headers)) {
    case EAS_OFFER_NEGOTIATE:
        return EAS_FINDING_NONE;
    case EAS_OFFER_NTLM:
        return EAS_FINDING_OFFERS_NTLM;
    case EAS_OFFER_BASIC:
        return EAS_FINDING_OFFERS_BASIC;
    case EAS_OFFER_FORM:
        return EAS_FINDING_OFFERS_FORM;
    case EAS_OFFER_NOTHING:
        break;
    }
    return EAS_FINDING_OFFERS_NOTHING;
}

enum eas_finding eas_answer_token(int status, enum eas_answer_reply reply, size_t header_len)
{
    bool right = reply == EAS_ANSWER_RIGHT_REPLY;

    if (status == 431 || ((status == 400 || status == 413) && !right && header_len > LONG_HEADER)) {
        return EAS_FINDING_HEADER_TOO_LONG;
    }
    if (status == 401 || status == 403) {
        return right ? EAS_FINDING_USER_REFUSED_BY_BACKEND : EAS_FINDING_TOKEN_REFUSED;
    }
    return right                             ? EAS_FINDING_NONE
           : reply == EAS_ANSWER_WRONG_REPLY ? EAS_FINDING_AP_REP_WRONG
                                             : EAS_FINDING_NO_AP_REP;
}
