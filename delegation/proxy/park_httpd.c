/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park_httpd.c - requests that wait for their backend without a thread */

#include "delegation/proxy/park_httpd.h"
#include "auth/base/clock.h"
#include "auth/base/counters.h"
#include "auth/request_httpd.h"
#include "delegation/proxy/client_record_httpd.h"
#include "delegation/proxy/kept_httpd.h"
#include "delegation/proxy/successors_httpd.h"
#include "delegation/proxy/trim_httpd.h"
#include "delegation/proxy/wait.h"

#include <ap_mmn.h>
#include <ap_mpm.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_request.h>
#include <http_ssl.h>
#include <mpm_common.h>
#include <scoreboard.h>
#include <stdatomic.h>

/* A full stop lasts no longer for it, and waits for no client longer. */
#define DISMISS_MAX apr_time_from_sec(2)
#define DISMISS_WRITE (APR_USEC_PER_SEC / 20)

/* httpd 2.4.63: a suspended connection comes back to the MPM. */
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)
#define HAS_WAITIO 1
#else
#define HAS_WAITIO 0
#define CONN_STATE_ASYNC_WAITIO CONN_STATE_SUSPENDED
#define CONN_SENSE_WANT_READ CONN_SENSE_DEFAULT
#endif

struct eas_park_child {
    struct eas_parking *parking; /* NULL: the MPM cannot */
    unsigned threads;
    apr_interval_time_t spread; /* of the answers at a graceful stop */
    _Atomic unsigned waiting;
    atomic_bool logged[EAS_PARK_OBSTACLES];
};

/* A parked request; in its pool.  The record of its client's connection refers to it. */
struct eas_park_record {
    request_rec *r;
    struct eas_park_owner *owner;
    ap_filter_t *backend; /* the first one below the module's own */
    struct eas_parked parked;
    unsigned events;
    apr_time_t since;
    apr_os_sock_t client; /* the client's descriptor while another one is in its place; else -1 */
};

/* The connection that this thread processes, within process_connection. */
static _Thread_local const conn_rec *current;

/* NULL: nothing parks in this process, or it is over. */
static struct eas_park_child *this_child(void)
{
    return eas_module_process()->park;
}

static struct eas_park_record *record_of(const conn_rec *c)
{
    const struct eas_client_record *client = eas_client_record_of(c);

    return client != NULL && this_child() != NULL && this_child()->parking != NULL ? client->parked
                                                                                   : NULL;
}

static void set_record(const conn_rec *c, struct eas_park_record *record)
{
    eas_client_record_make(c)->parked = record;
}

/* --- the client's socket ---------------------------------------------------------------------- */

static void replace_descriptor(const struct eas_park_record *record, apr_os_sock_t fd)
{
    apr_socket_t *socket = ap_get_conn_socket(record->r->connection);

    apr_os_sock_put(&socket, &fd, record->r->connection->pool);
}

/* The MPM adds the socket to its poll set after this. */
static void hook_suspend_connection(conn_rec *c, request_rec *r)
{
    struct eas_park_record *record = record_of(c);

    (void)r;
    if (record != NULL && record->client < 0 && record->parked.wake >= 0) {
        eas_trim_begin(c);
        record->client = eas_client_descriptor(c); /* -1: a full stop has closed it */
        if (record->client >= 0) {
            replace_descriptor(record, record->parked.wake);
            eas_parking_suspend(this_child()->parking, &record->parked);
        }
    }
    if (this_child() != NULL && this_child()->parking != NULL) {
        eas_kept_suspend(c, this_child()->parking);
    }
}

static void unpark(struct eas_park_record *record)
{
    if (record->client >= 0) {
        replace_descriptor(record, record->client);
        record->client = -1;
    }
    if (record->parked.wake >= 0) {
        record->events = eas_parking_remove(this_child()->parking, &record->parked);
    }
}

/* The MPM has removed it.  Whatever comes next reads or writes the client's own. */
static void hook_resume_connection(conn_rec *c, request_rec *r)
{
    struct eas_park_record *record = record_of(c);

    (void)r;
    if (record != NULL) {
        eas_trim_end(c);
        unpark(record);
    }
    if (this_child() != NULL && this_child()->parking != NULL) {
        eas_kept_resume(c, this_child()->parking);
    }
}

