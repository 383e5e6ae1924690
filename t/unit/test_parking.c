/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_parking.c - poller for the sockets and times of parked requests */

#include "t/unit/unit.h"

#include "auth/base/clock.h"
#include "delegation/proxy/dismissal.h"
#include "delegation/proxy/parking.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 200
#define MANY_THREADS 10000
#define FEW_THREADS 8
#define LONG_MS 20000
#define SHORT (APR_USEC_PER_SEC / 5)
#define TABLE_SIZE 4096

/* A parked request and the far ends of its sockets. */
struct pair {
    struct eas_parked parked;
    int backend, client;
};

static void make_pair(struct pair *pair)
{
    int backend[2], client[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, backend), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
    *pair = (struct pair){ .parked = { .backend = backend[0], .client = client[0] },
                           .backend = backend[1],
                           .client = client[1] };
}

static void end_pair(struct pair *pair)
{
    close(pair->parked.backend);
    close(pair->parked.client);
    close(pair->backend);
    if (pair->client >= 0) {
        close(pair->client);
    }
}

static bool wakes(const struct eas_parked *parked, int ms)
{
    struct pollfd fd = { .fd = parked->wake, .events = POLLIN };

    return poll(&fd, 1, ms) == 1;
}

static void send_to(int end)
{
    assert_int_equal(write(end, "x", 1), 1);
}

static int make(void **state)
{
    *state = eas_parking_create(MANY_THREADS);
    return *state != NULL ? 0 : -1;
}

static int make_small(void **state)
{
    *state = eas_parking_create(FEW_THREADS);
    return *state != NULL ? 0 : -1;
}

static int end(void **state)
{
    eas_parking_destroy(*state);
    return 0;
}

/* The events that wake a request after a change; it is gone afterwards. */
static unsigned events_of(struct eas_parking *parking, struct pair *pair)
{
    unsigned events;

    assert_true(wakes(&pair->parked, LONG_MS));
    events = eas_parking_remove(parking, &pair->parked);
    assert_int_equal(pair->parked.wake, -1);
    return events;
}

static void test_backend(void **state)
{
    struct pair pair;

    make_pair(&pair);
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_false(wakes(&pair.parked, 50));
    send_to(pair.backend);
    assert_int_equal(events_of(*state, &pair), EAS_PARK_BACKEND);
    /* It was not read: parked again, it wakes at once. */
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_int_equal(events_of(*state, &pair), EAS_PARK_BACKEND);
    end_pair(&pair);
}

static void test_client(void **state)
{
    struct pair pair;

    make_pair(&pair);
    send_to(pair.client);
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_false(wakes(&pair.parked, 50));
    assert_int_equal(eas_parking_remove(*state, &pair.parked), 0);
    pair.parked.reads_client = true;
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_int_equal(events_of(*state, &pair), EAS_PARK_CLIENT);
    pair.parked.reads_client = false;
    assert_true(eas_parking_add(*state, &pair.parked));
    shutdown(pair.client, SHUT_WR);
    assert_int_equal(events_of(*state, &pair), EAS_PARK_CLIENT_LEFT);
    end_pair(&pair);
}

static void test_times(void **state)
{
    struct pair pair;
    apr_time_t began = eas_clock_now();

    make_pair(&pair);
    pair.parked.refresh = began + SHORT;
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_int_equal(events_of(*state, &pair), EAS_PARK_REFRESH);
    /* Before the next round of all. */
    assert_uint_in_range(eas_clock_now() - began, SHORT, apr_time_from_sec(1));
    pair.parked.refresh = 0;
    pair.parked.deadline = eas_clock_now();
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_int_equal(events_of(*state, &pair), EAS_PARK_TIME);
    end_pair(&pair);
}

static bool reads_end(int socket, int ms)
{
    struct pollfd fd = { .fd = socket, .events = POLLIN };
    char octet;

    return poll(&fd, 1, ms) == 1 && recv(socket, &octet, 1, 0) == 0;
}

/* A connection without a request ends for reading: at its time, or when the process stops. */
static void test_kept(void **state)
{
    struct eas_parked kept = { .deadline = eas_clock_now() + SHORT };
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    kept.client = ends[0];
    assert_true(eas_parking_keep(*state, &kept));
    assert_false(reads_end(ends[0], 50));
    assert_true(reads_end(ends[0], LONG_MS));
    assert_int_equal(eas_parking_remove(*state, &kept), EAS_PARK_STOP);
    close(ends[0]);
    close(ends[1]);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    kept = (struct eas_parked){ .client = ends[0], .deadline = eas_clock_now() + LONG_MS * 1000 };
    assert_true(eas_parking_keep(*state, &kept));
    assert_false(reads_end(ends[0], 50));
    eas_parking_stop(*state, SHORT, NULL);
    assert_true(reads_end(ends[0], LONG_MS));
    assert_int_equal(eas_parking_remove(*state, &kept), EAS_PARK_STOP);
    assert_false(eas_parking_keep(*state, &kept));
    close(ends[0]);
    close(ends[1]);
}

