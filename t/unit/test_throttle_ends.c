/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_throttle_ends.c - throttles whose end is awaited */

#include "t/unit/unit.h"

#include "auth/base/throttle_ends.h"

#include <apr_strings.h>

static void *ends_of(apr_pool_t *pool)
{
    void *memory = apr_pcalloc(pool, eas_throttle_ends_size());

    assert_true(eas_throttle_ends_attach(memory));
    return memory;
}

/* Whether the throttle begins. */
static bool await(void *memory, apr_time_t until, const char *account, const char *address,
                  const char *vhost)
{
    struct eas_throttle_end end = { .until = until };

    apr_cpystrn(end.account, account, sizeof(end.account));
    apr_cpystrn(end.address, address, sizeof(end.address));
    apr_cpystrn(end.vhost, vhost, sizeof(end.vhost));
    return eas_throttle_ends_await(memory, &end);
}

/* How many are over at that time, or are of the account. */
static int taken(void *memory, const char *account, apr_time_t now)
{
    struct eas_throttle_end end;
    int n = 0;

    while (eas_throttle_ends_take(memory, account, now, &end)) {
        n++;
    }
    return n;
}

static void test_each_ends_once(void **state)
{
    struct eas_throttle_end end;
    void *memory = ends_of(*state);

    await(memory, 100, "alice@CORP", "10.0.0.1", "mail");
    assert_int_equal(taken(memory, NULL, 99), 0);
    assert_true(eas_throttle_ends_take(memory, NULL, 100, &end));
    assert_string_equal(end.account, "alice@CORP");
    assert_string_equal(end.address, "10.0.0.1");
    assert_string_equal(end.vhost, "mail");
    assert_int_equal(taken(memory, NULL, 1000), 0);
}

static void test_later_end_counts(void **state)
{
    void *memory = ends_of(*state);

    assert_true(await(memory, 100, "alice@CORP", "10.0.0.1", "mail"));
    assert_false(await(memory, 200, "alice@CORP", "10.0.0.2", "mail"));
    assert_int_equal(taken(memory, NULL, 199), 0);
    assert_int_equal(taken(memory, NULL, 200), 1);
    assert_true(await(memory, 300, "alice@CORP", "10.0.0.2", "mail"));
}

static void test_others_are_apart(void **state)
{
    void *memory = ends_of(*state);

    await(memory, 100, "alice@CORP", "10.0.0.1", "mail");
    await(memory, 100, "bob@CORP", "10.0.0.1", "mail");
    await(memory, 100, "alice@CORP", "10.0.0.1", "other");
    await(memory, 100, "", "10.0.0.1", "mail");
    await(memory, 100, "", "10.0.0.2", "mail");
    assert_int_equal(taken(memory, NULL, 100), 5);
}

/* Names without room are cut alike, so that they do not fill the memory. */
static void test_long_names(void **state)
{
    char name[1000];
    void *memory = ends_of(*state);
    int i;

    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (i = 0; i < 1000; i++) {
        await(memory, 100, name, "10.0.0.1", name);
    }
    assert_int_equal(taken(memory, NULL, 100), 1);
}

/* An administrator ends the throttle of an account, of all virtual hosts. */
static void test_account_ends_early(void **state)
{
    void *memory = ends_of(*state);

    await(memory, 100, "alice@CORP", "10.0.0.1", "mail");
    await(memory, 100, "alice@CORP", "10.0.0.1", "other");
    await(memory, 100, "bob@CORP", "10.0.0.1", "mail");
    assert_int_equal(taken(memory, "alice@CORP", 0), 2);
    assert_int_equal(taken(memory, NULL, 100), 1);
}

static void test_memory_is_full(void **state)
{
    void *memory = ends_of(*state);
    int i;

    for (i = 0; i < 1000; i++) {
        await(memory, 100, "", apr_psprintf(*state, "10.0.0.%d", i), "mail");
    }
    assert_int_equal(taken(memory, NULL, 100), 256);
    await(memory, 200, "", "10.0.0.1", "mail");
    assert_int_equal(taken(memory, NULL, 200), 1);
}

struct party {
    void *memory;
    int taken;
};

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    struct party *party = data;
    int i;

    (void)thread;
    for (i = 0; i < 1000; i++) {
        await(party->memory, 100, "alice@CORP", "10.0.0.1", "mail");
    }
    party->taken = taken(party->memory, NULL, 99);
    return NULL;
}

/* A throttle that several processes see has one place. */
static void test_threads(void **state)
{
    void *memory = ends_of(*state);
    struct party parties[UNIT_THREADS];
    int i;

    for (i = 0; i < UNIT_THREADS; i++) {
        parties[i] = (struct party){ .memory = memory };
    }
    unit_run_threads(*state, work, parties, sizeof(parties[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(parties[i].taken, 0);
    }
    assert_int_equal(taken(memory, NULL, 100), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_each_ends_once),
        POOL_TEST(test_later_end_counts),
        POOL_TEST(test_others_are_apart),
        POOL_TEST(test_long_names),
        POOL_TEST(test_account_ends_early),
        POOL_TEST(test_memory_is_full),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
