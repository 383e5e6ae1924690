/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_wait.c - wait for a backend's response while the client is still there */

#include "t/unit/unit.h"

#include "auth/base/clock.h"
#include "delegation/proxy/wait.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define LONG apr_time_from_sec(30)
#define SHORT (APR_USEC_PER_SEC / 20)

/* Both ends of two connections: ours are in wait. */
struct pair {
    struct eas_wait wait;
    int backend, client;
};

/* TCP, because a reset is a thing of TCP. */
static void connect_pair(int ends[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[1], (struct sockaddr *)&address, len), 0);
    ends[0] = accept(listener, NULL, NULL);
    assert_true(ends[0] >= 0);
    close(listener);
}

static int make(void **state)
{
    static struct pair pair;
    int ends[2];

    connect_pair(ends);
    pair.wait.backend = ends[0];
    pair.backend = ends[1];
    connect_pair(ends);
    pair.wait.client = ends[0];
    pair.client = ends[1];
    pair.wait.reads_client = false;
    *state = &pair;
    return 0;
}

static int end(void **state)
{
    struct pair *pair = *state;

    close(pair->wait.backend);
    close(pair->wait.client);
    close(pair->backend);
    if (pair->client >= 0) {
        close(pair->client);
    }
    return 0;
}

static void reset(struct pair *pair)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(pair->client);
    pair->client = -1;
}

static void send_to(int end)
{
    assert_int_equal(write(end, "x", 1), 1);
}

static void test_backend_sends(void **state)
{
    struct pair *pair = *state;

    send_to(pair->backend);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_BACKEND);
    assert_int_equal(eas_wait_poll(&pair->wait, -1), EAS_WAIT_BACKEND);
    shutdown(pair->backend, SHUT_WR);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_BACKEND_ENDED);
}

static void test_client_leaves(void **state)
{
    struct pair *pair = *state;

    shutdown(pair->client, SHUT_WR);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT_LEFT);
    assert_int_equal(eas_wait_poll(&pair->wait, -1), EAS_WAIT_CLIENT_LEFT);
    reset(pair);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT_LEFT);
}

static void test_client_is_reset(void **state)
{
    struct pair *pair = *state;

    reset(pair);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT_LEFT);
}

/* A pipelined request, for one. */
static void test_data_of_the_client_is_no_end_and_hides_none(void **state)
{
    struct pair *pair = *state;

    send_to(pair->client);
    assert_int_equal(eas_wait_poll(&pair->wait, SHORT), EAS_WAIT_TIMEUP);
    pair->wait.reads_client = true;
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT);
    shutdown(pair->client, SHUT_WR);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT_LEFT);
    pair->wait.reads_client = false;
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT_LEFT);
}

static void test_response_precedes_the_end_of_the_client(void **state)
{
    struct pair *pair = *state;

    shutdown(pair->client, SHUT_WR);
    send_to(pair->backend);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_BACKEND);
}

static void test_closed(void **state)
{
    struct pair *pair = *state;

    assert_false(eas_wait_is_closed(pair->wait.client));
    send_to(pair->client);
    shutdown(pair->client, SHUT_WR);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_CLIENT_LEFT);
    assert_false(eas_wait_is_closed(pair->wait.client)); /* data first */
    shutdown(pair->backend, SHUT_WR);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_BACKEND_ENDED);
    assert_true(eas_wait_is_closed(pair->wait.backend));
    reset(pair);
    assert_int_equal(eas_wait_poll(&pair->wait, LONG), EAS_WAIT_BACKEND_ENDED);
    assert_true(eas_wait_is_closed(-1));
}

static void test_without_a_socket_of_the_client(void **state)
{
    struct pair *pair = *state;
    struct eas_wait wait = { pair->wait.backend, -1, true };

    assert_int_equal(eas_wait_poll(&wait, SHORT), EAS_WAIT_TIMEUP);
    send_to(pair->backend);
    assert_int_equal(eas_wait_poll(&wait, LONG), EAS_WAIT_BACKEND);
}

static void ignore(int signal)
{
    (void)signal;
}

/* Neither early nor, though signals come, late. */
static void test_time(void **state)
{
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    const struct sigaction action = { .sa_handler = ignore };
    struct pair *pair = *state;
    apr_time_t since, waited;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    since = eas_clock_now();
    assert_int_equal(eas_wait_poll(&pair->wait, 4 * SHORT + 1), EAS_WAIT_TIMEUP);
    waited = eas_clock_now() - since;
    setitimer(ITIMER_REAL, &never, NULL);
    assert_true(waited >= 4 * SHORT);
    assert_true(waited < LONG);
    assert_int_equal(eas_wait_poll(&pair->wait, 0), EAS_WAIT_TIMEUP);
}

static void test_line(void **state)
{
    static const struct {
        const char *line;
        bool over;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\n", true },
        { "HTTP/1.0 401 Unauthorized\r\n", true },
        { "HTTP/1.1 503\r\n", true },
        { "HTTP/1.1 100 Continue\r\n", false },
        { "HTTP/1.1 199 x\r\n", false },
        { "\r\n", false },
        { "Content-Length: 2\r\n", false },
        { "HTTP/1.1 ", false },
        { "", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_wait_is_over(rows[i].line, strlen(rows[i].line)) != rows[i].over) {
            fail_msg("%s", rows[i].line);
        }
    }
}

static void test_head_of_an_interim_response(void **state)
{
    static const struct {
        const char *line;
        bool was, is;
    } rows[] = {
        { "HTTP/1.1 102 Processing\r\n", false, true },
        { "HTTP/1.1 103 Early Hints\n", false, true },
        { "Link: </x>\r\n", true, true },
        { "\r\n", true, false },
        { "\n", true, false },
        { "", true, false },
        { "HTTP/1.1 200 OK\r\n", false, false },
        { "Link: </x>\r\n", false, false },
        { "\r\n", false, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        if (eas_wait_is_interim(rows[i].line, strlen(rows[i].line), rows[i].was) != rows[i].is) {
            fail_msg("%s", rows[i].line);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_backend_sends, make, end),
        cmocka_unit_test_setup_teardown(test_client_leaves, make, end),
        cmocka_unit_test_setup_teardown(test_client_is_reset, make, end),
        cmocka_unit_test_setup_teardown(test_closed, make, end),
        cmocka_unit_test_setup_teardown(test_data_of_the_client_is_no_end_and_hides_none, make,
                                        end),
        cmocka_unit_test_setup_teardown(test_response_precedes_the_end_of_the_client, make, end),
        cmocka_unit_test_setup_teardown(test_without_a_socket_of_the_client, make, end),
        cmocka_unit_test_setup_teardown(test_time, make, end),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_head_of_an_interim_response),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
