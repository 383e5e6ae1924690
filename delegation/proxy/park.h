/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park.h - decisions about parked requests: whether, when, and what ends it */

#ifndef EAS_DELEGATION_PROXY_PARK_H
#define EAS_DELEGATION_PROXY_PARK_H

#include <apr_time.h>
#include <stdbool.h>

/* A parked request waits for its backend without a thread (park_httpd.h). */

struct eas_park_facts {
    bool mpm;        /* the MPM waits for a suspended connection and then continues it */
    bool stream;     /* the request is a stream of HTTP/2 */
    bool inner;      /* ... or a subrequest, or follows an internal redirect */
    bool body_whole; /* the request's body is kept */
    bool sent;       /* the whole request is written */
    bool expects;    /* ... or waits for 100 (Continue) */
    bool kept;       /* mod_proxy keeps the backend's connection after a response */
};

enum eas_park_obstacle {
    EAS_PARK_NO_OBSTACLE,
    EAS_PARK_MPM,
    EAS_PARK_STREAM,
    EAS_PARK_INNER,
    EAS_PARK_BODY,
    EAS_PARK_EXPECTS,
    EAS_PARK_NOT_KEPT,
    EAS_PARK_DESCRIPTORS, /* not by facts: the process has no more of them */
    EAS_PARK_OBSTACLES
};

enum eas_park_obstacle eas_park_obstacle_of(const struct eas_park_facts *facts);

/* Cause and cure, for the log. */
const char *eas_park_obstacle_text(enum eas_park_obstacle obstacle);

/*
 * How long a thread waits before the request parks.  Most responses come within a second, and a
 * parked one costs more work.  In a storm of polls, threads are worth more than work.
 */
apr_interval_time_t eas_park_patience(unsigned waiting_threads, unsigned threads);

/*
 * When the MPM must see a parked connection again, which it closes after a time-out: that of the
 * address's first host, unless the named one has a KeepAliveTimeout (event_post_read_request()).  So
 * early that a thread need not be idle for the three quarters that are left.
 */
apr_time_t eas_park_refresh(apr_time_t now, apr_interval_time_t named, apr_interval_time_t first);

/* Events of a parked request; bits. */
enum eas_park_event {
    EAS_PARK_BACKEND = 1,     /* a response, or the end of its connection */
    EAS_PARK_CLIENT = 2,      /* the client has sent something */
    EAS_PARK_CLIENT_LEFT = 4, /* it has closed its connection, or its half of it */
    EAS_PARK_TIME = 8,        /* the backend's time is over */
    EAS_PARK_REFRESH = 16,    /* the MPM must see the connection */
    EAS_PARK_REPLACED = 32,   /* a newer long poll has ended this one */
    EAS_PARK_STOP = 64        /* the process ends */
};

enum eas_park_step {
    EAS_PARK_STAY,  /* park again */
    EAS_PARK_LOOK,  /* read ahead from the client, which may have left; else park again */
    EAS_PARK_READ,  /* read the response, or find out that there is none */
    EAS_PARK_LEAVE, /* end the request, without an answer */
    EAS_PARK_GIVE_WAY,
    EAS_PARK_ANSWER /* tell the client that nothing has changed */
};

/* A response that has come is not lost for what else has happened. */
enum eas_park_step eas_park_step_after(unsigned events);

/* Whether a thread that takes the request after these events makes an answer (turns.h). */
bool eas_park_is_work(unsigned events);

#endif
