/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/throttle_httpd.h - the guard's shared memory, and what it shows in logs and in time */

#ifndef EAS_AUTH_PASSWORD_THROTTLE_HTTPD_H
#define EAS_AUTH_PASSWORD_THROTTLE_HTTPD_H

#include "auth/password/throttle.h"

#include <httpd.h>

/*
 * In post_config: takes up or makes the memory, and says in the log how the settings must relate to
 * Active Directory's.  OK or 500 after logging.
 */
int eas_throttle_post_config(apr_pool_t *pconf, server_rec *main_server);

/* This server's; there after eas_throttle_post_config(), for all threads. */
const struct eas_throttle *eas_throttle(void);

/*
 * Sets EAS_KCD_LOCKOUT and EAS_KCD_FAILURES, and logs what has happened to the account or the address
 * by this request.  Why the request was refused is not for here to log.
 */
void eas_throttle_log(request_rec *r, const struct eas_throttle_rules *rules,
                      const struct eas_throttle_attempt *attempt);

/*
 * Before a refusal of credentials is answered: waits until a multiple of 100 ms has passed since the
 * request came, so that the time tells nobody which of the reasons it was.  Returns at once for all
 * other results.
 */
void eas_throttle_delay(request_rec *r, enum eas_rc rc);

#endif
