/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_connection.c - backend connections: owners, reuse, requests for room */

#include "t/unit/unit.h"

#include "delegation/proxy/connection.h"

#include <stdatomic.h>

#define MAX 3
#define T0 apr_time_from_sec(1000000)

static const char alice[] = "alice@EAS.TEST\nHTTP/cas1\nproxy";
static const char bob[] = "bob@EAS.TEST\nHTTP/cas1\nproxy";

static struct eas_connections *all;

static int make_all(void **state)
{
    all = eas_connections_create();
    return unit_make_pool(state);
}

/* Connections that are still open keep what they need. */
static int drop_all(void **state)
{
    eas_connections_unref(all);
    return unit_destroy_pool(state);
}

static struct eas_connection *make_idle(const char *owner, apr_uint64_t exchange)
{
    struct eas_connection *connection = eas_connection_open(all, T0);

    assert_true(eas_connection_acquire(connection, owner, exchange));
    eas_connection_answered(connection);
    eas_connection_release(connection, exchange);
    return connection;
}

static void test_first_owner_for_life(void **state)
{
    struct eas_connection *connection = eas_connection_open(all, T0);

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
    size_t i, j;

    for (i = 0; i < COUNT_OF(owners); i++) {
        for (j = 0; j < COUNT_OF(owners); j++) {
            struct eas_connection *reused = make_idle(owners[i], 1);
            struct eas_connection *acquired = make_idle(owners[i], 1);

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
    struct eas_connection *connection = eas_connection_open(all, T0);

    assert_true(eas_connection_acquire(connection, alice, 1));
    assert_false(eas_connection_reuse(connection, alice, 2));
    assert_false(eas_connection_acquire(connection, alice, 2));
    eas_connection_release(connection, 2); /* of another exchange: no effect */
    assert_false(eas_connection_reuse(connection, alice, 3));
    eas_connection_release(connection, 1);
    assert_true(eas_connection_reuse(connection, alice, 3));
    eas_connection_close(connection);
}

/* Their responses may still arrive. */
static void test_abandoned_connections_are_used_no_more(void **state)
{
    struct eas_connection *bad = eas_connection_open(all, T0), *used;

    (void)state;
    assert_true(eas_connection_acquire(bad, bob, 2));
    eas_connection_abandon(bad, 1); /* of another exchange: no effect */
    eas_connection_abandon(bad, 2);
    eas_connection_release(bad, 2);
    assert_false(eas_connection_reuse(bad, bob, 3));
    assert_false(eas_connection_acquire(bad, bob, 3));
    used = make_idle(bob, 4);
    eas_connection_abandon(used, 4); /* released before: another exchange may have it */
    assert_true(eas_connection_reuse(used, bob, 5));
    eas_connection_close(bad);
    eas_connection_close(used);
}

static void test_one_exchange_at_a_time(void **state)
{
    struct eas_connection *connection = make_idle(alice, 1);

    assert_true(eas_connection_reuse(connection, alice, 2));
    assert_true(eas_connection_reuse(connection, alice, 2)); /* mod_proxy checks more than once */
    assert_false(eas_connection_reuse(connection, alice, 3));
    eas_connection_release(connection, 1); /* late */
    assert_false(eas_connection_reuse(connection, alice, 3));
    eas_connection_close(connection);
}

/* Health checks: no owner and no known end. */
static void test_exchanges_of_mod_proxy_itself(void **state)
{
    struct eas_connection *connection = eas_connection_open(all, T0);

    assert_true(eas_connection_acquire(connection, NULL, 0));
    assert_true(eas_connection_reuse(connection, NULL, 0));
    assert_false(eas_connection_reuse(connection, alice, 1));
    eas_connection_close(connection);
}

/* After one second without a response, two, four, and so on. */
static void test_new_connections_request_room(void **state)
{
    struct eas_connection *old = make_idle(alice, 1), *one, *two;

    (void)state;
    one = eas_connection_open(all, T0);
    two = eas_connection_open(all, T0);
    assert_int_equal(eas_connections_requests(all, T0 + apr_time_from_sec(1)), 0);
    assert_int_equal(eas_connections_requests(all, T0 + apr_time_from_sec(1) + 1), 2);
    assert_int_equal(eas_connections_requests(all, T0 + apr_time_from_sec(2)), 0);
    eas_connection_answered(one);
    eas_connection_answered(one);
    assert_int_equal(eas_connections_requests(all, T0 + apr_time_from_sec(3)), 1);
    assert_int_equal(eas_connections_requests(all, T0 + apr_time_from_sec(4)), 0);
    eas_connection_close(two);
    assert_int_equal(eas_connections_requests(all, T0 + apr_time_from_sec(9)), 0);
    eas_connection_close(one);
    eas_connection_close(old);
}

/* Another thread may close it before the exchange has read the last of the response. */
static void test_outlives_its_socket(void **state)
{
    struct eas_connection *connection = eas_connection_open(all, T0);

    (void)state;
    assert_true(eas_connection_acquire(connection, alice, 1));
    eas_connection_ref(connection);
    eas_connection_close(connection);
    eas_connection_release(connection, 1);
    assert_false(eas_connection_reuse(connection, alice, 2));
    eas_connection_unref(connection);
}

/* At the end of a child, mod_proxy's pools of connections may outlive the module's. */
static void test_outlives_the_list_of_all(void **state)
{
    struct eas_connection *idle = make_idle(alice, 1), *waiting = eas_connection_open(all, T0);

    (void)state;
    eas_connections_unref(all);
    assert_true(eas_connection_reuse(idle, alice, 2));
    eas_connection_close(idle);
    eas_connection_answered(waiting);
    eas_connection_close(waiting);
    all = eas_connections_create();
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
            eas_connection_release(f->connections[n], f->serial);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct eas_connection *connections[MAX];
    struct thread threads[UNIT_THREADS];
    _Atomic unsigned busy[MAX] = { 0 };
    unsigned reused = 0;
    size_t i;

    for (i = 0; i < MAX; i++) {
        connections[i] = make_idle(i == 0 ? bob : alice, 1);
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

#define CONNECTION_TEST(test) cmocka_unit_test_setup_teardown(test, make_all, drop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONNECTION_TEST(test_first_owner_for_life),
        CONNECTION_TEST(test_reuse_by_the_owner_only),
        CONNECTION_TEST(test_no_reuse_without_a_release),
        CONNECTION_TEST(test_abandoned_connections_are_used_no_more),
        CONNECTION_TEST(test_one_exchange_at_a_time),
        CONNECTION_TEST(test_exchanges_of_mod_proxy_itself),
        CONNECTION_TEST(test_new_connections_request_room),
        CONNECTION_TEST(test_outlives_its_socket),
        CONNECTION_TEST(test_outlives_the_list_of_all),
        CONNECTION_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
