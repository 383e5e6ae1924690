/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_secret.c - a password in memory: copied, kept apart, cleansed */

#include "t/unit/unit.h"

#include "auth/base/secret.h"

#include <stdbool.h>
#include <string.h>

#define PASSWORD "correct horse"
#define PASSWORD_LEN (sizeof(PASSWORD) - 1)

/*
 * Sees a secret's bytes while its pool goes.  A cleanup runs while the pool's memory is still there,
 * and later than those that were registered after it: what it sees is what the secret left behind.
 */
struct witness {
    const struct eas_secret *secret;
    const char *bytes;
    bool looked;
    char seen[PASSWORD_LEN];
    apr_size_t len;
};

static apr_status_t look(void *data)
{
    struct witness *witness = data;

    memcpy(witness->seen, witness->bytes, PASSWORD_LEN);
    witness->len = witness->secret->len;
    witness->looked = true;
    return APR_SUCCESS;
}

static void make_witnessed(apr_pool_t *pool, struct witness *witness)
{
    memset(witness, 0, sizeof(*witness));
    memset(witness->seen, 'x', sizeof(witness->seen));
    apr_pool_cleanup_register(pool, witness, look, apr_pool_cleanup_null);
    witness->secret = eas_secret_make(pool, PASSWORD, PASSWORD_LEN);
    witness->bytes = witness->secret->bytes;
    assert_memory_equal(witness->bytes, PASSWORD, PASSWORD_LEN);
}

static void assert_cleansed(const struct witness *witness)
{
    static const char zeros[PASSWORD_LEN];

    assert_true(witness->looked);
    assert_memory_equal(witness->seen, zeros, sizeof(zeros));
    assert_int_equal(witness->len, 0);
}

static void test_make_copies_and_terminates(void **state)
{
    char source[] = "s\0cret-and-more";
    struct eas_secret *secret = eas_secret_make(*state, source, 6);

    memset(source, 'x', sizeof(source));
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
    struct witness witness;

    make_witnessed(*state, &witness);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_cleansed(&witness);
}

static void test_cleansed_when_the_pool_is_cleared(void **state)
{
    struct witness witness;

    make_witnessed(*state, &witness);
    apr_pool_clear(*state);
    assert_cleansed(&witness);
}

static void test_cleansed_when_the_parent_pool_goes(void **state)
{
    struct witness witness;
    apr_pool_t *child;

    assert_int_equal(apr_pool_create(&child, *state), APR_SUCCESS);
    make_witnessed(child, &witness);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_cleansed(&witness);
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
        POOL_TEST(test_cleansed_when_the_parent_pool_goes),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
