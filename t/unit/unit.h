/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/unit.h - common part of the unit tests: cmocka, APR and a pool for each test */

#ifndef EAS_T_UNIT_UNIT_H
#define EAS_T_UNIT_UNIT_H

/* cmocka.h needs these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* cmocka 2 deprecates assert_in_range; cmocka 1 has no other. */
#ifndef assert_uint_in_range
#define assert_uint_in_range assert_in_range
#endif

#include <apr_general.h>
#include <apr_pools.h>
#include <apr_thread_proc.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A test's *state is a pool of its own; a test that destroys it sets *state to NULL. */
#define POOL_TEST(test) cmocka_unit_test_setup_teardown(test, unit_make_pool, unit_destroy_pool)

/* Group setup and teardown. */
static inline int unit_start(void **state)
{
    (void)state;
    return apr_initialize() == APR_SUCCESS ? 0 : -1;
}

static inline int unit_end(void **state)
{
    (void)state;
    apr_terminate();
    return 0;
}

static inline int unit_make_pool(void **state)
{
    return apr_pool_create((apr_pool_t **)state, NULL) == APR_SUCCESS ? 0 : -1;
}

static inline int unit_destroy_pool(void **state)
{
    if (*state != NULL) {
        apr_pool_destroy(*state);
    }
    return 0;
}

#define UNIT_THREADS 8

/* Runs work in eight threads at once, each with its own element of data, and waits for them. */
static inline void unit_run_threads(apr_pool_t *pool, apr_thread_start_t work, void *data,
                                    size_t size)
{
    apr_thread_t *threads[UNIT_THREADS];
    apr_status_t status;
    size_t i;

    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(apr_thread_create(&threads[i], NULL, work, (char *)data + i * size, pool),
                         APR_SUCCESS);
    }
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(apr_thread_join(&status, threads[i]), APR_SUCCESS);
    }
}

#endif
