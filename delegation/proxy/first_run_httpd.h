/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/first_run_httpd.h - copy of a request, whose memory ends before it parks */

#ifndef EAS_DELEGATION_PROXY_FIRST_RUN_HTTPD_H
#define EAS_DELEGATION_PROXY_FIRST_RUN_HTTPD_H

#include <httpd.h>
#include <stdbool.h>

/*
 * mod_proxy_http runs twice for a request that may park.  The first run sends the request, and gets
 * an empty response (await_httpd) when the backend's comes, its time is over, or the request parks.
 * The second run finds the request sent, and reads (park_httpd.h).
 *
 * The first one runs on a copy: a request_rec and its conn_rec with a pool, tables, a vector of
 * modules' records and a bucket allocator of their own, and without the client's output filters.  So
 * 14 KB of tables, head lines and token end with the run, instead of lasting as long as the wait.
 *
 * Why a copy, rather than another pool in the request itself:
 *  - the request is as before until the run has ended, whatever mod_proxy_http or another module's
 *    `fixups` of mod_proxy keep in pool, notes or records;
 *  - no response is read in it, but at most the end of the connection, so that nothing in the copy's
 *    memory can reach the client, and none is moved from one request_rec to the other;
 *  - requests that park and those that do not take the same way.
 * It costs a second run where the response comes before the request would park.
 *
 * Filters have the request itself.  No code that gets the copy keeps it: mod_proxy_http's state ends
 * with its run, as does the connection's fake request.
 */

/* Whether mod_proxy_http keeps the connection, and sends the whole request before it reads. */
bool eas_first_run_fits(const request_rec *r);

/* Makes the copy. */
request_rec *eas_first_run_begin(request_rec *r);

/*
 * Ends the copy.  After a failure, r has its variables, headers and notes, such as the text for an
 * error page.
 */
void eas_first_run_end(request_rec *r, request_rec *copy, bool has_failed);

#endif
