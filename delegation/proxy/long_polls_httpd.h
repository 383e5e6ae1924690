/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/long_polls_httpd.h - limits for the long polls that all processes hold */

#ifndef EAS_DELEGATION_PROXY_LONG_POLLS_HTTPD_H
#define EAS_DELEGATION_PROXY_LONG_POLLS_HTTPD_H

#include "auth/base/error.h"
#include "delegation/proxy/long_polls.h"

#include <httpd.h>

/* Attaches the memory, which outlives graceful restarts.  Without memory there are no limits. */
void eas_long_polls_post_config(server_rec *main_server);

/*
 * Begins the long poll of a user, if the request is one and EasKcdLongPolls limits it.  *poll_out is
 * NULL if not; else it is in the request's pool, and the caller ends it.  EAS_THROTTLED: refused.
 */
enum eas_rc eas_long_polls_admit(request_rec *r, const char *principal,
                                 struct eas_long_poll **poll_out, struct eas_err *err);

/* The polls that all processes hold. */
unsigned eas_long_polls_held(void);

#endif
