/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/connection.c - backend connections: their owners, and one exchange at a time */

#include "delegation/proxy/connection.h"
#include "auth/base/thread.h"

#include <apr_ring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Without a response for this long, a new connection may wait for a thread of the backend. */
#define FIRST_REQUEST apr_time_from_sec(1)

enum state { NEW, BUSY, IDLE, CLOSED };

struct eas_connection {
    APR_RING_ENTRY(eas_connection) waiting; /* while unanswered, in the order of opened_at */
    struct eas_connections *all;            /* a reference */
    _Atomic unsigned refs;
    enum state state;      /* this and the fields below: under the mutex of all */
    char *owner;           /* NULL: none, or new */
    apr_uint64_t exchange; /* the last one */
    bool unanswered;
    apr_time_t opened_at;
    apr_interval_time_t request_after; /* since then */
    bool authenticated; /* not under the mutex: of the exchange that has the connection */
};

APR_RING_HEAD(waiting_ring, eas_connection);

struct eas_connections {
    apr_pool_t *pool; /* of its own; holds this, too */
    _Atomic unsigned refs;
    apr_thread_mutex_t *mutex;   /* held for pointer work only */
    struct waiting_ring waiting; /* without a response so far */
};

struct eas_connections *eas_connections_create(void)
{
    struct eas_connections *all;
    apr_pool_t *pool;

    if (apr_pool_create_unmanaged_ex(&pool, NULL, NULL) != APR_SUCCESS) {
        abort(); /* as APR's pools do */
    }
    all = apr_pcalloc(pool, sizeof(*all));
    all->pool = pool;
    atomic_init(&all->refs, 1);
    all->mutex = eas_thread_make_mutex(pool);
    APR_RING_INIT(&all->waiting, eas_connection, waiting);
    return all;
}

void eas_connections_unref(struct eas_connections *all)
{
    if (atomic_fetch_sub(&all->refs, 1) == 1) {
        apr_pool_destroy(all->pool);
    }
}

struct eas_connection *eas_connection_open(struct eas_connections *all, apr_time_t now)
{
    struct eas_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL) {
        abort();
    }
    atomic_fetch_add(&all->refs, 1);
    connection->all = all;
    atomic_init(&connection->refs, 1);
    connection->unanswered = true;
    connection->opened_at = now;
    connection->request_after = FIRST_REQUEST;
    apr_thread_mutex_lock(all->mutex);
    APR_RING_INSERT_TAIL(&all->waiting, connection, eas_connection, waiting);
    apr_thread_mutex_unlock(all->mutex);
    return connection;
}

struct eas_connection *eas_connection_ref(struct eas_connection *connection)
{
    atomic_fetch_add(&connection->refs, 1);
    return connection;
}

void eas_connection_unref(struct eas_connection *connection)
{
    if (connection != NULL && atomic_fetch_sub(&connection->refs, 1) == 1) {
        eas_connections_unref(connection->all);
        free(connection->owner);
        free(connection);
    }
}

/* Under the mutex. */
static void stop_waiting(struct eas_connection *connection)
{
    if (connection->unanswered) {
        connection->unanswered = false;
        APR_RING_REMOVE(connection, waiting);
    }
}

/* Another request may have got the backend's free thread: so a connection repeats its request. */
unsigned eas_connections_requests(struct eas_connections *all, apr_time_t now)
{
    struct eas_connection *connection;
    unsigned requests = 0;

    apr_thread_mutex_lock(all->mutex);
    APR_RING_FOREACH(connection, &all->waiting, eas_connection, waiting)
    {
        if (now - connection->opened_at > connection->request_after) {
            connection->request_after *= 2;
            requests++;
        }
    }
    apr_thread_mutex_unlock(all->mutex);
    return requests;
}

void eas_connection_close(struct eas_connection *connection)
{
    apr_thread_mutex_lock(connection->all->mutex);
    stop_waiting(connection);
    connection->state = CLOSED;
    apr_thread_mutex_unlock(connection->all->mutex);
    eas_connection_unref(connection);
}

static bool same_owner(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Under the mutex; a connection that is not new. */
static bool may_use(const struct eas_connection *connection, const char *owner,
                    apr_uint64_t exchange)
{
    if (!same_owner(connection->owner, owner)) {
        return false;
    }
    if (connection->state == IDLE) {
        return true;
    }
    /* mod_proxy's own exchanges all have number 0 and no owner; mod_proxy keeps them apart. */
    return connection->state == BUSY && connection->exchange == exchange;
}

static void occupy(struct eas_connection *connection, apr_uint64_t exchange)
{
    connection->state = BUSY;
    connection->exchange = exchange;
}

bool eas_connection_reuse(struct eas_connection *connection, const char *owner,
                          apr_uint64_t exchange)
{
    bool may;

    apr_thread_mutex_lock(connection->all->mutex);
    may = connection->state == NEW || may_use(connection, owner, exchange);
    if (may && connection->state != NEW) {
        occupy(connection, exchange);
    }
    apr_thread_mutex_unlock(connection->all->mutex);
    return may;
}

/* Under the mutex. */
static void set_owner(struct eas_connection *connection, const char *owner)
{
    if (owner != NULL) {
        connection->owner = strdup(owner);
        if (connection->owner == NULL) {
            abort();
        }
    }
}

bool eas_connection_acquire(struct eas_connection *connection, const char *owner,
                            apr_uint64_t exchange)
{
    bool may = true;

    apr_thread_mutex_lock(connection->all->mutex);
    if (connection->state == NEW) {
        set_owner(connection, owner);
    }
    else {
        may = may_use(connection, owner, exchange);
    }
    if (may) {
        occupy(connection, exchange);
    }
    apr_thread_mutex_unlock(connection->all->mutex);
    return may;
}

/* Under the mutex. */
static bool is_held_by(const struct eas_connection *connection, apr_uint64_t exchange)
{
    return connection->state == BUSY && connection->exchange == exchange;
}

void eas_connection_release(struct eas_connection *connection, apr_uint64_t exchange)
{
    apr_thread_mutex_lock(connection->all->mutex);
    if (is_held_by(connection, exchange)) {
        connection->state = IDLE;
    }
    apr_thread_mutex_unlock(connection->all->mutex);
}

void eas_connection_abandon(struct eas_connection *connection, apr_uint64_t exchange)
{
    apr_thread_mutex_lock(connection->all->mutex);
    if (connection->owner != NULL && is_held_by(connection, exchange)) {
        connection->state = CLOSED;
    }
    apr_thread_mutex_unlock(connection->all->mutex);
}

void eas_connection_answered(struct eas_connection *connection)
{
    apr_thread_mutex_lock(connection->all->mutex);
    stop_waiting(connection);
    apr_thread_mutex_unlock(connection->all->mutex);
}

void eas_connection_set_authenticated(struct eas_connection *connection)
{
    connection->authenticated = true;
}

bool eas_connection_is_authenticated(const struct eas_connection *connection)
{
    return connection->authenticated;
}