static void test_newer_poll(void **state)
{
    static const struct eas_long_polls_limits limits = { 1, 2 };
    void *memory = calloc(1, TABLE_SIZE);
    struct eas_long_polls_key key = eas_long_polls_key("alice", "phone");
    struct eas_long_poll poll, newer;
    struct eas_long_polls *all;
    struct pair pair;

    eas_long_polls_format(memory, TABLE_SIZE);
    all = eas_long_polls_attach(memory, TABLE_SIZE);
    assert_true(eas_long_polls_begin(all, key, limits, eas_clock_now(), &poll));
    make_pair(&pair);
    pair.parked.poll = &poll;
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_false(wakes(&pair.parked, 50));
    assert_true(eas_long_polls_begin(all, key, limits, eas_clock_now(), &newer));
    assert_int_equal(events_of(*state, &pair), EAS_PARK_REPLACED);
    end_pair(&pair);
    free(memory);
}

static atomic_bool successors;

static bool successors_accept(void)
{
    return atomic_load(&successors);
}

static void test_stop_begins_with_the_successors(void **state)
{
    struct pair first, later;

    make_pair(&first);
    make_pair(&later);
    assert_true(eas_parking_add(*state, &first.parked));
    atomic_store(&successors, false);
    eas_parking_stop(*state, 0, successors_accept);
    assert_true(eas_parking_add(*state, &later.parked));
    assert_false(wakes(&first.parked, 300));
    assert_false(wakes(&later.parked, 0));
    atomic_store(&successors, true);
    assert_int_equal(events_of(*state, &first), EAS_PARK_STOP);
    assert_int_equal(events_of(*state, &later), EAS_PARK_STOP);
    end_pair(&first);
    end_pair(&later);
}

static void test_stop_without_successors(void **state)
{
    struct pair pair;
    apr_time_t began = eas_clock_now();

    make_pair(&pair);
    assert_true(eas_parking_add(*state, &pair.parked));
    atomic_store(&successors, false);
    eas_parking_stop(*state, 0, successors_accept);
    assert_int_equal(events_of(*state, &pair), EAS_PARK_STOP);
    assert_true(eas_clock_now() - began >= EAS_DISMISSAL_HOLD);
    end_pair(&pair);
}

/* Over the whole time, also where few of the table's places are taken. */
static void test_few_stop_over_the_whole_time(void **state)
{
    const apr_interval_time_t spread = APR_USEC_PER_SEC;
    struct pair pairs[2];
    apr_time_t began = eas_clock_now();

    make_pair(&pairs[0]);
    make_pair(&pairs[1]);
    assert_true(eas_parking_add(*state, &pairs[0].parked));
    assert_true(eas_parking_add(*state, &pairs[1].parked));
    eas_parking_stop(*state, spread, NULL);
    assert_int_equal(events_of(*state, &pairs[0]), EAS_PARK_STOP);
    assert_int_equal(events_of(*state, &pairs[1]), EAS_PARK_STOP);
    assert_true(eas_clock_now() - began >= spread / 2);
    end_pair(&pairs[0]);
    end_pair(&pairs[1]);
}

static void test_stop_is_spread(void **state)
{
    const apr_interval_time_t spread = APR_USEC_PER_SEC;
    struct pair *pairs = calloc(MANY, sizeof(*pairs));
    apr_time_t began;
    unsigned i;

    for (i = 0; i < MANY; i++) {
        make_pair(&pairs[i]);
        assert_true(eas_parking_add(*state, &pairs[i].parked));
    }
    began = eas_clock_now();
    eas_parking_stop(*state, spread, NULL);
    assert_true(wakes(&pairs[0].parked, LONG_MS));
    assert_false(wakes(&pairs[MANY - 1].parked, 0));
    for (i = 0; i < MANY; i++) {
        assert_int_equal(events_of(*state, &pairs[i]), EAS_PARK_STOP);
    }
    assert_true(eas_clock_now() - began >= spread / 2);
    /* Nothing parks after that. */
    assert_true(eas_parking_add(*state, &pairs[MANY - 1].parked));
    assert_true(wakes(&pairs[MANY - 1].parked, 0));
    assert_int_equal(events_of(*state, &pairs[MANY - 1]), EAS_PARK_STOP);
    for (i = 0; i < MANY; i++) {
        end_pair(&pairs[i]);
    }
    free(pairs);
}

static unsigned count_awake(const struct pair *pairs, unsigned n)
{
    unsigned awake = 0, i;

    for (i = 0; i < n; i++) {
        awake += pairs[i].parked.wake >= 0 && wakes(&pairs[i].parked, 0);
    }
    return awake;
}

static unsigned first_awake(const struct pair *pairs, unsigned n)
{
    unsigned i = 0;

    while (i < n && (pairs[i].parked.wake < 0 || !wakes(&pairs[i].parked, 0))) {
        i++;
    }
    return i;
}

