/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/client_httpd.c - end of a client during the wait for the backend's response */

#include "delegation/proxy/client_httpd.h"
#include "auth/base/clock.h"
#include "delegation/proxy/wait.h"

#include <apr_portable.h>
#include <http_core.h>
#include <http_ssl.h>

/* The time between two looks at what poll() does not see. */
#define SLICE apr_time_from_sec(1)

/* Records without data that a look may skip. */
#define EMPTY_RECORDS_MAX 32

/* Stops a read of the client at the time that it allows for requests. */
#define REQUEST_TIMEOUT_FILTER "reqtimeout"

struct wait {
    conn_rec *client;
    const struct eas_long_poll *poll;
    struct eas_client_backend backend;
    struct eas_wait sockets;
    apr_time_t slice_ends;
    bool unread; /* what the client has sent before the wait has not been read */
};

int eas_client_descriptor(conn_rec *c)
{
    apr_socket_t *socket = ap_get_conn_socket(c);
    apr_os_sock_t fd = -1;

    return socket != NULL && apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

/* Reads without removing: APR_EAGAIN if there is nothing.  An end is an error, or leaves a bucket. */
static apr_status_t peek_once(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_status_t rv = ap_get_brigade(f, bb, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);

    if (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb)) {
        rv = APR_EAGAIN;
    }
    apr_brigade_cleanup(bb);
    return rv;
}

/*
 * A read by mod_ssl ends after a TLS record without data, such as a session ticket.  The next record
 * may lie in the filter of the socket already, which poll() does not see.
 */
static apr_status_t peek(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ap_filter_t *last = f;
    apr_status_t rv;
    int rounds = 0;

    while (last->next != NULL) {
        last = last->next;
    }
    do {
        rv = peek_once(f, bb);
    } while (APR_STATUS_IS_EAGAIN(rv) && last != f && ++rounds < EMPTY_RECORDS_MAX
             && peek_once(last, bb) == APR_SUCCESS);
    return rv;
}

static bool is_readable(const struct wait *wait)
{
    return !APR_STATUS_IS_EAGAIN(peek(wait->backend.next, wait->backend.bb));
}

/*
 * Past mod_reqtimeout: the time for the request is over by now, which would be an error to mod_ssl.
 */
static apr_status_t peek_client(conn_rec *c, apr_bucket_brigade *bb)
{
    ap_filter_t *f = c->input_filters, *skipped;
    apr_status_t rv;

    while (f->next != NULL && strcmp(f->next->frec->name, REQUEST_TIMEOUT_FILTER) != 0) {
        f = f->next;
    }
    skipped = f->next;
    if (skipped != NULL) {
        f->next = skipped->next;
    }
    rv = peek(c->input_filters, bb);
    if (skipped != NULL) {
        f->next = skipped;
    }
    return rv;
}

/* Whether TLS says that the client has left.  Data that lies before its end is left unread. */
static bool reads_end(struct wait *wait)
{
    apr_status_t rv = peek_client(wait->client, wait->backend.bb);

    wait->unread = false;
    if (rv == APR_SUCCESS) {
        wait->sockets.reads_client = false;
    }
    return rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv);
}

/* For the client alone. */
static struct wait begin(conn_rec *client, const struct eas_long_poll *poll)
{
    struct wait wait = { .client = client, .poll = poll };

    wait.sockets.backend = -1;
    wait.sockets.client = client->master != NULL ? -1 : eas_client_descriptor(client);
    return wait;
}

static void add_backend(struct wait *wait, const struct eas_client_backend *backend)
{
    wait->backend = *backend;
    wait->sockets.backend = eas_client_descriptor(backend->next->c);
    wait->sockets.reads_client = wait->unread =
        wait->client->master == NULL && ap_ssl_conn_is_ssl(wait->client);
}

/* Whether poll() alone does not see each end. */
static bool needs_slices(const struct wait *wait)
{
    return wait->sockets.client < 0 || wait->unread || wait->poll != NULL;
}

/* Events that poll() does not see.  EAS_CLIENT_TIMEUP: there is none. */
static enum eas_client_event after_slice(struct wait *wait)
{
    if (wait->client->aborted || (wait->unread && reads_end(wait))) {
        return EAS_CLIENT_LEFT;
    }
    if (wait->poll != NULL && !eas_long_polls_keep(wait->poll, eas_clock_now())) {
        return EAS_CLIENT_REPLACED;
    }
    return EAS_CLIENT_TIMEUP;
}

