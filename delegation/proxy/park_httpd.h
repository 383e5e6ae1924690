/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park_httpd.h - requests that wait for their backend without a thread */

#ifndef EAS_DELEGATION_PROXY_PARK_HTTPD_H
#define EAS_DELEGATION_PROXY_PARK_HTTPD_H

#include "delegation/proxy/client_httpd.h"
#include "delegation/proxy/park.h"

#include <httpd.h>

/*
 * A request whose response does not come parks (EasKcdPark):
 *
 *  1. mod_proxy_http has sent it, for a copy of the request (first_run_httpd.h), and reads.  The input
 *     filter gives it a response without content (await_httpd), after which it keeps the connection
 *     in the request's slot.  scheme_handler returns SUSPENDED; nothing has gone to the client.
 *  2. The hook process_connection below, around all others, asks the MPM to wait for the client's
 *     socket (CONN_STATE_ASYNC_WAITIO).  The hook suspend_connection replaces the descriptor in
 *     that socket by one that the poller (parking.h) wakes; resume_connection puts it back.
 *  3. At an event the MPM runs process_connection again, on any thread.  If the request must go on,
 *     mod_proxy_http runs again with the same slot.  The filters hide from it that the connection
 *     has data, and swallow the request, which was sent.  It reads the response as any other: the
 *     AP-REP, the repetition after a 401, the status and the log are those of all requests.
 *  4. The request ends as httpd ends one, and the MPM goes on with the connection (kept_httpd.h).
 *
 * So mod_proxy_http alone parses responses, and no rule for them exists twice.
 *
 * Owners: the request's pool has the record of its parking; the request keeps the slot, its place
 * among the long polls, and the exchange.  They end with it, whichever way it ends:
 *   response, time-out     step 3; the command's time counts from the request, not from an event
 *   client's FIN or RST    step 3 without a response: slot and connection end, status 499
 *   newer long poll        likewise, with the status of one that is not parked
 *   end of the process     a Ping gets "nothing has changed" (graceful stop, MaxConnectionsPerChild,
 *                          MaxSpareThreads), other commands 503; spread over seconds.  A full stop
 *                          ends its threads.  The hook child_stopping answers those that no thread
 *                          has, in two seconds; the end of the child answers the others, likewise
 *   the MPM's own time-out it closes the connection; the poller has the MPM look before that
 */

/* Functions for a parked request; the thread calls them that has it. */
struct eas_park_owner {
    void *data;
    /* Runs it after the event.  SUSPENDED: it has parked again.  Otherwise the status. */
    int (*resume)(void *data, enum eas_client_event event);
    /* Releases what it holds: its connection has ended. */
    void (*drop)(void *data);
    struct eas_park_facts facts; /* as far as the owner knows */
};

/*
 * How long this thread waits before the request parks; below 0: it never does.  Otherwise the wait
 * has an end.
 */
apr_interval_time_t eas_park_begin_wait(const struct eas_park_owner *owner);
void eas_park_end_wait(void);

/*
 * Parks a request until a time of eas_clock_now(); 0 is no limit.  A read through `backend` shows
 * whether the response comes.  False: it keeps its thread, for a
 * reason that is logged once.
 */
bool eas_park_request(request_rec *r, struct eas_park_owner *owner, ap_filter_t *backend,
                      const struct eas_long_poll *poll, apr_time_t deadline);

/* The request has not parked after all. */
void eas_park_cancel(request_rec *r);

/* Whether the MPM can wait for a suspended connection, and continue it. */
bool eas_park_is_possible(void);

/*
 * Per child, if any section may delegate.  At a graceful stop the child answers over the time of
 * spread.
 */
void eas_park_child_init(apr_pool_t *pchild, apr_interval_time_t spread);

void eas_park_register_hooks(apr_pool_t *pool);

#endif
