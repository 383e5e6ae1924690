/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/client_record_httpd.h - the module's record of a client's connection */

#ifndef EAS_DELEGATION_PROXY_CLIENT_RECORD_HTTPD_H
#define EAS_DELEGATION_PROXY_CLIENT_RECORD_HTTPD_H

#include <httpd.h>

/*
 * In the connection's pool, and found through its configuration slot: several hooks look each time
 * the MPM begins or ends work on the connection.  A backend's connection has a record of
 * outgoing_httpd in that slot.
 */
struct eas_client_record {
    const char *owner;              /* see eas_outgoing_client_owner() */
    struct eas_park_record *parked; /* the request that waits without a thread, or NULL */
    struct eas_kept *kept;          /* see kept_httpd.h; NULL until a request has parked */
};

/* NULL: there is none yet. */
struct eas_client_record *eas_client_record_of(const conn_rec *c);

struct eas_client_record *eas_client_record_make(const conn_rec *c);

#endif
