/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/failover_httpd.h - another member of the balancer, where one gets no ticket */

#ifndef EAS_DELEGATION_PROXY_FAILOVER_HTTPD_H
#define EAS_DELEGATION_PROXY_FAILOVER_HTTPD_H

#include "delegation/proxy/mod_proxy_httpd.h"

/*
 * The KDC issues nobody a ticket for the service of one member (EAS_NO_SERVICE).  mod_proxy tries
 * the next one after 503 of a scheme handler, if the member is marked as broken.  It marks the
 * member itself, for the `retry=` of the configuration.
 *
 * For everybody means: the KDC does not know the service, or refuses it for evidence that it would
 * accept for another one; and it has issued no ticket for it lately (services.h).  A refusal of one user (EAS_FORBIDDEN) is the same at each member, and a
 * failure of the KDC or of the gateway's account concerns all members.  Neither marks any.
 *
 * The mark is also the memory of the refusal, for all users, processes and Locations.  `retry=` is
 * the patience with a host that is down, and an hour is a good value for that.  But the member is up,
 * and gets tickets as soon as AD is corrected.  So the mark ends after ten seconds, whatever
 * `retry=` says, as the refusal does in the cache of tickets.  Then one request asks the KDC again.
 *
 * With `retry=0`, another request that looks for a member removes a mark at once.  Then mod_proxy
 * gives up, or tries the same member again.  So `retry=` becomes one second at least.
 *
 * A mark that ends at once, with the request, would cost Locations without delegation nothing.  But
 * requests at the same time would undo each other's marks, and mod_proxy would give up.
 */

/* mod_proxy tries a worker. */
void eas_failover_begin(request_rec *r);

/*
 * Whether mod_proxy tries another member after HTTP_SERVICE_UNAVAILABLE.  If so, the worker is marked
 * then.  False without a balancer, without another usable member, or where the configuration forbids
 * the mark (nofailover=, status=+I) or another attempt (maxattempts=).
 */
bool eas_failover_to_next(request_rec *r, const proxy_server_conf *conf,
                          const proxy_worker *worker);

/* mod_proxy's pre_request hook: marks the worker before mod_proxy_balancer chooses the next. */
int eas_failover_pre_request(proxy_worker **worker, proxy_balancer **balancer, request_rec *r,
                             proxy_server_conf *conf, char **url);

#endif