/* --- parking ---------------------------------------------------------------------------------- */

static void count_parked(int by)
{
    eas_counters_adjust(EAS_GAUGE_PARKED_NOW, by);
    if (by > 0) {
        eas_counters_add(EAS_COUNTER_PARKED);
    }
}

/* By what it goes on. */
static void count_woken(enum eas_client_event event, unsigned events)
{
    static const enum eas_counter counters[] = {
        [EAS_CLIENT_READ] = EAS_COUNTER_WOKEN_DATA,
        [EAS_CLIENT_TIMEUP] = EAS_COUNTER_WOKEN_TIME,
        [EAS_CLIENT_LEFT] = EAS_COUNTER_WOKEN_CLIENT,
        [EAS_CLIENT_REPLACED] = EAS_COUNTER_WOKEN_NEWER,
        [EAS_CLIENT_DISMISSED] = EAS_COUNTER_WOKEN_STOP,
        [EAS_CLIENT_NO_BACKEND] = EAS_COUNTER_WOKEN_DATA,
    };
    bool is_time = event == EAS_CLIENT_READ && (events & EAS_PARK_BACKEND) == 0;

    eas_counters_add(counters[is_time ? EAS_CLIENT_TIMEUP : event]);
}

static void log_obstacle(request_rec *r, enum eas_park_obstacle obstacle)
{
    struct eas_park_child *child = this_child();

    eas_counters_add(
        (enum eas_counter)((int)EAS_COUNTER_UNPARKED_MPM + (int)obstacle - (int)EAS_PARK_MPM));
    if (child == NULL || !atomic_exchange(&child->logged[obstacle], true)) {
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r,
                      "EAS2095: long polls such as this one hold a thread each: %s",
                      eas_park_obstacle_text(obstacle));
    }
}

apr_interval_time_t eas_park_begin_wait(const struct eas_park_owner *owner)
{
    struct eas_park_child *child = this_child();

    if (owner == NULL || child == NULL) {
        return -1;
    }
    return eas_park_patience(atomic_fetch_add(&child->waiting, 1), child->threads);
}

void eas_park_end_wait(void)
{
    struct eas_park_child *child = this_child();

    if (child != NULL) {
        atomic_fetch_sub(&child->waiting, 1);
    }
}

static void note_time(const struct eas_park_record *record)
{
    request_rec *r = record->r;
    struct eas_request *request = eas_request_of(r);

    request->parked += eas_clock_now() - record->since;
    apr_table_setn(r->subprocess_env, "EAS_KCD_PARKED",
                   apr_psprintf(r->pool, "%" APR_TIME_T_FMT, apr_time_sec(request->parked)));
}

static void end_turn(bool was_work)
{
    if (was_work) {
        eas_parking_done(this_child()->parking);
    }
}

/* The request's pool ends while it is parked.  In a process that ends, all is gone already. */
static apr_status_t drop(void *data)
{
    struct eas_park_record *record = data;

    if (this_child() != NULL) {
        unpark(record);
        end_turn(record->parked.turn.works);
        count_parked(-1);
        set_record(record->r->connection, NULL);
        record->owner->drop(record->owner->data);
    }
    return APR_SUCCESS;
}

static bool begin_parking(struct eas_park_record *record)
{
    record->parked.refresh = eas_park_refresh(eas_clock_now(), record->r->server->timeout,
                                              record->r->connection->base_server->timeout);
    return eas_parking_add(this_child()->parking, &record->parked);
}

static struct eas_park_record *make_record(request_rec *r, struct eas_park_owner *owner,
                                           ap_filter_t *backend, const struct eas_long_poll *poll,
                                           apr_time_t deadline)
{
    struct eas_park_record *record = apr_pcalloc(r->pool, sizeof(*record));

    record->r = r;
    record->owner = owner;
    record->since = eas_clock_now();
    record->client = -1;
    record->parked.backend = eas_client_descriptor(backend->c);
    record->backend = backend;
    record->parked.client = eas_client_descriptor(r->connection);
    record->parked.reads_client = ap_ssl_conn_is_ssl(r->connection) != 0;
    record->parked.deadline = deadline;
    record->parked.poll = poll;
    return record;
}

