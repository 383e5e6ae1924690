/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/thread.h - threads that nobody waits for */

#ifndef EAS_AUTH_BASE_THREAD_H
#define EAS_AUTH_BASE_THREAD_H

#include <stdbool.h>

/*
 * Runs it on a thread of its own; false if there is none to be had.  Detached, because nobody can wait
 * for one that hangs in libkrb5; and deaf to signals, which the MPMs want to have in threads of theirs.
 */
bool eas_thread_start(void *(*run)(void *data), void *data);

#endif
