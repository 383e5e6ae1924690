/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_connection.c - backend connections: owners, reuse, eviction */

#include "t/unit/unit.h"

#include "delegation/proxy/connection.h"

#include <stdatomic.h>

#define MAX 3
#define MAX_IDLE apr_time_from_sec(60)
#define T0 apr_time_from_sec(1000000)

static const char alice[] = "alice@EAS.TEST\nHTTP/cas1\nproxy";
static const char bob[] = "bob@EAS.TEST\nHTTP/cas1\nproxy";

/* A socket is the number of its shutdowns. */
static void shutdown_socket(void *socket)
{
    ++*(unsigned *)socket;
}

static struct eas_connections *make_all(void **state)
{
    return eas_connections_create(*state, MAX, MAX_IDLE);
}

static struct eas_connection *make_idle(struct eas_connections *all, const char *owner,
                                        apr_uint64_t exchange, unsigned *socket, apr_time_t now)
{
    struct eas_connection *connection = eas_connection_open(all, shutdown_socket, socket, now);

    *socket = 0;
    assert_true(eas_connection_acquire(connection, owner, exchange));
    eas_connection_answered(connection);
    eas_connection_release(connection, exchange, now);
    return connection;
}

static void test_first_owner_for_life(void **state)
{
    unsigned socket = 0;
    struct eas_connection *connection =
        eas_connection_open(make_all(state), shutdown_socket, &socket, T0);

    assert_true(eas_connection_acquire(connection, alice, 1));
    assert_true(eas_connection_acquire(connection, alice, 1)); /* the body, and the head again */
    assert_false(eas_connection_acquire(connection, bob, 1));
    assert_false(eas_connection_acquire(connection, NULL, 1));
    assert_false(eas_connection_acquire(connection, alice, 2));
    eas_connection_close(connection);
}

/* By each of the two checks alone. */
static void test_reuse_by_the_owner_only(void **state)
{
    static const char *const owners[] = { alice, bob, NULL };
    struct eas_connections *all = make_all(state);
    unsigned socket;
    size_t i, j;

    for (i = 0; i < COUNT_OF(owners); i++) {
        for (j = 0; j < COUNT_OF(owners); j++) {
            struct eas_connection *reused = make_idle(all, owners[i], 1, &socket, T0);
            struct eas_connection *acquired = make_idle(all, owners[i], 1, &socket, T0);

            assert_int_equal(eas_connection_reuse(reused, owners[j], 2), i == j);
            assert_int_equal(eas_connection_acquire(acquired, owners[j], 2), i == j);
            eas_connection_close(reused);
            eas_connection_close(acquired);
        }
    }
}

/* After a time-out, an abort, a half-read or refused response: not even by its owner. */
static void test_no_reuse_without_a_release(void **state)
{
    unsigned socket = 0;
    struct eas_connection *connection =
        eas_connection_open(make_all(state), shutdown_socket, &socket, T0);

    assert_true(eas_connection_acquire(connection, alice, 1));
    assert_false(eas_connection_reuse(connection, alice, 2));
    assert_false(eas_connection_acquire(connection, alice, 2));
    eas_connection_release(connection, 2, T0); /* of another exchange: no effect */
    assert_false(eas_connection_reuse(connection, alice, 3));
    eas_connection_release(connection, 1, T0);
    assert_true(eas_connection_reuse(connection, alice, 3));
    eas_connection_close(connection);
}

/* Open, they would hold threads of the backend and evict good connections. */
static void test_abandoned_connections_are_closed(void **state)
{
    struct eas_connections *all = make_all(state);
    unsigned good, socket[MAX] = { 0 }, reused;
    struct eas_connection *kept = make_idle(all, alice, 1, &good, T0), *bad[MAX], *used;
    int i;

    for (i = 0; i < MAX; i++) {
        bad[i] = eas_connection_open(all, shutdown_socket, &socket[i], T0);
        assert_true(eas_connection_acquire(bad[i], bob, 2));
        eas_connection_abandon(bad[i], 1); /* of another exchange: no effect */
        assert_int_equal(socket[i], 0);
        eas_connection_abandon(bad[i], 2);
        eas_connection_abandon(bad[i], 2);
        assert_int_equal(socket[i], 1);
        assert_false(eas_connection_reuse(bad[i], bob, 3));
    }
    assert_int_equal(good, 0);
    used = make_idle(all, bob, 4, &reused, T0);
    eas_connection_abandon(used, 4); /* released before: another exchange may have it */
    assert_int_equal(reused, 0);
    for (i = 0; i < MAX; i++) {
        eas_connection_close(bad[i]);
    }
    eas_connection_close(kept);
    eas_connection_close(used);
}

