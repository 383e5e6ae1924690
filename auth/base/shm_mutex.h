/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/shm_mutex.h - robust mutex in shared memory */

#ifndef EAS_AUTH_BASE_SHM_MUTEX_H
#define EAS_AUTH_BASE_SHM_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

enum eas_shm_mutex_result {
    EAS_SHM_MUTEX_FAILED, /* it is not locked, and cannot be any more */
    EAS_SHM_MUTEX_LOCKED,
    EAS_SHM_MUTEX_ABANDONED /* locked; the owner before died with it, perhaps in a change */
};

/* By one process, before others use it.  False if the system has no such mutexes. */
bool eas_shm_mutex_init(pthread_mutex_t *mutex);

enum eas_shm_mutex_result eas_shm_mutex_lock(pthread_mutex_t *mutex);

void eas_shm_mutex_unlock(pthread_mutex_t *mutex);

#endif
