/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_secret.c - passwords and keys in memory */

#include "t/unit/unit.h"

#include "auth/base/secret.h"

#include <stdbool.h>
#include <string.h>

#define PASSWORD "correct horse"
#define PASSWORD_LEN (sizeof(PASSWORD) - 1)

/*
 * Copies a secret's bytes while its pool is destroyed.  A cleanup runs while the pool's memory is
 * valid, after those that were registered later: after the secret's.
 */
struct observer {
    const struct eas_secret *secret;
    const char *bytes;
    bool done;
    char seen[PASSWORD_LEN];
    apr_size_t len;
};

static apr_status_t copy_bytes(void *data)
{
    struct observer *observer = data;

    memcpy(observer->seen, observer->bytes, PASSWORD_LEN);
    observer->len = observer->secret->len;
    observer->done = true;
    return APR_SUCCESS;
}

static void make_observed(apr_pool_t *pool, struct observer *observer)
{
    memset(observer, 0, sizeof(*observer));
    memset(observer->seen, 'x', sizeof(observer->seen));
    apr_pool_cleanup_register(pool, observer, copy_bytes, apr_pool_cleanup_null);
    observer->secret = eas_secret_make(pool, PASSWORD, PASSWORD_LEN);
    observer->bytes = observer->secret->bytes;
    assert_memory_equal(observer->bytes, PASSWORD, PASSWORD_LEN);
}

static void assert_cleansed(const struct observer *observer)
{
    static const char zeros[PASSWORD_LEN];

    assert_true(observer->done);
    assert_memory_equal(observer->seen, zeros, sizeof(zeros));
    assert_int_equal(observer->len, 0);
}

static void test_make_copies_and_terminates(void **state)
{
    char text[] = "s\0cret-and-more";
    struct eas_secret *secret = eas_secret_make(*state, text, 6);

    memset(text, 'x', sizeof(text));
    assert_int_equal(secret->len, 6);
    assert_memory_equal(secret->bytes, "s\0cret\0", 7);
}

static void test_empty_secret_is_an_empty_string(void **state)
{
    struct eas_secret *secret = eas_secret_make(*state, "abc", 0);

    assert_int_equal(secret->len, 0);
    assert_string_equal(secret->bytes, "");
}

static void test_wipe_cleanses_and_empties(void **state)
{
    static const char zeros[PASSWORD_LEN + 1];
    struct eas_secret *secret = eas_secret_make(*state, PASSWORD, PASSWORD_LEN);

    eas_secret_wipe(secret);
    assert_memory_equal(secret->bytes, zeros, sizeof(zeros));
    assert_int_equal(secret->len, 0);
    eas_secret_wipe(secret);
    assert_int_equal(secret->len, 0);
}

static void test_wipe_leaves_other_secrets(void **state)
{
    struct eas_secret *one = eas_secret_make(*state, "one", 3);
    struct eas_secret *two = eas_secret_make(*state, "two", 3);

    eas_secret_wipe(one);
    assert_int_equal(two->len, 3);
    assert_string_equal(two->bytes, "two");
}

static void test_cleansed_when_the_pool_is_destroyed(void **state)
{
    struct observer observer;

    make_observed(*state, &observer);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_cleansed(&observer);
}

static void test_cleansed_when_the_pool_is_cleared(void **state)
{
    struct observer observer;

    make_observed(*state, &observer);
    apr_pool_clear(*state);
    assert_cleansed(&observer);
}

static void test_cleansed_when_the_parent_pool_is_destroyed(void **state)
{
    struct observer observer;
    apr_pool_t *child;

    assert_int_equal(apr_pool_create(&child, *state), APR_SUCCESS);
    make_observed(child, &observer);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_cleansed(&observer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_make_copies_and_terminates),
        POOL_TEST(test_empty_secret_is_an_empty_string),
        POOL_TEST(test_wipe_cleanses_and_empties),
        POOL_TEST(test_wipe_leaves_other_secrets),
        POOL_TEST(test_cleansed_when_the_pool_is_destroyed),
        POOL_TEST(test_cleansed_when_the_pool_is_cleared),
        POOL_TEST(test_cleansed_when_the_parent_pool_is_destroyed),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
