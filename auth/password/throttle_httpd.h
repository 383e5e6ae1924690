/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle_httpd.h - Log-on throttle in httpd: memory, logs and response time */

#ifndef EAS_AUTH_PASSWORD_THROTTLE_HTTPD_H
#define EAS_AUTH_PASSWORD_THROTTLE_HTTPD_H

#include "auth/password/throttle.h"

#include <httpd.h>

/*
 * In post_config: attaches the shared memory, and logs how EasKcdLockout relates to the lockout
 * policy of Active Directory.  OK, or 500 after logging.
 */
int eas_throttle_post_config(apr_pool_t *pconf, server_rec *main_server);

/* The throttle of this server process, for all threads; valid after eas_throttle_post_config(). */
const struct eas_throttle *eas_throttle(void);

/*
 * Sets EAS_KCD_LOCKOUT and EAS_KCD_FAILURES, and logs changes of the user's lockout and of the
 * token bucket.  The caller logs the reason of a refusal.
 */
void eas_throttle_log(request_rec *r, const struct eas_throttle_rules *rules,
                      const struct eas_throttle_attempt *attempt);

/* In child_init: the share of the threads that may delay refusals. */
void eas_throttle_child_init(void);

/*
 * Delays the refusal of credentials that were complete at that time of the monotonic clock
 * (auth/password/refusal_delay.h).  The response time then does not show the reason.  Returns at
 * once for all other results, and if enough threads delay refusals already.
 */
void eas_throttle_delay(request_rec *r, enum eas_rc rc, apr_time_t since);

#endif
