/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/answer.h - what the answers of a backend mean */

#ifndef EAS_DELEGATION_CHECK_ANSWER_H
#define EAS_DELEGATION_CHECK_ANSWER_H

#include "delegation/check/finding.h"
#include "delegation/check/http.h"

/* The answer to a request without a token.  NONE: the backend asks for a token of Negotiate. */
enum eas_finding eas_answer_offer(const struct eas_http_response *response);

/* Whether the answer has a reply to the token, and whether that is the right one. */
enum eas_answer_reply { EAS_ANSWER_NO_REPLY, EAS_ANSWER_WRONG_REPLY, EAS_ANSWER_RIGHT_REPLY };

/*
 * The answer to a request with a token; header_len is the length of its Authorization.  NONE: the
 * backend has accepted the user, and authenticated itself.
 */
enum eas_finding eas_answer_token(int status, enum eas_answer_reply reply, size_t header_len);

#endif
