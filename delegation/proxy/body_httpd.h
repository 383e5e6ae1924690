/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/body_httpd.h - a request's body, kept so that the request can be repeated */

#ifndef EAS_DELEGATION_PROXY_BODY_HTTPD_H
#define EAS_DELEGATION_PROXY_BODY_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

/*
 * mod_proxy_http reads a body once, ahead of sending, into a brigade that it keeps for a failover and
 * that is empty after it has sent it: a repeated request would carry an empty body, and the backend be
 * content with that.  So what is to be repeated is read before, and put into that brigade for each try.
 */
struct eas_body;

/*
 * Reads the body if it is no longer than limit; of a longer one, so much, and it can be sent once.
 * Waits for the client, and answers its `Expect: 100-continue`.  OK, or the HTTP status of what went
 * wrong at the client.
 */
int eas_body_keep(request_rec *r, apr_off_t limit, struct eas_body **body_out);

/* Before each try: gives mod_proxy_http the body from its beginning. */
void eas_body_hand_over(request_rec *r, struct eas_body *body);

/* Can the request be repeated, after something of it was sent? */
bool eas_body_is_whole(const struct eas_body *body);

/* Something of the request has been sent; a body that is not whole is lost with that. */
void eas_body_spend(struct eas_body *body);
bool eas_body_is_lost(const struct eas_body *body);

#endif