/* EAS_CLIENT_TIMEUP: go on until it is time. */
static enum eas_client_event wait_once(struct wait *wait, apr_time_t now, apr_interval_time_t max)
{
    apr_interval_time_t slice = wait->slice_ends > now ? wait->slice_ends - now : 0;
    bool is_slice = needs_slices(wait) && (max < 0 || max > slice);

    switch (eas_wait_poll(&wait->sockets, is_slice ? slice : max)) {
    case EAS_WAIT_BACKEND_ENDED:
        return EAS_CLIENT_READ;
    case EAS_WAIT_BACKEND:
        return wait->backend.drained || is_readable(wait) ? EAS_CLIENT_READ : EAS_CLIENT_TIMEUP;
    case EAS_WAIT_CLIENT_LEFT:
        return EAS_CLIENT_LEFT;
    case EAS_WAIT_CLIENT:
        return reads_end(wait) ? EAS_CLIENT_LEFT : EAS_CLIENT_TIMEUP;
    case EAS_WAIT_TIMEUP:
        break;
    }
    return EAS_CLIENT_TIMEUP;
}

/* Also while a client sends octet by octet, so that no slice passes without an event. */
static enum eas_client_event look_after_slice(struct wait *wait, apr_time_t now)
{
    if (now < wait->slice_ends) {
        return EAS_CLIENT_TIMEUP;
    }
    wait->slice_ends = now + SLICE;
    return after_slice(wait);
}

enum eas_client_event eas_client_wait(request_rec *r, const struct eas_long_poll *poll,
                                      const struct eas_client_backend *backend,
                                      apr_interval_time_t max)
{
    enum eas_client_event event = EAS_CLIENT_TIMEUP;
    struct wait wait = begin(r->connection, poll);
    apr_time_t since, now;

    add_backend(&wait, backend);
    if (!backend->drained && is_readable(&wait)) {
        return EAS_CLIENT_READ;
    }
    if (wait.client->aborted) {
        return EAS_CLIENT_LEFT;
    }
    since = now = eas_clock_now();
    wait.slice_ends = now + SLICE;
    while (event == EAS_CLIENT_TIMEUP && (max < 0 || now - since < max)) {
        event = wait_once(&wait, now, max < 0 ? max : max - (now - since));
        if (event == EAS_CLIENT_TIMEUP) {
            now = eas_clock_now();
            event = look_after_slice(&wait, now);
        }
    }
    /* A read that finds nothing has OpenSSL free the buffer of the one before. */
    return event == EAS_CLIENT_TIMEUP && is_readable(&wait) ? EAS_CLIENT_READ : event;
}

enum eas_client_event eas_client_look(request_rec *r, const struct eas_long_poll *poll)
{
    struct wait wait = begin(r->connection, poll);

    return eas_wait_poll(&wait.sockets, 0) == EAS_WAIT_CLIENT_LEFT ? EAS_CLIENT_LEFT
                                                                   : after_slice(&wait);
}

enum eas_client_event eas_client_read_ahead(request_rec *r, bool *has_data)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = peek_client(r->connection, bb);

    apr_brigade_destroy(bb);
    *has_data = rv == APR_SUCCESS;
    return rv == APR_SUCCESS || APR_STATUS_IS_EAGAIN(rv) ? EAS_CLIENT_TIMEUP : EAS_CLIENT_LEFT;
}

enum eas_client_heard eas_client_hear_backend(request_rec *r, ap_filter_t *next)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, next->c->bucket_alloc);
    enum eas_client_heard heard = EAS_CLIENT_HEARD_END;
    apr_status_t rv = peek(next, bb);
    apr_off_t len = 0;

    if (APR_STATUS_IS_EAGAIN(rv)) {
        heard = EAS_CLIENT_HEARD_NOTHING;
    }
    else if (rv == APR_SUCCESS
             && ap_get_brigade(next, bb, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1) == APR_SUCCESS
             && apr_brigade_length(bb, 0, &len) == APR_SUCCESS && len > 0) {
        heard = EAS_CLIENT_HEARD_DATA;
    }
    apr_brigade_destroy(bb);
    return heard;
}
