/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/prompt.h - password from the terminal, without an echo, or from stdin */

#ifndef EAS_DELEGATION_CHECK_PROMPT_H
#define EAS_DELEGATION_CHECK_PROMPT_H

#include "auth/base/secret.h"

/*
 * One line.  NULL if it is empty, too long, or there is none.  stdin has no buffer.  A signal that
 * ends or stops the program finds the terminal as it was.
 */
struct eas_secret *eas_prompt_password(apr_pool_t *pool, const char *user);

#endif
