/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/admit.h - client addresses that see numbers without a user */

#ifndef EAS_DELEGATION_STATUS_ADMIT_H
#define EAS_DELEGATION_STATUS_ADMIT_H

#include <stdbool.h>

/*
 * Whether an address is this machine's or of a private network: loopback, RFC 1918, link-local, or
 * fc00::/7.  A status page that every address may see, by an oversight, is so kept from the
 * Internet.
 */
bool eas_admit_is_private(const char *address);

#endif
