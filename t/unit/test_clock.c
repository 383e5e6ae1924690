/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_clock.c - time-outs of locks by the monotonic clock */

#include "t/unit/unit.h"

#include "auth/base/clock.h"
#include "auth/base/shm_mutex.h"

#include <errno.h>
#include <time.h>

#define SHORT_TIME (APR_USEC_PER_SEC / 20)

#ifdef HAVE_PTHREAD_MUTEX_CLOCKLOCK
/* In place of libc's: its end is a time of the wall clock, which may be set. */
int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    (void)mutex, (void)until;
    fail_msg("waits by the wall clock");
    return EINVAL;
}
#endif

static void *hold(void *mutex)
{
    return (void *)(intptr_t)pthread_mutex_lock(mutex);
}

/* Locked by a thread that has ended. */
static void lock_elsewhere(pthread_mutex_t *mutex)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, hold, mutex), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_lock_ends_in_time(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    apr_time_t until = eas_clock_now() + SHORT_TIME;

    (void)state;
    assert_int_equal(eas_clock_lock(&mutex, until), 0);
    pthread_mutex_unlock(&mutex);
    lock_elsewhere(&mutex);
    assert_int_equal(eas_clock_lock(&mutex, until), ETIMEDOUT);
    assert_true(eas_clock_now() >= until);
}

struct waiter {
    pthread_mutex_t mutex;
    enum eas_shm_mutex_result result;
};

static void *wait_for(void *data)
{
    struct waiter *waiter = data;

    waiter->result = eas_shm_mutex_lock(&waiter->mutex);
    return NULL;
}

/* The retries of a robust mutex, while its owner lives. */
static void test_robust_mutex_is_awaited(void **state)
{
    struct waiter waiter = { .result = EAS_SHM_MUTEX_FAILED };
    pthread_t thread;

    (void)state;
    assert_true(eas_shm_mutex_init(&waiter.mutex));
    assert_int_equal(eas_shm_mutex_lock(&waiter.mutex), EAS_SHM_MUTEX_LOCKED);
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &waiter), 0);
    apr_sleep(SHORT_TIME); /* some retries */
    assert_int_equal(waiter.result, EAS_SHM_MUTEX_FAILED);
    eas_shm_mutex_unlock(&waiter.mutex);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.result, EAS_SHM_MUTEX_LOCKED);
    pthread_mutex_destroy(&waiter.mutex);
}

static void test_robust_mutex_of_a_dead_owner(void **state)
{
    pthread_mutex_t mutex;

    (void)state;
    assert_true(eas_shm_mutex_init(&mutex));
    lock_elsewhere(&mutex);
    assert_int_equal(eas_shm_mutex_lock(&mutex), EAS_SHM_MUTEX_ABANDONED);
    eas_shm_mutex_unlock(&mutex);
    assert_int_equal(eas_shm_mutex_lock(&mutex), EAS_SHM_MUTEX_LOCKED);
    eas_shm_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_ends_in_time),
        cmocka_unit_test(test_robust_mutex_is_awaited),
        cmocka_unit_test(test_robust_mutex_of_a_dead_owner),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