static void test_one_exchange_at_a_time(void **state)
{
    unsigned socket;
    struct eas_connection *connection = make_idle(make_all(state), alice, 1, &socket, T0);

    assert_true(eas_connection_reuse(connection, alice, 2));
    assert_true(eas_connection_reuse(connection, alice, 2)); /* mod_proxy checks more than once */
    assert_false(eas_connection_reuse(connection, alice, 3));
    eas_connection_release(connection, 1, T0); /* late */
    assert_false(eas_connection_reuse(connection, alice, 3));
    eas_connection_close(connection);
}

/* Health checks: no owner and no known end. */
static void test_exchanges_of_mod_proxy_itself(void **state)
{
    unsigned socket = 0;
    struct eas_connection *connection =
        eas_connection_open(make_all(state), shutdown_socket, &socket, T0);

    assert_true(eas_connection_acquire(connection, NULL, 0));
    assert_true(eas_connection_reuse(connection, NULL, 0));
    assert_false(eas_connection_reuse(connection, alice, 1));
    eas_connection_close(connection);
}

static void test_longest_idle_is_closed_over_max(void **state)
{
    struct eas_connections *all = make_all(state);
    struct eas_connection *c[MAX + 2];
    unsigned socket[MAX + 2];
    int i;

    for (i = 0; i < MAX + 1; i++) {
        c[i] = make_idle(all, i % 2 ? alice : bob, 1, &socket[i], T0 + i);
    }
    assert_int_equal(socket[0], 1);
    for (i = 1; i < MAX + 1; i++) {
        assert_int_equal(socket[i], 0);
    }
    assert_false(eas_connection_reuse(c[0], bob, 2));
    assert_false(eas_connection_acquire(c[0], bob, 2));
    /* A busy one stays open: the next in age is closed. */
    assert_true(eas_connection_reuse(c[1], alice, 3));
    c[MAX + 1] = make_idle(all, alice, 1, &socket[MAX + 1], T0 + 9);
    assert_int_equal(socket[1], 0);
    assert_int_equal(socket[2], 1);
    for (i = 0; i < MAX + 2; i++) {
        eas_connection_close(c[i]);
    }
}

static void test_closed_connections_do_not_count(void **state)
{
    struct eas_connections *all = make_all(state);
    unsigned socket, first;
    struct eas_connection *connection = make_idle(all, alice, 1, &first, T0);
    int i;

    for (i = 0; i < 5 * MAX; i++) {
        eas_connection_close(make_idle(all, alice, 1, &socket, T0));
    }
    assert_int_equal(first, 0);
    eas_connection_close(connection);
}

static void test_reaper(void **state)
{
    struct eas_connections *all = make_all(state);
    unsigned old, young, unowned;
    struct eas_connection *a = make_idle(all, alice, 1, &old, T0);
    struct eas_connection *b = make_idle(all, bob, 1, &young, T0 + 1);
    struct eas_connection *c = make_idle(all, NULL, 1, &unowned, T0);

    eas_connections_reap(all, T0 + MAX_IDLE);
    assert_int_equal(old, 0);
    eas_connections_reap(all, T0 + MAX_IDLE + 1);
    assert_int_equal(old, 1);
    assert_int_equal(young, 0);
    eas_connections_reap(all, T0 + 10 * MAX_IDLE);
    assert_int_equal(old, 1);
    assert_int_equal(young, 1);
    assert_int_equal(unowned, 0); /* without an owner: mod_proxy closes it */
    eas_connection_close(a);
    eas_connection_close(b);
    eas_connection_close(c);
}

/* A new connection without a response evicts an idle one after one second, two, four, ... */
static void test_eviction_for_new_connections(void **state)
{
    struct eas_connections *all = make_all(state);
    unsigned old, young, one_socket = 0, two_socket = 0;
    struct eas_connection *a = make_idle(all, alice, 1, &old, T0);
    struct eas_connection *b = make_idle(all, bob, 1, &young, T0 + 1);
    struct eas_connection *one = eas_connection_open(all, shutdown_socket, &one_socket, T0 + 2);
    struct eas_connection *two = eas_connection_open(all, shutdown_socket, &two_socket, T0 + 2);

    eas_connection_answered(two);
    eas_connections_reap(all, T0 + 2 + apr_time_from_sec(1));
    assert_int_equal(old + young, 0);
    assert_int_equal(eas_connections_reap(all, T0 + 3 + apr_time_from_sec(1)), 0);
    assert_int_equal(eas_connections_reap(all, T0 + 3 + apr_time_from_sec(1)), 0);
    assert_int_equal(old, 1);
    assert_int_equal(young, 0);
    assert_int_equal(eas_connections_reap(all, T0 + 3 + apr_time_from_sec(2)), 0);
    assert_int_equal(young, 1);
    assert_int_equal(one_socket + two_socket, 0);
    eas_connection_close(a);
    eas_connection_close(b);
    eas_connection_close(one);
    eas_connection_close(two);
}

