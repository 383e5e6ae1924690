/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_connection.c - whose a backend connection is, and whether it may be used again */

#include "t/unit/unit.h"

#include "delegation/proxy/connection.h"

#include <apr_atomic.h>

#define MAX 3
#define MAX_IDLE apr_time_from_sec(60)
#define T0 apr_time_from_sec(1000000)

static const char alice[] = "alice@EAS.TEST\nHTTP/cas1\nproxy";
static const char bob[] = "bob@EAS.TEST\nHTTP/cas1\nproxy";

/* A socket: whether it was hung up. */
static void hang_up(void *socket)
{
    apr_atomic_inc32(socket);
}

static struct eas_connections *make_all(void **state)
{
    return eas_connections_create(*state, MAX, MAX_IDLE);
}

/* A connection on which the exchange has ended well. */
static struct eas_connection *make_idle(struct eas_connections *all, const char *owner,
                                        apr_uint64_t exchange, apr_uint32_t *socket, apr_time_t now)
{
    struct eas_connection *connection = eas_connection_open(all, hang_up, socket, now);

    *socket = 0;
    assert_true(eas_connection_claim(connection, owner, exchange));
    eas_connection_answered(connection);
    eas_connection_release(connection, exchange, now);
    return connection;
}

static void test_new_one_takes_its_first_owner(void **state)
{
    apr_uint32_t socket = 0;
    struct eas_connection *connection = eas_connection_open(make_all(state), hang_up, &socket, T0);

    assert_true(eas_connection_claim(connection, alice, 1));
    assert_true(eas_connection_claim(connection, alice, 1)); /* the body, and the head again */
    assert_false(eas_connection_claim(connection, bob, 1));
    assert_false(eas_connection_claim(connection, NULL, 1));
    assert_false(eas_connection_claim(connection, alice, 2));
    eas_connection_close(connection);
}

/* By both defences, each for itself. */
static void test_idle_one_goes_to_its_owner_only(void **state)
{
    static const char *const owners[] = { alice, bob, NULL };
    struct eas_connections *all = make_all(state);
    apr_uint32_t socket;
    size_t i, j;

    for (i = 0; i < COUNT_OF(owners); i++) {
        for (j = 0; j < COUNT_OF(owners); j++) {
            struct eas_connection *taken = make_idle(all, owners[i], 1, &socket, T0);
            struct eas_connection *claimed = make_idle(all, owners[i], 1, &socket, T0);

            assert_int_equal(eas_connection_take(taken, owners[j], 2), i == j);
            assert_int_equal(eas_connection_claim(claimed, owners[j], 2), i == j);
            eas_connection_close(taken);
            eas_connection_close(claimed);
        }
    }
}

/* Timed out, aborted, half-read or refused: whoever comes, also its owner. */
static void test_what_has_not_ended_well_never_comes_back(void **state)
{
    apr_uint32_t socket = 0;
    struct eas_connection *connection = eas_connection_open(make_all(state), hang_up, &socket, T0);

    assert_true(eas_connection_claim(connection, alice, 1));
    assert_false(eas_connection_take(connection, alice, 2));
    assert_false(eas_connection_claim(connection, alice, 2));
    eas_connection_release(connection, 2, T0); /* another's word does not count */
    assert_false(eas_connection_take(connection, alice, 3));
    eas_connection_release(connection, 1, T0);
    assert_true(eas_connection_take(connection, alice, 3));
    eas_connection_close(connection);
}

/* It holds a thread of the backend, and would push good ones out. */
static void test_abandoned_ones_are_closed_and_count_no_more(void **state)
{
    struct eas_connections *all = make_all(state);
    apr_uint32_t good, socket[MAX] = { 0 }, taken;
    struct eas_connection *kept = make_idle(all, alice, 1, &good, T0), *bad[MAX], *used;
    int i;

    for (i = 0; i < MAX; i++) {
        bad[i] = eas_connection_open(all, hang_up, &socket[i], T0);
        assert_true(eas_connection_claim(bad[i], bob, 2));
        eas_connection_abandon(bad[i], 1); /* another's word does not count */
        assert_int_equal(socket[i], 0);
        eas_connection_abandon(bad[i], 2);
        eas_connection_abandon(bad[i], 2);
        assert_int_equal(socket[i], 1);
        assert_false(eas_connection_take(bad[i], bob, 3));
    }
    assert_int_equal(good, 0);
    used = make_idle(all, bob, 4, &taken, T0);
    eas_connection_abandon(used, 4); /* settled: it may be another's by now */
    assert_int_equal(taken, 0);
    for (i = 0; i < MAX; i++) {
        eas_connection_close(bad[i]);
    }
    eas_connection_close(kept);
    eas_connection_close(used);
}

