/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/failover_httpd.c - another member of the balancer, where one gets no ticket */

#include "delegation/proxy/failover_httpd.h"
#include "auth/request_httpd.h"

#include <http_log.h>

/* As long as the cache of tickets keeps a refusal. */
#define MARK_STAYS apr_time_from_sec(10)

/* Long enough for a request to get from the mark to the choice of the next member. */
#define LEAST_RETRY apr_time_from_sec(1)

/* mod_proxy_balancer's note of a session that belongs to a member. */
#define ROUTE_NOTE "session-route"

void eas_failover_begin(request_rec *r)
{
    struct eas_request *request = eas_request_of(r);

    request->workers_tried++;
    request->next_worker = false;
}

/* As mod_proxy_balancer judges: a mark that is older than `retry=` is removed. */
static bool is_available(const proxy_worker *worker)
{
    const proxy_worker_shared *s = worker->s;
    unsigned obstacles = s->status & (PROXY_WORKER_NOT_USABLE_BITMAP | PROXY_WORKER_DRAIN);

    return obstacles == 0
           || (obstacles == PROXY_WORKER_IN_ERROR && apr_time_now() > s->error_time + s->retry);
}

static bool has_other_member(const proxy_balancer *balancer, const proxy_worker *worker)
{
    int i;

    for (i = 0; i < balancer->workers->nelts; i++) {
        const proxy_worker *member = APR_ARRAY_IDX(balancer->workers, i, proxy_worker *);

        if (member != worker && is_available(member)) {
            return true;
        }
    }
    return false;
}

/*
 * mod_proxy copies balancers after it has made their members: into the configuration of a virtual
 * host, and as their number grows.  So worker->balancer may be a copy that mod_proxy has left.
 */
static const proxy_balancer *find_balancer(const proxy_server_conf *conf,
                                           const proxy_worker *worker)
{
    int i, j;

    for (i = 0; i < conf->balancers->nelts; i++) {
        const proxy_balancer *balancer = &APR_ARRAY_IDX(conf->balancers, i, proxy_balancer);

        for (j = 0; j < balancer->workers->nelts; j++) {
            if (APR_ARRAY_IDX(balancer->workers, j, proxy_worker *) == worker) {
                return balancer;
            }
        }
    }
    return NULL;
}

/* mod_proxy is about to set the mark, and its time after that: this time counts meanwhile. */
static void protect_mark(proxy_worker_shared *s)
{
    s->error_time = apr_time_now();
    if (s->retry < LEAST_RETRY) {
        s->retry = LEAST_RETRY;
    }
}

bool eas_failover_to_next(request_rec *r, const proxy_server_conf *conf, const proxy_worker *worker)
{
    struct eas_request *request = eas_request_of(r);
    const proxy_balancer *balancer = find_balancer(conf, worker);

    /* After an attempt through ProxyRemote, proxy_handler() tries no other worker. */
    request->next_worker =
        balancer != NULL && balancer->s->max_attempts_set
        && request->workers_tried <= balancer->s->max_attempts
        && !(worker->s->status & PROXY_WORKER_IGNORE_ERRORS)
        && !(balancer->s->sticky_force && apr_table_get(r->notes, ROUTE_NOTE) != NULL)
        && has_other_member(balancer, worker);
    if (request->next_worker) {
        protect_mark(worker->s);
    }
    return request->next_worker;
}

/* In the same thread, after proxy_handler() has marked the worker. */
int eas_failover_pre_request(proxy_worker **worker, proxy_balancer **balancer, request_rec *r,
                             proxy_server_conf *conf, char **url)
{
    const struct eas_request *request = ap_get_module_config(r->request_config, &eas_kcd_module);
    proxy_worker_shared *s;

    if (*balancer != NULL && *worker != NULL && request != NULL && request->next_worker) {
        s = (*worker)->s;
        s->error_time = apr_time_now() + MARK_STAYS - s->retry;
        s->status |= PROXY_WORKER_IN_ERROR;
        eas_log_line(r, APLOG_NOTICE,
                     "EAS2086: %s gets no tickets, and no requests for %d seconds; the next member "
                     "of the balancer is tried",
                     s->name_ex, (int)apr_time_sec(MARK_STAYS));
    }
    return DECLINED;
}
