/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/moved_clock.h - a monotonic clock under control */

#ifndef EAS_T_UNIT_MOVED_CLOCK_H
#define EAS_T_UNIT_MOVED_CLOCK_H

#include <apr_time.h>
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

static volatile apr_interval_time_t clock_offset;

static inline void advance_clock(apr_interval_time_t time)
{
    clock_offset += time;
}

/* The next two functions replace libc's, and call them. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    int rv;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    rv = real(clock, now);
    if (clock == CLOCK_MONOTONIC) {
        apr_time_t then = apr_time_from_sec(now->tv_sec) + now->tv_nsec / 1000 + clock_offset;

        *now = (struct timespec){ apr_time_sec(then), apr_time_usec(then) * 1000 };
    }
    return rv;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    apr_time_t then = apr_time_from_sec(until->tv_sec) + until->tv_nsec / 1000 - clock_offset;
    struct timespec spec = { apr_time_sec(then), apr_time_usec(then) * 1000 };

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    }
    return real(cond, mutex, &spec);
}

#endif
