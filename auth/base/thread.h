/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/thread.h - detached threads */

#ifndef EAS_AUTH_BASE_THREAD_H
#define EAS_AUTH_BASE_THREAD_H

#include <stdbool.h>

/*
 * Runs a function on a new thread; false if the system has none.  The thread is detached, because
 * one stuck in libkrb5 cannot be joined.  It blocks all signals, which the MPMs handle on their own
 * threads.
 */
bool eas_thread_start(void *(*run)(void *data), void *data);

#endif