/* Without an idle connection here, another child closes one. */
static void test_eviction_for_other_children(void **state)
{
    struct eas_connections *all = make_all(state), *others = make_all(state);
    unsigned old, young, socket = 0;
    struct eas_connection *a = make_idle(others, alice, 1, &old, T0);
    struct eas_connection *b = make_idle(others, bob, 1, &young, T0 + 1);
    struct eas_connection *one = eas_connection_open(all, shutdown_socket, &socket, T0);

    assert_int_equal(eas_connections_reap(all, T0 + 1 + apr_time_from_sec(1)), 1);
    assert_int_equal(eas_connections_reap(all, T0 + 2 + apr_time_from_sec(1)), 0);
    assert_int_equal(eas_connections_reap(all, T0 + 1 + apr_time_from_sec(2)), 1);
    eas_connections_evict(others, 1);
    assert_int_equal(old, 1);
    assert_int_equal(young, 0);
    eas_connections_evict(others, 5);
    assert_int_equal(young, 1);
    eas_connection_close(a);
    eas_connection_close(b);
    eas_connection_close(one);
}

/* Another thread may close it before the exchange has read the last of the response. */
static void test_outlives_its_socket(void **state)
{
    unsigned socket = 0;
    struct eas_connections *all = make_all(state);
    struct eas_connection *connection = eas_connection_open(all, shutdown_socket, &socket, T0);

    assert_true(eas_connection_acquire(connection, alice, 1));
    eas_connection_ref(connection);
    eas_connection_close(connection);
    eas_connection_release(connection, 1, T0);
    eas_connections_reap(all, T0 + 10 * MAX_IDLE);
    assert_int_equal(socket, 0);
    assert_false(eas_connection_reuse(connection, alice, 2));
    eas_connection_unref(connection);
}

#define ROUNDS 20000

/* Threads compete for connections; each checks that it has its connection alone. */
struct thread {
    struct eas_connection **connections;
    _Atomic unsigned *busy;
    const char *owner;
    apr_uint64_t serial;
    unsigned reused;
    unsigned clashes;
};

static void *APR_THREAD_FUNC compete(apr_thread_t *thread, void *data)
{
    struct thread *f = data;
    int i;

    (void)thread;
    for (i = 0; i < ROUNDS; i++, f->serial += UNIT_THREADS) {
        int n = i % MAX;

        if (eas_connection_reuse(f->connections[n], f->owner, f->serial)
            && eas_connection_acquire(f->connections[n], f->owner, f->serial)) {
            f->clashes += atomic_fetch_add(&f->busy[n], 1) != 0;
            f->reused++;
            atomic_fetch_sub(&f->busy[n], 1);
            eas_connection_release(f->connections[n], f->serial, T0);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct eas_connections *all = make_all(state);
    struct eas_connection *connections[MAX];
    struct thread threads[UNIT_THREADS];
    _Atomic unsigned busy[MAX] = { 0 };
    unsigned socket[MAX];
    unsigned reused = 0;
    size_t i;

    for (i = 0; i < MAX; i++) {
        connections[i] = make_idle(all, i == 0 ? bob : alice, 1, &socket[i], T0);
    }
    for (i = 0; i < UNIT_THREADS; i++) {
        threads[i] = (struct thread){
            .connections = connections, .busy = busy, .owner = i % 2 ? alice : bob, .serial = i + 2
        };
    }
    unit_run_threads(*state, compete, threads, sizeof(threads[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(threads[i].clashes, 0);
        reused += threads[i].reused;
    }
    assert_true(reused >= ROUNDS); /* a thread without competition gets two of three */
    for (i = 0; i < MAX; i++) {
        eas_connection_close(connections[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_first_owner_for_life),
        POOL_TEST(test_reuse_by_the_owner_only),
        POOL_TEST(test_no_reuse_without_a_release),
        POOL_TEST(test_abandoned_connections_are_closed),
        POOL_TEST(test_one_exchange_at_a_time),
        POOL_TEST(test_exchanges_of_mod_proxy_itself),
        POOL_TEST(test_longest_idle_is_closed_over_max),
        POOL_TEST(test_closed_connections_do_not_count),
        POOL_TEST(test_reaper),
        POOL_TEST(test_eviction_for_new_connections),
        POOL_TEST(test_eviction_for_other_children),
        POOL_TEST(test_outlives_its_socket),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
