/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/thread.c - detached threads */

#include "auth/base/thread.h"

#include <pthread.h>
#include <signal.h>

bool eas_thread_start(void *(*run)(void *data), void *data)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    bool started;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&thread, &attr, run, data) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}
