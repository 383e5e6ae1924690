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

static struct timespec spec_of(apr_time_t time)
{
    return (struct timespec){ apr_time_sec(time), apr_time_usec(time) * 1000 };
}

void eas_clock_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, apr_time_t until)
{
    struct timespec spec = spec_of(until);

    pthread_cond_timedwait(cond, mutex, &spec);
}

int eas_clock_lock(pthread_mutex_t *mutex, apr_time_t until)
{
#ifdef HAVE_PTHREAD_MUTEX_CLOCKLOCK
    struct timespec spec = spec_of(until);

    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &spec);
#else
    struct timespec spec = spec_of(apr_time_now() + until - eas_clock_now());

    return pthread_mutex_timedlock(mutex, &spec);
#endif
}
