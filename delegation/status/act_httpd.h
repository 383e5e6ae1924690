/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/act_httpd.h - an administrator's acts: sign a user out, unlock one */

#ifndef EAS_DELEGATION_STATUS_ACT_HTTPD_H
#define EAS_DELEGATION_STATUS_ACT_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

/*
 * Does the act that the form in the request's body asks for, `signout=` or `unlock=`.  OK, or the
 * status of a refusal.  A message to show is for an administrator.
 */
int eas_act(request_rec *r, bool administrator, const char **message_out);

#endif
