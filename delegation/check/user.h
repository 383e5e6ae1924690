/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/user.h - steps about the user, and delegation in the user's name */

#ifndef EAS_DELEGATION_CHECK_USER_H
#define EAS_DELEGATION_CHECK_USER_H

#include "delegation/check/check.h"

/* Whether the KDC knows the user. */
void eas_user_exists(struct eas_check *check);

/* S4U2Self; the ticket is the evidence. */
void eas_user_self(struct eas_check *check);

/* The whole log-on by the password, whose evidence takes the place of S4U2Self's. */
void eas_user_log_on(struct eas_check *check);

/*
 * After the gateway's log-on has failed: the key of the user's ticket for the gateway, compared with
 * the keytab's.
 */
void eas_user_compare_key(struct eas_check *check);

/* S4U2Proxy with the evidence.  The ticket is the caller's; NULL without one. */
struct eas_ticket *eas_user_proxy(struct eas_check *check, const char *spn);

#endif
