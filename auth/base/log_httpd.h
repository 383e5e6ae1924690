/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/log_httpd.h - errors as log lines, variables and HTTP statuses */

#ifndef EAS_AUTH_BASE_LOG_HTTPD_H
#define EAS_AUTH_BASE_LOG_HTTPD_H

#include "auth/base/error.h"
#include "auth/base/module_httpd.h"

#include <stdbool.h>

/* Retry-After of a 503, in seconds. */
#define EAS_RETRY_AFTER "30"

/*
 * Logs a line about a request, unless the log has enough lines of its tag (auth/base/log_limit.h).
 * The text begins with the tag.
 */
void eas_log_line(request_rec *r, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* In child_init: the limits of the process. */
void eas_log_child_init(apr_pool_t *pchild);

void eas_log_register_hooks(apr_pool_t *pool);

/*
 * Logs the error with its tag, at the level of its class, and sets EAS_KCD_ERROR.  The outermost
 * caller logs, once, and makes the response.
 */
void eas_log_error(request_rec *r, const struct eas_err *err);

/*
 * Logs likewise, and adds Retry-After to a 503.  Returns the HTTP status of the error's class: 400,
 * 401, 403, 502 or 503.
 */
int eas_log_refuse(request_rec *r, const struct eas_err *err);

/* Whether the last eas_log_refuse() of this request returned the status. */
bool eas_log_has_refused(const request_rec *r, int status);

/* Another server of the backend is asked, whose response is not the module's refusal. */
void eas_log_forget_refusal(request_rec *r);

/*
 * Logs an error of start-up for a server, with the place of a virtual host in the configuration; the
 * caller makes the start fail.
 */
void eas_log_startup(const server_rec *s, const struct eas_err *err);

/* Likewise, where the start goes on. */
void eas_log_startup_warning(const server_rec *s, const struct eas_err *err);

#endif
