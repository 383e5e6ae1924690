/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/connection.c - whose a backend connection is, and whether it may be used again */

#include "delegation/proxy/connection.h"

#include <apr_atomic.h>
#include <apr_ring.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>
#include <string.h>

/* How long a backend may take to answer on a new connection before it is suspected to starve. */
#define SUSPICIOUS apr_time_from_sec(1)

enum state { NEW, BUSY, IDLE, DOOMED };

struct eas_connection {
    APR_RING_ENTRY(eas_connection) age;     /* while idle: longest idle first */
    APR_RING_ENTRY(eas_connection) waiting; /* while unanswered: oldest first */
    struct eas_connections *all;
    volatile apr_uint32_t refs;
    enum state state; /* this and what follows is guarded by the mutex of all */
    bool open;
    bool counted;
    char *owner;           /* NULL: nobody's, or new */
    apr_uint64_t exchange; /* the last one */
    bool unanswered;
    apr_time_t opened_at;
    apr_interval_time_t patience; /* since then */
    apr_time_t idle_since;
    void (*hang_up)(void *socket);
    void *socket;
    bool proved; /* of the exchange that it is busy with */
};

APR_RING_HEAD(age_ring, eas_connection);

struct eas_connections {
    apr_thread_mutex_t *mutex; /* held for pointer work, and for hanging up */
    struct age_ring idle;      /* those with an owner */
    struct age_ring waiting;   /* new ones that the backend has not answered on */
    unsigned owned;            /* open ones with an owner */
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
                                           void (*hang_up)(void *socket), void *socket,
                                           apr_time_t now)
{
    struct eas_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL) {
        abort(); /* as APR's pools do */
    }
    connection->all = all;
    connection->refs = 1;
    connection->open = true;
    connection->hang_up = hang_up;
    connection->socket = socket;
    connection->unanswered = true;
    connection->opened_at = now;
    connection->patience = SUSPICIOUS;
    apr_thread_mutex_lock(all->mutex);
    APR_RING_INSERT_TAIL(&all->waiting, connection, eas_connection, waiting);
    apr_thread_mutex_unlock(all->mutex);
    return connection;
}

struct eas_connection *eas_connection_ref(struct eas_connection *connection)
{
    apr_atomic_inc32(&connection->refs);
    return connection;
}

void eas_connection_unref(struct eas_connection *connection)
{
    if (connection != NULL && apr_atomic_dec32(&connection->refs) == 0) {
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

/* Under the mutex, an open one with an owner: it counts no more, and mod_proxy will find it closed. */
static void doom(struct eas_connection *connection)
{
    connection->state = DOOMED;
    connection->counted = false;
    connection->all->owned--;
    connection->hang_up(connection->socket);
}

/* Under the mutex: the one that has been idle for longest. */
static void close_oldest(struct eas_connections *all)
{
    struct eas_connection *oldest = APR_RING_FIRST(&all->idle);

    leave_idle(oldest, DOOMED);
    doom(oldest);
}

static bool has_idle(const struct eas_connections *all)
{
    return !APR_RING_EMPTY(&all->idle, eas_connection, age);
}

/* Under the mutex: those that have been idle since before then, and those that are too many. */
static void close_idle(struct eas_connections *all, apr_time_t before)
{
    while (has_idle(all)
           && (APR_RING_FIRST(&all->idle)->idle_since < before || all->owned > all->max)) {
        close_oldest(all);
    }
}

/*
 * Under the mutex: makes room at a backend that does not answer on new connections.  Each of them
 * calls again after twice as long, since another request may have got the room.
 */
static unsigned make_room(struct eas_connections *all, apr_time_t now)
{
    struct eas_connection *connection;
    unsigned unmet = 0;

    APR_RING_FOREACH(connection, &all->waiting, eas_connection, waiting)
    {
        if (now - connection->opened_at <= connection->patience) {
            continue;
        }
        connection->patience *= 2;
        if (has_idle(all)) {
            close_oldest(all);
        }
        else {
            unmet++;
        }
    }
    return unmet;
}

void eas_connection_close(struct eas_connection *connection)
{
    struct eas_connections *all = connection->all;

    apr_thread_mutex_lock(all->mutex);
    if (connection->state == IDLE) {
        leave_idle(connection, DOOMED);
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

/* Under the mutex: may the exchange use a connection that has been used? */
static bool may_use(const struct eas_connection *connection, const char *owner,
                    apr_uint64_t exchange)
{
    if (!same_owner(connection->owner, owner)) {
        return false;
    }
    if (connection->state == IDLE) {
        return true;
    }
    /* Of mod_proxy's own exchanges nobody tells the end; they are nobody's, and it minds them itself. */
    return connection->state == BUSY && connection->exchange == exchange;
}

static void occupy(struct eas_connection *connection, apr_uint64_t exchange)
{
    if (connection->state == IDLE) {
        leave_idle(connection, BUSY);
    }
    connection->exchange = exchange;
}

bool eas_connection_take(struct eas_connection *connection, const char *owner,
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
static void give_to(struct eas_connection *connection, const char *owner)
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

bool eas_connection_claim(struct eas_connection *connection, const char *owner,
                          apr_uint64_t exchange)
{
    bool may = true;

    apr_thread_mutex_lock(connection->all->mutex);
    if (connection->state == NEW) {
        give_to(connection, owner);
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
        doom(connection);
    }
    apr_thread_mutex_unlock(connection->all->mutex);
}

unsigned eas_connections_reap(struct eas_connections *all, apr_time_t now)
{
    unsigned unmet;

    apr_thread_mutex_lock(all->mutex);
    close_idle(all, now - all->max_idle);
    unmet = make_room(all, now);
    apr_thread_mutex_unlock(all->mutex);
    return unmet;
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
    connection->proved = true;
}

bool eas_connection_is_authenticated(const struct eas_connection *connection)
{
    return connection->proved;
}
