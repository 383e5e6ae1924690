/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_long_polls.c - limits for the long polls of a user and of a device */

#include "t/unit/unit.h"

#include "delegation/proxy/long_polls.h"

#include <stdlib.h>
#include <string.h>

#define SIZE 4096
#define MANY 1000
#define DEVICE_LIMIT 2
#define USER_LIMIT 4

static const struct eas_long_polls_limits limits = { DEVICE_LIMIT, USER_LIMIT };

static struct eas_long_polls *make(apr_pool_t *pool)
{
    void *memory = apr_pcalloc(pool, SIZE);

    assert_null(eas_long_polls_attach(memory, SIZE));
    eas_long_polls_format(memory, SIZE);
    assert_null(eas_long_polls_attach(memory, SIZE - 8));
    return eas_long_polls_attach(memory, SIZE);
}

static bool begin(struct eas_long_polls *all, const char *user, const char *device, apr_time_t now,
                  struct eas_long_poll *poll)
{
    return eas_long_polls_begin(all, eas_long_polls_key(user, device), limits, now, poll);
}

static struct eas_long_poll held(struct eas_long_polls *all, const char *user, const char *device)
{
    struct eas_long_poll poll;

    assert_true(begin(all, user, device, 0, &poll));
    assert_int_not_equal(poll.serial, 0);
    return poll;
}

#define ASSERT_GOES_ON(poll) assert_true(eas_long_polls_keep(&(poll), 0))
#define ASSERT_ENDED(poll) assert_false(eas_long_polls_keep(&(poll), 0))

static void test_device(void **state)
{
    struct eas_long_polls *all = make(*state);
    struct eas_long_poll first = held(all, "alice", "phone"), second = held(all, "alice", "PHONE");
    struct eas_long_poll tablet = held(all, "alice", "tablet"), bob = held(all, "bob", "phone");
    struct eas_long_poll third, fourth;

    ASSERT_GOES_ON(first);
    third = held(all, "alice", "Phone");
    ASSERT_ENDED(first);
    ASSERT_GOES_ON(second);
    /* The place of an ended poll is not one of those that count. */
    eas_long_polls_end(&first);
    ASSERT_GOES_ON(second);
    eas_long_polls_end(&third);
    fourth = held(all, "alice", "phone");
    ASSERT_GOES_ON(second);
    ASSERT_GOES_ON(fourth);
    ASSERT_GOES_ON(tablet);
    ASSERT_GOES_ON(bob);
}

static void test_user(void **state)
{
    struct eas_long_polls *all = make(*state);
    struct eas_long_poll polls[USER_LIMIT], bob = held(all, "bob", ""), more;
    char device[] = "0";
    int i;

    for (i = 0; i < USER_LIMIT; i++) {
        device[0] = (char)('a' + i);
        polls[i] = held(all, "alice", device);
    }
    more = held(all, "alice", "one more");
    ASSERT_ENDED(polls[0]);
    for (i = 1; i < USER_LIMIT; i++) {
        ASSERT_GOES_ON(polls[i]);
    }
    ASSERT_GOES_ON(more);
    ASSERT_GOES_ON(bob);
}

/* As many as may be ended at once; and again, as they leave. */
static void test_refusal(void **state)
{
    struct eas_long_polls *all = make(*state);
    struct eas_long_poll polls[2 * USER_LIMIT], bob = held(all, "bob", "phone"), more;
    char device[16];
    int i;

    for (i = 0; i < 2 * USER_LIMIT; i++) {
        snprintf(device, sizeof(device), "made-up-%d", i);
        polls[i] = held(all, "alice", device);
    }
    assert_false(begin(all, "alice", "phone", 0, &more));
    assert_true(begin(all, "bob", "phone", 0, &more));
    for (i = 0; i < 2 * USER_LIMIT; i++) {
        assert_int_equal(eas_long_polls_keep(&polls[i], 0), i >= USER_LIMIT);
    }
    eas_long_polls_end(&polls[0]);
    assert_true(begin(all, "alice", "phone", 0, &more));
    assert_false(begin(all, "alice", "phone", 0, &more));
    ASSERT_GOES_ON(bob);
}