static void test_one_exchange_at_a_time(void **state)
{
    apr_uint32_t socket;
    struct eas_connection *connection = make_idle(make_all(state), alice, 1, &socket, T0);

    assert_true(eas_connection_take(connection, alice, 2));
    assert_true(eas_connection_take(connection, alice, 2)); /* mod_proxy looks more than once */
    assert_false(eas_connection_take(connection, alice, 3));
    eas_connection_release(connection, 1, T0); /* late */
    assert_false(eas_connection_take(connection, alice, 3));
    eas_connection_close(connection);
}

/* Health checks: nobody's, without an end that anybody told of. */
static void test_exchanges_of_mod_proxy_itself(void **state)
{
    apr_uint32_t socket = 0;
    struct eas_connection *connection = eas_connection_open(make_all(state), hang_up, &socket, T0);

    assert_true(eas_connection_claim(connection, NULL, 0));
    assert_true(eas_connection_take(connection, NULL, 0));
    assert_false(eas_connection_take(connection, alice, 1));
    eas_connection_close(connection);
}

static void test_longest_idle_goes_when_there_are_too_many(void **state)
{
    struct eas_connections *all = make_all(state);
    struct eas_connection *c[MAX + 2];
    apr_uint32_t socket[MAX + 2];
    int i;

    for (i = 0; i < MAX + 1; i++) {
        c[i] = make_idle(all, i % 2 ? alice : bob, 1, &socket[i], T0 + i);
    }
    assert_int_equal(socket[0], 1);
    for (i = 1; i < MAX + 1; i++) {
        assert_int_equal(socket[i], 0);
    }
    assert_false(eas_connection_take(c[0], bob, 2));
    assert_false(eas_connection_claim(c[0], bob, 2));
    /* One in use is left alone: the next in age goes in its place. */
    assert_true(eas_connection_take(c[1], alice, 3));
    c[MAX + 1] = make_idle(all, alice, 1, &socket[MAX + 1], T0 + 9);
    assert_int_equal(socket[1], 0);
    assert_int_equal(socket[2], 1);
    for (i = 0; i < MAX + 2; i++) {
        eas_connection_close(c[i]);
    }
}

static void test_closed_ones_make_room(void **state)
{
    struct eas_connections *all = make_all(state);
    apr_uint32_t socket, first;
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
    apr_uint32_t old, young, nobodys;
    struct eas_connection *a = make_idle(all, alice, 1, &old, T0);
    struct eas_connection *b = make_idle(all, bob, 1, &young, T0 + 1);
    struct eas_connection *c = make_idle(all, NULL, 1, &nobodys, T0);

    eas_connections_reap(all, T0 + MAX_IDLE);
    assert_int_equal(old, 0);
    eas_connections_reap(all, T0 + MAX_IDLE + 1);
    assert_int_equal(old, 1);
    assert_int_equal(young, 0);
    eas_connections_reap(all, T0 + 10 * MAX_IDLE);
    assert_int_equal(old, 1);
    assert_int_equal(young, 1);
    assert_int_equal(nobodys, 0); /* mod_proxy's own business */
    eas_connection_close(a);
    eas_connection_close(b);
    eas_connection_close(c);
}

