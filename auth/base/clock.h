/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/clock.h - a clock that never jumps, and waiting by it */

#ifndef EAS_AUTH_BASE_CLOCK_H
#define EAS_AUTH_BASE_CLOCK_H

#include <apr_time.h>
#include <pthread.h>

/* Microseconds since some time in the past; of no meaning outside this machine's uptime. */
apr_time_t eas_clock_now(void);

/* A condition to be waited for by this clock (APR's go by one that an administrator may set). */
void eas_clock_init_cond(pthread_cond_t *cond);

/* As pthread_cond_timedwait(), until a time of this clock; may wake up early. */
void eas_clock_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, apr_time_t until);

#endif
