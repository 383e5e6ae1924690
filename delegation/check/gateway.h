/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/gateway.h - steps about the gateway's account */

#ifndef EAS_DELEGATION_CHECK_GATEWAY_H
#define EAS_DELEGATION_CHECK_GATEWAY_H

#include "delegation/check/check.h"

/* The log-on by the keytab. */
void eas_gateway_log_on(struct eas_check *check);

/* The gateway's ticket for itself: its key, and the account's right to protocol transition. */
void eas_gateway_own_ticket(struct eas_check *check);

#endif
