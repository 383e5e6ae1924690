/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/log_httpd.h - errors as log lines, variables and HTTP statuses */

#ifndef EAS_AUTH_BASE_LOG_HTTPD_H
#define EAS_AUTH_BASE_LOG_HTTPD_H

#include "auth/base/error.h"
#include "auth/base/module_httpd.h"

/* Seconds after which a client may repeat a request that failed for the gateway's own reasons. */
#define EAS_RETRY_AFTER "30"

/*
 * Logs the error with its tag, at the level of its class, and sets EAS_KCD_ERROR.  Errors are logged
 * once, at the top; the caller makes the response.
 */
void eas_log_error(request_rec *r, const struct eas_err *err);

/*
 * The same; adds Retry-After to a 503.  Returns the HTTP status of the error's class: 400, 401, 403,
 * 502 or 503.
 */
int eas_log_refuse(request_rec *r, const struct eas_err *err);

/* Logs an error of start-up for a server; the caller stops the start. */
void eas_log_startup(const server_rec *s, const struct eas_err *err);

#endif
