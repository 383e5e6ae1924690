/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/backend.h - steps about a backend: TLS, its challenge, a token */

#ifndef EAS_DELEGATION_CHECK_BACKEND_H
#define EAS_DELEGATION_CHECK_BACKEND_H

#include "delegation/check/check.h"

/* The user's ticket is for spn.  Without one, only connection and challenge are looked at. */
void eas_backend_check(struct eas_check *check, const char *url, const char *spn,
                       const struct eas_ticket *ticket);

#endif
