/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/resolve.c - getaddrinfo() with a deadline */

#include "delegation/check/resolve.h"
#include "auth/base/clock.h"
#include "auth/base/thread.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the thread, and of the caller once the pipe has a byte.  A late lookup keeps it. */
struct lookup {
    char *host, *port;
    int flags;
    int code;
    struct addrinfo *found;
    int pipe[2];
};

static void free_lookup(struct lookup *lookup)
{
    close(lookup->pipe[0]);
    close(lookup->pipe[1]);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static struct lookup *make_lookup(const char *host, const char *port, int flags)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL || pipe(lookup->pipe) != 0) {
        free(lookup);
        return NULL;
    }
    lookup->host = strdup(host);
    lookup->port = port != NULL ? strdup(port) : NULL;
    lookup->flags = flags;
    return lookup;
}

static void *run(void *data)
{
    struct lookup *lookup = data;
    const struct addrinfo hints = { .ai_flags = lookup->flags, .ai_socktype = SOCK_STREAM };

    lookup->code = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    if (write(lookup->pipe[1], "", 1) != 1) {
        lookup->code = EAI_SYSTEM; /* for nobody: the caller waits for the byte */
    }
    return NULL;
}

int eas_resolve(const char *host, const char *port, int flags, apr_time_t until,
                struct addrinfo **out)
{
    struct lookup *lookup = make_lookup(host, port, flags);
    apr_interval_time_t left = until - eas_clock_now();
    struct pollfd done = { .events = POLLIN };
    pthread_t thread;
    int code;

    if (lookup == NULL) {
        return EAI_MEMORY;
    }
    if (!eas_thread_start(&thread, run, lookup)) {
        free_lookup(lookup);
        return EAI_MEMORY;
    }
    pthread_detach(thread);
    done.fd = lookup->pipe[0];
    if (poll(&done, 1, left > 0 ? (int)apr_time_as_msec(left) : 0) != 1) {
        return EAI_AGAIN;
    }
    code = lookup->code;
    *out = lookup->found;
    free_lookup(lookup);
    return code;
}
