/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/clock.c - monotonic clock, and timed waits on it */

#include "auth/base/clock.h"

#include <time.h>

apr_time_t eas_clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

void eas_clock_init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void eas_clock_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, apr_time_t until)
{
    struct timespec spec = { apr_time_sec(until), apr_time_usec(until) * 1000 };

    pthread_cond_timedwait(cond, mutex, &spec);
}