bool eas_park_request(request_rec *r, struct eas_park_owner *owner, ap_filter_t *backend,
                      const struct eas_long_poll *poll, apr_time_t deadline)
{
    struct eas_park_facts facts = owner->facts;
    enum eas_park_obstacle obstacle;
    struct eas_park_record *record;

    facts.mpm = this_child() != NULL && this_child()->parking != NULL;
    facts.stream = r->connection->master != NULL;
    facts.inner = r->main != NULL || r->prev != NULL || current != r->connection;
    facts.kept = facts.kept && backend->c->keepalive != AP_CONN_CLOSE;
    obstacle = eas_park_obstacle_of(&facts);
    if (obstacle == EAS_PARK_MPM && eas_park_is_possible()) {
        obstacle = EAS_PARK_DESCRIPTORS; /* the process has no poller */
    }
    if (obstacle == EAS_PARK_NO_OBSTACLE) {
        record = make_record(r, owner, backend, poll, deadline);
        if (begin_parking(record)) {
            eas_trim_backend(backend->c);
            set_record(r->connection, record);
            eas_kept_begin(r->connection, r->server);
            count_parked(1);
            apr_pool_cleanup_register(r->pool, record, drop, apr_pool_cleanup_null);
            ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, r, "parks: waits without a thread");
            return true;
        }
        obstacle = EAS_PARK_DESCRIPTORS;
    }
    log_obstacle(r, obstacle);
    return false;
}

static void leave(struct eas_park_record *record)
{
    apr_pool_cleanup_kill(record->r->pool, record, drop);
    count_parked(-1);
    unpark(record);
    set_record(record->r->connection, NULL);
}

void eas_park_cancel(request_rec *r)
{
    struct eas_park_record *record = record_of(r->connection);

    if (record != NULL) {
        leave(record);
        end_turn(record->parked.turn.works);
    }
}

/* --- the MPM's threads ------------------------------------------------------------------------ */

/* As ap_process_async_request() ends one. */
static void finish(request_rec *r, int status)
{
    if (status != OK && status != DONE) {
        r->status = HTTP_OK; /* no error page of an error page */
    }
    ap_die(status, r);
    ap_process_request_after_handler(r);
}

/* Whether the request goes on; if so, *event says why. */
static bool must_go_on(struct eas_park_record *record, enum eas_client_event *event)
{
    bool has_data = false, has_left;
    enum eas_client_heard heard;

    switch (eas_park_step_after(record->events)) {
    case EAS_PARK_READ:
        heard = eas_client_hear_backend(record->r, record->backend);
        if (record->events == EAS_PARK_BACKEND && heard == EAS_CLIENT_HEARD_NOTHING) {
            eas_trim_backend(record->backend->c);
            return false; /* a record of TLS without data */
        }
        *event = heard == EAS_CLIENT_HEARD_END ? EAS_CLIENT_NO_BACKEND : EAS_CLIENT_READ;
        return true;
    case EAS_PARK_LEAVE:
        *event = EAS_CLIENT_LEFT;
        return true;
    case EAS_PARK_GIVE_WAY:
        *event = EAS_CLIENT_REPLACED;
        return true;
    case EAS_PARK_ANSWER:
        *event = EAS_CLIENT_DISMISSED;
        return true;
    case EAS_PARK_LOOK:
        has_left = eas_client_read_ahead(record->r, &has_data) == EAS_CLIENT_LEFT;
        record->parked.reads_client = !has_data;
        *event = has_left ? EAS_CLIENT_LEFT : *event;
        return has_left;
    case EAS_PARK_STAY:
        break;
    }
    return false;
}

static void resume(struct eas_park_record *record)
{
    struct eas_park_owner *owner = record->owner;
    request_rec *r = record->r;
    conn_rec *c = r->connection;
    enum eas_client_event event = EAS_CLIENT_READ; /* without descriptors, too: it gets a thread */
    int status;

    c->cs->state = CONN_STATE_SUSPENDED;
    if (!must_go_on(record, &event) && begin_parking(record)) {
        return;
    }
    ap_update_child_status(c->sbh, SERVER_BUSY_WRITE, r);
    note_time(record);
    count_woken(event, record->events);
    leave(record);
    status = owner->resume(owner->data, event);
    if (status != SUSPENDED) {
        finish(r, status);
    }
}

