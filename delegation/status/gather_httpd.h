/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/gather_httpd.h - takes a snapshot of the gateway */

#ifndef EAS_DELEGATION_STATUS_GATHER_HTTPD_H
#define EAS_DELEGATION_STATUS_GATHER_HTTPD_H

#include "delegation/status/snapshot.h"

#include <httpd.h>

/* In the request's pool, without an administrator, and complete: the caller redacts it. */
struct eas_snapshot eas_gather(request_rec *r);

#endif
