/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/thread.c - threads without signals, mutexes of pools */

#include "auth/base/thread.h"

#include <signal.h>
#include <stdlib.h>

bool eas_thread_start(pthread_t *thread_out, void *(*run)(void *data), void *data)
{
    sigset_t all, before;
    bool started;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(thread_out, NULL, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

apr_thread_mutex_t *eas_thread_make_mutex(apr_pool_t *pool)
{
    apr_thread_mutex_t *mutex = NULL;

    if (apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, pool) != APR_SUCCESS) {
        abort();
    }
    return mutex;
}