/* Around the hooks of all other modules, which make a request of what the client sends. */
static int hook_process_connection(conn_rec *c)
{
    struct eas_parking *parking = this_child() != NULL ? this_child()->parking : NULL;
    const conn_rec *outer = current;
    struct eas_park_record *record;
    bool was_work = false;
    int status = OK;

    if (parking == NULL || c->master != NULL || outer == c) {
        return DECLINED;
    }
    current = c;
    eas_parking_begin_work(parking);
    record = record_of(c);
    if (record != NULL) {
        was_work = record->parked.turn.works;
        resume(record);
    }
    else {
        status = ap_run_process_connection(c);
    }
    eas_parking_end_work(parking);
    end_turn(was_work);
    current = outer;
    if (record_of(c) != NULL && c->cs->state == CONN_STATE_SUSPENDED) {
        c->cs->state = CONN_STATE_ASYNC_WAITIO;
        c->cs->sense = CONN_SENSE_WANT_READ;
    }
    else {
        eas_kept_after_request(c);
    }
    return status;
}

/* --- the process ------------------------------------------------------------------------------ */

static void dismiss(struct eas_park_record *record)
{
    struct eas_park_owner *owner = record->owner;
    request_rec *r = record->r;
    conn_rec *c = r->connection;

    note_time(record);
    count_woken(EAS_CLIENT_DISMISSED, EAS_PARK_STOP);
    leave(record);
    apr_socket_timeout_set(ap_get_conn_socket(c), DISMISS_WRITE);
    finish(r, owner->resume(owner->data, EAS_CLIENT_DISMISSED));
    ap_flush_conn(c);
}

/*
 * The MPM's threads take no connection any more, so this one has those that they do not have; as the
 * last thread, all.
 */
static void dismiss_all(struct eas_parking *parking, bool is_last_thread)
{
    apr_time_t until = eas_clock_now() + DISMISS_MAX;
    struct eas_parked *parked = eas_parking_claim(parking, is_last_thread);

    while (parked != NULL) {
        dismiss(
            (struct eas_park_record *)((char *)parked - offsetof(struct eas_park_record, parked)));
        parked = eas_clock_now() < until ? eas_parking_claim(parking, is_last_thread) : NULL;
    }
}

static void hook_child_stopping(apr_pool_t *pchild, int graceful)
{
    struct eas_parking *parking = this_child() != NULL ? this_child()->parking : NULL;

    (void)pchild;
    if (parking != NULL && graceful) {
        eas_parking_stop(parking, this_child()->spread, eas_successors_accept);
    }
    else if (parking != NULL) {
        dismiss_all(parking, false);
    }
}

/* The MPM has joined its threads. */
static apr_status_t end_child(void *data)
{
    struct eas_park_child *child = data;

    if (child->parking != NULL) {
        dismiss_all(child->parking, true);
    }
    eas_module_process()->park = NULL;
    if (child->parking != NULL) {
        eas_parking_destroy(child->parking);
    }
    return APR_SUCCESS;
}

bool eas_park_is_possible(void)
{
    int async = 0, waitio = 0;

#if HAS_WAITIO
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &async);
    ap_mpm_query(AP_MPMQ_CAN_WAITIO, &waitio);
#endif
    return async && waitio;
}

void eas_park_child_init(apr_pool_t *pchild, apr_interval_time_t spread)
{
    struct eas_park_child *child = apr_pcalloc(pchild, sizeof(*child));
    int threads = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    child->threads = (unsigned)threads;
    child->spread = spread;
    child->parking = eas_park_is_possible() ? eas_parking_create(child->threads) : NULL;
    eas_module_process()->park = child;
    apr_pool_pre_cleanup_register(pchild, child, end_child);
}

void eas_park_register_hooks(apr_pool_t *pool)
{
    eas_trim_register_hooks(pool);
    ap_hook_process_connection(hook_process_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(hook_suspend_connection, NULL, NULL, APR_HOOK_LAST);
    ap_hook_resume_connection(hook_resume_connection, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_stopping(hook_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
}
