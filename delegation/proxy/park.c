/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/park.c - decisions about parked requests: whether, when, and what ends it */

#include "delegation/proxy/park.h"

#include <stddef.h>

#define PATIENCE apr_time_from_sec(1)

/* One of so many threads may wait for a second. */
#define PATIENT_SHARE 4

enum eas_park_obstacle eas_park_obstacle_of(const struct eas_park_facts *facts)
{
    const struct {
        bool is;
        enum eas_park_obstacle obstacle;
    } obstacles[] = {
        { !facts->mpm, EAS_PARK_MPM },        { facts->stream, EAS_PARK_STREAM },
        { facts->inner, EAS_PARK_INNER },     { !facts->body_whole, EAS_PARK_BODY },
        { facts->expects, EAS_PARK_EXPECTS }, { !facts->sent, EAS_PARK_BODY },
        { !facts->kept, EAS_PARK_NOT_KEPT },
    };
    size_t i;

    for (i = 0; i < sizeof(obstacles) / sizeof(obstacles[0]); i++) {
        if (obstacles[i].is) {
            return obstacles[i].obstacle;
        }
    }
    return EAS_PARK_NO_OBSTACLE;
}

const char *eas_park_obstacle_text(enum eas_park_obstacle obstacle)
{
    static const char *const texts[EAS_PARK_OBSTACLES] = {
        [EAS_PARK_NO_OBSTACLE] = "there is none",
        [EAS_PARK_MPM] = "only the event MPM of httpd 2.4.63 or later can; use that",
        [EAS_PARK_STREAM] = "a stream of HTTP/2 has a thread; set Protocols http/1.1 for the "
                            "phones' host",
        [EAS_PARK_INNER] = "another module processes the request inside of its own; take "
                           "ErrorDocument and internal redirects off the phones' path",
        [EAS_PARK_BODY] = "the request is longer than what is kept of it; raise EasKcdRetryBody",
        [EAS_PARK_EXPECTS] = "the backend is asked for 100 (Continue); take ping= off its "
                             "ProxyPass",
        [EAS_PARK_NOT_KEPT] = "the backend's connections are not kept; set EasKcdBackendReuse On, "
                              "and take disablereuse=, proxy-nokeepalive and ProxyRemote "
                              "away",
        [EAS_PARK_DESCRIPTORS] = "the process has no more descriptors; raise LimitNOFILE of "
                                 "httpd's service to three for each parked request",
    };

    return texts[obstacle];
}

apr_interval_time_t eas_park_patience(unsigned waiting_threads, unsigned threads)
{
    return waiting_threads * PATIENT_SHARE < threads ? PATIENCE : 0;
}

apr_time_t eas_park_refresh(apr_time_t now, apr_interval_time_t named, apr_interval_time_t first)
{
    apr_interval_time_t timeout = named < first ? named : first;

    return timeout > 0 ? now + timeout / 4 : 0;
}

enum eas_park_step eas_park_step_after(unsigned events)
{
    static const struct {
        enum eas_park_event event;
        enum eas_park_step step;
    } steps[] = {
        { EAS_PARK_BACKEND, EAS_PARK_READ }, { EAS_PARK_CLIENT_LEFT, EAS_PARK_LEAVE },
        { EAS_PARK_TIME, EAS_PARK_READ },    { EAS_PARK_REPLACED, EAS_PARK_GIVE_WAY },
        { EAS_PARK_STOP, EAS_PARK_ANSWER },  { EAS_PARK_CLIENT, EAS_PARK_LOOK },
    };
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (events & steps[i].event) {
            return steps[i].step;
        }
    }
    return EAS_PARK_STAY;
}

bool eas_park_is_work(unsigned events)
{
    return (events & (EAS_PARK_BACKEND | EAS_PARK_TIME | EAS_PARK_STOP)) != 0;
}
