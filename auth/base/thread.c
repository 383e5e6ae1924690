/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/thread.c - threads without signals */

#include "auth/base/thread.h"

#include <signal.h>

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