/* Of a process that died. */
static void test_lease(void **state)
{
    struct eas_long_polls *all = make(*state);
    struct eas_long_poll dead = held(all, "alice", "phone"), alive = held(all, "alice", "phone");
    struct eas_long_poll next;

    assert_true(eas_long_polls_keep(&alive, EAS_LONG_POLLS_LEASE));
    assert_true(begin(all, "alice", "phone", EAS_LONG_POLLS_LEASE + 1, &next));
    assert_int_equal(next.place, dead.place);
    assert_true(eas_long_polls_keep(&alive, EAS_LONG_POLLS_LEASE + 1));
    /* If it lives nevertheless, it has no place, and takes none from another. */
    assert_true(eas_long_polls_keep(&dead, EAS_LONG_POLLS_LEASE + 1));
    eas_long_polls_end(&dead);
    assert_true(begin(all, "alice", "phone", EAS_LONG_POLLS_LEASE + 2, &next));
    assert_false(eas_long_polls_keep(&alive, EAS_LONG_POLLS_LEASE + 2));
}

/* Nothing is refused for the sake of others. */
static void test_full_table(void **state)
{
    struct eas_long_polls *all = make(*state);
    struct eas_long_poll polls[MANY];
    char user[16];
    int i, placed = 0;

    for (i = 0; i < MANY; i++) {
        snprintf(user, sizeof(user), "user%d", i);
        assert_true(begin(all, user, "phone", 0, &polls[i]));
        ASSERT_GOES_ON(polls[i]);
        placed += polls[i].serial != 0;
    }
    assert_true(placed > SIZE / 64);
    assert_true(placed < MANY);
    for (i = 0; i < MANY; i++) {
        eas_long_polls_end(&polls[i]);
    }
    polls[0] = held(all, "alice", "phone");
    assert_int_equal(polls[0].place, 0);
}

static void test_limits(void **state)
{
    static const struct {
        unsigned n, workers, device, user;
    } rows[] = {
        { 4, 400, 4, 16 }, { 1, 400, 1, 4 }, { 4, 64, 4, 16 },        { 4, 40, 4, 10 },
        { 4, 8, 2, 2 },    { 4, 1, 1, 1 },   { 1000, 400, 100, 100 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_long_polls_limits found = eas_long_polls_limits(rows[i].n, rows[i].workers);

        assert_int_equal(found.device, rows[i].device);
        assert_int_equal(found.user, rows[i].user);
    }
}

/* --- threads --- */

#define ROUNDS 20000

struct worker {
    struct eas_long_polls *all;
    int ended, refused;
};

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    struct worker *worker = data;
    struct eas_long_poll poll;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        if (!begin(worker->all, "alice", "phone", 0, &poll)) {
            worker->refused++;
            continue;
        }
        worker->ended += !eas_long_polls_keep(&poll, 0);
        eas_long_polls_end(&poll);
    }
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

/* Eight have eight places at most, so that none is refused; and at the end all are free. */
static void test_threads(void **state)
{
    struct worker workers[UNIT_THREADS] = { { NULL, 0, 0 } };
    struct eas_long_polls *all = make(*state);
    struct eas_long_poll poll;
    size_t i;

    for (i = 0; i < UNIT_THREADS; i++) {
        workers[i].all = all;
    }
    unit_run_threads(*state, work, workers, sizeof(workers[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(workers[i].refused, 0);
    }
    poll = held(all, "bob", "phone");
    assert_int_equal(poll.place, 0);
    assert_int_equal(poll.serial, UNIT_THREADS * ROUNDS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_device),  POOL_TEST(test_user),       POOL_TEST(test_refusal),
        POOL_TEST(test_lease),   POOL_TEST(test_full_table), POOL_TEST(test_limits),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
