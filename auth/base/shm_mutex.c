/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_mutex.c - robust mutex in shared memory */

#include "auth/base/shm_mutex.h"
#include "auth/base/clock.h"

#include <errno.h>

/* A waiter retries to lock the mutex every 20 ms: see below. */
#define LOCK_RETRY (APR_USEC_PER_SEC / 50)

bool eas_shm_mutex_init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    bool ready;

    pthread_mutexattr_init(&attr);
    ready = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0
            && pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0
            && pthread_mutex_init(mutex, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return ready;
}

/*
 * A process may die between the unlock and the wake-up of the next waiter.  If another process has
 * locked the mutex meanwhile, that wake-up is lost; the kernel makes it only for a free mutex.
 * Waiters would then sleep until another waiter comes, so they retry on a timer.
 */
enum eas_shm_mutex_result eas_shm_mutex_lock(pthread_mutex_t *mutex)
{
    int rv = pthread_mutex_trylock(mutex);

    while (rv == EBUSY || rv == ETIMEDOUT) {
        rv = eas_clock_lock(mutex, eas_clock_now() + LOCK_RETRY);
    }
    if (rv == EOWNERDEAD) {
        return pthread_mutex_consistent(mutex) == 0 ? EAS_SHM_MUTEX_ABANDONED
                                                    : EAS_SHM_MUTEX_FAILED;
    }
    return rv == 0 ? EAS_SHM_MUTEX_LOCKED : EAS_SHM_MUTEX_FAILED;
}

void eas_shm_mutex_unlock(pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
}
