/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/connection.c - backend connections: owners, reuse, eviction */

#include "delegation/proxy/connection.h"

#include <apr_ring.h>
#include <apr_thread_mutex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Without a response for this long, a new connection may wait for a thread of the backend. */
#define FIRST_EVICTION apr_time_from_sec(1)

enum state { NEW, BUSY, IDLE, CLOSED };

struct eas_connection {
    APR_RING_ENTRY(eas_connection) age;     /* while idle, in the order of idle_since */
    APR_RING_ENTRY(eas_connection) waiting; /* while unanswered, in the order of opened_at */
    struct eas_connections *all;
    _Atomic unsigned refs;
    enum state state; /* this and the fields below: under the mutex of all */
    bool open;
    bool counted;
    char *owner;           /* NULL: none, or new */
    apr_uint64_t exchange; /* the last one */
    bool unanswered;
    apr_time_t opened_at;
    apr_interval_time_t eviction_after; /* since then */
    apr_time_t idle_since;
    void (*shutdown_socket)(void *socket);
    void *socket;
    bool authenticated; /* not under the mutex: of the exchange that has the connection */
};

APR_RING_HEAD(age_ring, eas_connection);

struct eas_connections {
    apr_thread_mutex_t *mutex; /* held for pointer work and for shutdown_socket() */
    struct age_ring idle;      /* with an owner */
    struct age_ring waiting;   /* without a response so far */
    unsigned owned;            /* open, with an owner */
    unsigned max;
    apr_interval_time_t max_idle;
};

struct eas_connections *eas_connections_create(apr_pool_t *pool, unsigned max,
                                               apr_interval_time_t max_idle)
{
    struct eas_connections *all = apr_pcalloc(pool, sizeof(*all));

    all->max = max;
    all->max_idle = max_idle;
    apr_thread_mutex_create(&all->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    APR_RING_INIT(&all->idle, eas_connection, age);
    APR_RING_INIT(&all->waiting, eas_connection, waiting);
    return all;
}

struct eas_connection *eas_connection_open(struct eas_connections *all,
                                           void (*shutdown_socket)(void *socket), void *socket,
                                           apr_time_t now)
{
    struct eas_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL) {
        abort(); /* as APR's pools do */
    }
    connection->all = all;
    atomic_init(&connection->refs, 1);
    connection->open = true;
    connection->shutdown_socket = shutdown_socket;
    connection->socket = socket;
    connection->unanswered = true;
    connection->opened_at = now;
    connection->eviction_after = FIRST_EVICTION;
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
        free(connection->owner);
        free(connection);
    }
}

/* Under the mutex. */
static void leave_idle(struct eas_connection *connection, enum state next)
{
    if (connection->owner != NULL) {
        APR_RING_REMOVE(connection, age);
    }
    connection->state = next;
}

/* Under the mutex. */
static void stop_waiting(struct eas_connection *connection)
{
    if (connection->unanswered) {
        connection->unanswered = false;
        APR_RING_REMOVE(connection, waiting);
    }
}

/* Under the mutex; an open connection with an owner. */
static void shut_down(struct eas_connection *connection)
{
    connection->state = CLOSED;
    connection->counted = false;
    connection->all->owned--;
    connection->shutdown_socket(connection->socket);
}

/* Under the mutex. */
static void close_oldest(struct eas_connections *all)
{
    struct eas_connection *oldest = APR_RING_FIRST(&all->idle);

    leave_idle(oldest, CLOSED);
    shut_down(oldest);
}

static bool has_idle(const struct eas_connections *all)
{
    return !APR_RING_EMPTY(&all->idle, eas_connection, age);
}

/* Under the mutex: idle connections since before then, and those over max. */
static void close_idle(struct eas_connections *all, apr_time_t before)
{
    while (has_idle(all)
           && (APR_RING_FIRST(&all->idle)->idle_since < before || all->owned > all->max)) {
        close_oldest(all);
    }
}

/*
 * Under the mutex.  Each connection without a response requests another eviction after twice as
 * long: another request may have got the backend's free thread.
 */
static unsigned evict_for_waiting(struct eas_connections *all, apr_time_t now)
{
    struct eas_connection *connection;
    unsigned unsatisfied = 0;

    APR_RING_FOREACH(connection, &all->waiting, eas_connection, waiting)
    {
        if (now - connection->opened_at <= connection->eviction_after) {
            continue;
        }
        connection->eviction_after *= 2;
        if (has_idle(all)) {
            close_oldest(all);
        }
        else {
            unsatisfied++;
        }
    }
    return unsatisfied;
}

void eas_connection_close(struct eas_connection *connection)
{
    struct eas_connections *all = connection->all;

    apr_thread_mutex_lock(all->mutex);
    if (connection->state == IDLE) {
        leave_idle(connection, CLOSED);
    }
    stop_waiting(connection);
    connection->open = false;
    if (connection->counted) {
        connection->counted = false;
        all->owned--;
    }
    apr_thread_mutex_unlock(all->mutex);
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
    if (connection->state == IDLE) {
        leave_idle(connection, BUSY);
    }
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
        connection->counted = true;
        connection->all->owned++;
        close_idle(connection->all, 0);
    }
    connection->state = BUSY;
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

void eas_connection_release(struct eas_connection *connection, apr_uint64_t exchange,
                            apr_time_t now)
{
    struct eas_connections *all = connection->all;

    apr_thread_mutex_lock(all->mutex);
    if (connection->open && connection->state == BUSY && connection->exchange == exchange) {
        connection->state = IDLE;
        connection->idle_since = now;
        if (connection->owner != NULL) {
            APR_RING_INSERT_TAIL(&all->idle, connection, eas_connection, age);
            close_idle(all, now - all->max_idle);
        }
    }
    apr_thread_mutex_unlock(all->mutex);
}

void eas_connection_abandon(struct eas_connection *connection, apr_uint64_t exchange)
{
    apr_thread_mutex_lock(connection->all->mutex);
    if (connection->open && connection->owner != NULL && connection->state == BUSY
        && connection->exchange == exchange) {
        shut_down(connection);
    }
    apr_thread_mutex_unlock(connection->all->mutex);
}

unsigned eas_connections_reap(struct eas_connections *all, apr_time_t now)
{
    unsigned unsatisfied;

    apr_thread_mutex_lock(all->mutex);
    close_idle(all, now - all->max_idle);
    unsatisfied = evict_for_waiting(all, now);
    apr_thread_mutex_unlock(all->mutex);
    return unsatisfied;
}

void eas_connections_evict(struct eas_connections *all, unsigned n)
{
    apr_thread_mutex_lock(all->mutex);
    while (n-- > 0 && has_idle(all)) {
        close_oldest(all);
    }
    apr_thread_mutex_unlock(all->mutex);
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
