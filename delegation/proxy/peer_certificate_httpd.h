/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/peer_certificate_httpd.h - why mod_ssl refuses a backend's certificate */

#ifndef EAS_DELEGATION_PROXY_PEER_CERTIFICATE_HTTPD_H
#define EAS_DELEGATION_PROXY_PEER_CERTIFICATE_HTTPD_H

#include "auth/base/error.h"

#include <httpd.h>

/*
 * Sets *err after a failed TLS handshake of an outgoing connection: its certificate with the names,
 * issuer or times that mattered, else another reason.  The connection's end ends mod_ssl's part.
 */
void eas_peer_certificate_fail(const conn_rec *c, struct eas_err *err);

void eas_peer_certificate_register_hooks(apr_pool_t *pool);

#endif
