/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/wait.c - wait for a backend's response while the client is still there */

#include "delegation/proxy/wait.h"
#include "auth/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ENDED (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)

/* Rounded up, as APR does. */
static int milliseconds(apr_interval_time_t time)
{
    apr_interval_time_t ms = time < 0 ? -1 : (time + 999) / 1000;

    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static enum eas_wait_event event_of(short backend, short client)
{
    if (backend & ENDED) {
        return EAS_WAIT_BACKEND_ENDED;
    }
    if (backend != 0) {
        return EAS_WAIT_BACKEND;
    }
    return client & ENDED ? EAS_WAIT_CLIENT_LEFT : EAS_WAIT_CLIENT;
}

enum eas_wait_event eas_wait_poll(const struct eas_wait *wait, apr_interval_time_t max)
{
    struct pollfd sockets[] = {
        { .fd = wait->backend, .events = POLLIN | POLLRDHUP },
        { .fd = wait->client, .events = (short)(POLLRDHUP | (wait->reads_client ? POLLIN : 0)) },
    };
    apr_time_t end = max < 0 ? 0 : eas_clock_now() + max;
    int n = poll(sockets, 2, milliseconds(max));

    while (n < 0 && errno == EINTR) {
        apr_interval_time_t left = max < 0 ? max : end - eas_clock_now();

        n = poll(sockets, 2, max >= 0 && left < 0 ? 0 : milliseconds(left));
    }
    if (n == 0) {
        return EAS_WAIT_TIMEUP;
    }
    /* Without memory for poll(), the caller's read waits. */
    return n < 0 ? EAS_WAIT_BACKEND_ENDED : event_of(sockets[0].revents, sockets[1].revents);
}

bool eas_wait_is_closed(int socket)
{
    char octet;
    ssize_t got = recv(socket, &octet, 1, MSG_PEEK | MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* The first digit of a status line's status; NUL if it is none. */
static int status_class(const char *line, size_t len)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t digit = sizeof(version) - 1;

    return len > digit && strncmp(line, version, strlen("HTTP/")) == 0 ? line[digit] : '\0';
}

bool eas_wait_is_over(const char *line, size_t len)
{
    int class = status_class(line, len);

    return class != '\0' && class != '1';
}

bool eas_wait_is_interim(const char *line, size_t len, bool was_interim)
{
    bool is_blank = len == 0 || line[0] == '\r' || line[0] == '\n';

    return status_class(line, len) == '1' || (was_interim && !is_blank);
}
