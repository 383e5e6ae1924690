/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/clock.h - monotonic clock, and timed waits on it */

#ifndef EAS_AUTH_BASE_CLOCK_H
#define EAS_AUTH_BASE_CLOCK_H

#include <apr_time.h>
#include <pthread.h>

/* CLOCK_MONOTONIC in microseconds; comparable within one boot of the machine only. */
apr_time_t eas_clock_now(void);

/* A condition for eas_clock_wait(); APR's conditions use the wall clock, which may be set. */
void eas_clock_init_cond(pthread_cond_t *cond);

/* pthread_cond_timedwait() until a time of this clock; may wake up early. */
void eas_clock_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, apr_time_t until);

/* pthread_mutex_timedlock() until a time of this clock; by the wall clock, where libc has no other. */
int eas_clock_lock(pthread_mutex_t *mutex, apr_time_t until);

#endif
