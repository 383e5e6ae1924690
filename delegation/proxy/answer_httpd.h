/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/answer_httpd.h - answer to a delegated request, and its status for mod_proxy */

#ifndef EAS_DELEGATION_PROXY_ANSWER_HTTPD_H
#define EAS_DELEGATION_PROXY_ANSWER_HTTPD_H

#include "delegation/proxy/prepare_httpd.h"

/* Sets the status of the answer.  Returns the result of scheme_handler that hides it. */
int eas_answer(request_rec *r, int status);

/* Likewise with the status of an error, which is logged with the user and the service. */
int eas_answer_refuse(const struct eas_attempt *attempt, struct eas_err *err);

/* The error of a 401 to a token; renewed: also to one of a ticket that is new. */
void eas_answer_fail_refused(const struct eas_attempt *attempt, bool renewed, struct eas_err *err);

/* Forgets the status of another attempt, and what shows it. */
void eas_answer_forget(request_rec *r);

/* Answers, if the client has no response yet.  The status is that of mod_proxy's scheme handler. */
int eas_answer_conclude(struct eas_attempt *attempt, int status);

/* Hides a status other than OK from mod_proxy where the worker is not to blame for it. */
int eas_answer_hide(const struct eas_attempt *attempt, int status);

/* The status that was hidden. */
int eas_answer_status(const request_rec *r, int status);

void eas_answer_register_hooks(apr_pool_t *pool);

#endif
