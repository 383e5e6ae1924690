/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/body_httpd.h - request body, kept to repeat the request */

#ifndef EAS_DELEGATION_PROXY_BODY_HTTPD_H
#define EAS_DELEGATION_PROXY_BODY_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

/*
 * mod_proxy_http reads a body ahead into a brigade that it keeps for a failover, but sending
 * empties the brigade.  A repeated request would have an empty body, which the backend would
 * accept.  So the body is read here first, and copied into that brigade for each exchange.
 */
struct eas_body;

/*
 * Reads the body up to limit octets.  A longer one can be sent once.  Trailers become no headers.
 * Blocks for the client, and answers its `Expect: 100-continue`.  OK, or the HTTP status for the
 * client's error.
 */
int eas_body_keep(request_rec *r, apr_off_t limit, struct eas_body **body_out);

/* Before each exchange: gives mod_proxy_http the body from its beginning. */
void eas_body_hand_over(request_rec *r, struct eas_body *body);

/* Whether the whole body is kept, so that the request can be repeated. */
bool eas_body_is_whole(const struct eas_body *body);

/* A part of the request has been sent, which exhausts a body that is not whole. */
void eas_body_note_sent(struct eas_body *body);
bool eas_body_is_exhausted(const struct eas_body *body);

#endif