/* Each new connection that is not answered costs an idle one after one second, two, four, ... */
static void test_backend_that_may_starve(void **state)
{
    struct eas_connections *all = make_all(state);
    apr_uint32_t old, young, one_socket = 0, two_socket = 0;
    struct eas_connection *a = make_idle(all, alice, 1, &old, T0);
    struct eas_connection *b = make_idle(all, bob, 1, &young, T0 + 1);
    struct eas_connection *one = eas_connection_open(all, hang_up, &one_socket, T0 + 2);
    struct eas_connection *two = eas_connection_open(all, hang_up, &two_socket, T0 + 2);

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

/* Then others are to close theirs. */
static void test_backend_that_others_let_starve(void **state)
{
    struct eas_connections *all = make_all(state), *others = make_all(state);
    apr_uint32_t old, young, socket = 0;
    struct eas_connection *a = make_idle(others, alice, 1, &old, T0);
    struct eas_connection *b = make_idle(others, bob, 1, &young, T0 + 1);
    struct eas_connection *one = eas_connection_open(all, hang_up, &socket, T0);

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

/* mod_proxy gives it back, and another thread closes it, before its response was looked at. */
static void test_outlives_its_socket(void **state)
{
    apr_uint32_t socket = 0;
    struct eas_connections *all = make_all(state);
    struct eas_connection *connection = eas_connection_open(all, hang_up, &socket, T0);

    assert_true(eas_connection_claim(connection, alice, 1));
    eas_connection_ref(connection);
    eas_connection_close(connection);
    eas_connection_release(connection, 1, T0);
    eas_connections_reap(all, T0 + 10 * MAX_IDLE);
    assert_int_equal(socket, 0);
    assert_false(eas_connection_take(connection, alice, 2));
    eas_connection_unref(connection);
}

#define ROUNDS 20000

/* Threads fight for connections; each checks that nobody else is on the one that it has. */
struct fighter {
    struct eas_connection **connections;
    volatile apr_uint32_t *busy;
    const char *owner;
    apr_uint64_t serial;
    unsigned taken;
    unsigned clashes;
};

static void *APR_THREAD_FUNC fight(apr_thread_t *thread, void *data)
{
    struct fighter *f = data;
    int i;

    (void)thread;
    for (i = 0; i < ROUNDS; i++, f->serial += UNIT_THREADS) {
        int n = i % MAX;

        if (eas_connection_take(f->connections[n], f->owner, f->serial)
            && eas_connection_claim(f->connections[n], f->owner, f->serial)) {
            f->clashes += apr_atomic_inc32(&f->busy[n]) != 0;
            f->taken++;
            apr_atomic_dec32(&f->busy[n]);
            eas_connection_release(f->connections[n], f->serial, T0);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct eas_connections *all = make_all(state);
    struct eas_connection *connections[MAX];
    struct fighter fighters[UNIT_THREADS];
    volatile apr_uint32_t busy[MAX] = { 0 };
    apr_uint32_t socket[MAX];
    unsigned taken = 0;
    size_t i;

    for (i = 0; i < MAX; i++) {
        connections[i] = make_idle(all, i == 0 ? bob : alice, 1, &socket[i], T0);
    }
    for (i = 0; i < UNIT_THREADS; i++) {
        fighters[i] = (struct fighter){ connections, busy, i % 2 ? alice : bob, i + 2, 0, 0 };
    }
    unit_run_threads(*state, fight, fighters, sizeof(fighters[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(fighters[i].clashes, 0);
        taken += fighters[i].taken;
    }
    assert_true(taken >= ROUNDS); /* a thread that is alone gets two of three */
    for (i = 0; i < MAX; i++) {
        eas_connection_close(connections[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_new_one_takes_its_first_owner),
        POOL_TEST(test_idle_one_goes_to_its_owner_only),
        POOL_TEST(test_what_has_not_ended_well_never_comes_back),
        POOL_TEST(test_abandoned_ones_are_closed_and_count_no_more),
        POOL_TEST(test_one_exchange_at_a_time),
        POOL_TEST(test_exchanges_of_mod_proxy_itself),
        POOL_TEST(test_longest_idle_goes_when_there_are_too_many),
        POOL_TEST(test_closed_ones_make_room),
        POOL_TEST(test_reaper),
        POOL_TEST(test_backend_that_may_starve),
        POOL_TEST(test_backend_that_others_let_starve),
        POOL_TEST(test_outlives_its_socket),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
