/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/thread.h - threads without signals, mutexes of pools */

#ifndef EAS_AUTH_BASE_THREAD_H
#define EAS_AUTH_BASE_THREAD_H

#include <apr_thread_mutex.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * Runs a function on a new thread; false if the system has none.  The thread blocks all signals,
 * which the MPMs handle on their own threads.  The caller joins or detaches it.
 */
bool eas_thread_start(pthread_t *thread_out, void *(*run)(void *data), void *data);

/* A mutex that dies with the pool.  Without memory for it, the process ends, as by APR's pools. */
apr_thread_mutex_t *eas_thread_make_mutex(apr_pool_t *pool);

#endif