/* Half of the threads get work, and the next request follows when one is done. */
static void test_turns(void **state)
{
    struct pair *pairs = calloc(MANY, sizeof(*pairs));
    unsigned i, done, next;

    for (i = 0; i < MANY; i++) {
        make_pair(&pairs[i]);
        send_to(pairs[i].backend);
    }
    for (i = 0; i < MANY; i++) {
        assert_true(eas_parking_add(*state, &pairs[i].parked));
        eas_parking_suspend(*state, &pairs[i].parked);
    }
    while (count_awake(pairs, MANY) < FEW_THREADS / 2) {
        usleep(1000);
    }
    for (done = 0; done < MANY; done++) {
        assert_in_range(count_awake(pairs, MANY), 1, FEW_THREADS / 2);
        next = first_awake(pairs, MANY);
        assert_int_equal(eas_parking_remove(*state, &pairs[next].parked), EAS_PARK_BACKEND);
        assert_true(pairs[next].parked.turn.works);
        eas_parking_begin_work(*state);
        eas_parking_end_work(*state);
        eas_parking_done(*state);
    }
    for (i = 0; i < MANY; i++) {
        end_pair(&pairs[i]);
    }
    free(pairs);
}

static void test_claim(void **state)
{
    struct pair pairs[4];
    unsigned i;

    for (i = 0; i < COUNT_OF(pairs); i++) {
        make_pair(&pairs[i]);
        assert_true(eas_parking_add(*state, &pairs[i].parked));
    }
    /* Each has a thread. */
    assert_null(eas_parking_claim(*state, false));
    assert_null(eas_parking_claim(*state, true));
    for (i = 0; i < 3; i++) {
        eas_parking_suspend(*state, &pairs[i].parked);
    }
    send_to(pairs[1].backend);
    assert_true(wakes(&pairs[1].parked, LONG_MS));
    assert_ptr_equal(eas_parking_claim(*state, false), &pairs[0].parked);
    assert_ptr_equal(eas_parking_claim(*state, false), &pairs[2].parked);
    assert_null(eas_parking_claim(*state, false));
    /* No event wakes a claimed request. */
    send_to(pairs[0].backend);
    assert_false(wakes(&pairs[0].parked, 50));
    /* The last thread has the one with an event, too, and that one alone once the others are gone. */
    (void)eas_parking_remove(*state, &pairs[0].parked);
    (void)eas_parking_remove(*state, &pairs[2].parked);
    assert_ptr_equal(eas_parking_claim(*state, true), &pairs[1].parked);
    (void)eas_parking_remove(*state, &pairs[1].parked);
    assert_null(eas_parking_claim(*state, true));
    (void)eas_parking_remove(*state, &pairs[3].parked);
    /* A request that parks beside is told to stop, and has a thread of its own again. */
    for (i = 0; i < COUNT_OF(pairs); i++) {
        assert_true(eas_parking_add(*state, &pairs[i].parked));
        assert_null(eas_parking_claim(*state, true));
        assert_true(events_of(*state, &pairs[i]) & EAS_PARK_STOP);
        end_pair(&pairs[i]);
    }
}

/* Places are used again; an event belongs to the request that is in its place now. */
static void test_places_are_used_again(void **state)
{
    struct pair *pairs = calloc(MANY, sizeof(*pairs));
    unsigned i, round;

    for (i = 0; i < MANY; i++) {
        make_pair(&pairs[i]);
    }
    for (round = 0; round < 20; round++) {
        for (i = 0; i < MANY; i++) {
            assert_true(eas_parking_add(*state, &pairs[i].parked));
            assert_true(pairs[i].parked.place < 2 * MANY);
        }
        send_to(pairs[round].backend);
        assert_true(wakes(&pairs[round].parked, LONG_MS));
        for (i = 0; i < MANY; i++) {
            unsigned events = eas_parking_remove(*state, &pairs[i].parked);

            assert_int_equal(events, i <= round ? events & EAS_PARK_BACKEND : 0);
        }
    }
    for (i = 0; i < MANY; i++) {
        end_pair(&pairs[i]);
    }
    free(pairs);
}

static void test_without_descriptors(void **state)
{
    struct rlimit before, none;
    struct pair pair;
    int client;

    make_pair(&pair);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_false(eas_parking_add(*state, &pair.parked));
    assert_int_equal(pair.parked.wake, -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    /* A descriptor that epoll refuses leaves nothing behind. */
    client = pair.parked.client;
    pair.parked.client = -1;
    assert_false(eas_parking_add(*state, &pair.parked));
    pair.parked.client = client;
    assert_true(eas_parking_add(*state, &pair.parked));
    assert_int_equal(eas_parking_remove(*state, &pair.parked), 0);
    end_pair(&pair);
}

#define PARKING_TEST(test) cmocka_unit_test_setup_teardown(test, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARKING_TEST(test_backend),
        PARKING_TEST(test_client),
        PARKING_TEST(test_times),
        PARKING_TEST(test_kept),
        PARKING_TEST(test_newer_poll),
        PARKING_TEST(test_stop_begins_with_the_successors),
        PARKING_TEST(test_stop_without_successors),
        PARKING_TEST(test_few_stop_over_the_whole_time),
        PARKING_TEST(test_stop_is_spread),
        cmocka_unit_test_setup_teardown(test_turns, make_small, end),
        PARKING_TEST(test_claim),
        PARKING_TEST(test_places_are_used_again),
        PARKING_TEST(test_without_descriptors),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
