/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_job_queue.c - priority queue of jobs, with a bulkhead for each peer */

#include "t/unit/unit.h"

#include "auth/workers/job_queue.h"

#include <string.h>

static struct eas_peer a, b;
static struct eas_job_queue queue;

static int set_up(void **state)
{
    (void)state;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    eas_job_queue_init(&queue, 2, 4);
    return 0;
}

static void put(struct eas_job_queue_entry *entry, enum eas_job_queue_rank rank,
                struct eas_peer *peer)
{
    entry->rank = rank;
    entry->peer = peer;
    eas_job_queue_put(&queue, entry);
}

static void test_by_rank_then_by_age(void **state)
{
    struct eas_job_queue_entry entries[5];

    (void)state;
    put(&entries[0], EAS_JOB_QUEUE_NEW, &a);
    put(&entries[1], EAS_JOB_QUEUE_CONTINUED, &a);
    put(&entries[2], EAS_JOB_QUEUE_NEW, &a);
    put(&entries[3], EAS_JOB_QUEUE_CONTINUED, &a);
    put(&entries[4], EAS_JOB_QUEUE_NEW, &a);
    eas_job_queue_raise(&queue, &entries[2]);
    eas_job_queue_raise(&queue, &entries[1]); /* is raised already */
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[1]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[3]);
    eas_job_queue_done(&queue, &entries[1]);
    eas_job_queue_done(&queue, &entries[3]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[2]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[0]);
    eas_job_queue_done(&queue, &entries[2]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[4]);
    assert_null(eas_job_queue_take(&queue));
}

static void test_peer_gets_its_share_and_no_more(void **state)
{
    struct eas_job_queue_entry entries[3], others[3];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(entries); i++) {
        put(&entries[i], EAS_JOB_QUEUE_CONTINUED, &a);
    }
    for (i = 0; i < COUNT_OF(others); i++) {
        put(&others[i], EAS_JOB_QUEUE_NEW, &b);
    }
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[0]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[1]);
    assert_false(eas_job_queue_has_room(&queue, &a));
    assert_true(eas_job_queue_has_room(&queue, &b));
    assert_ptr_equal(eas_job_queue_take(&queue), &others[0]);
    assert_ptr_equal(eas_job_queue_take(&queue), &others[1]);
    assert_false(eas_job_queue_has_room(&queue, &b));
    assert_null(eas_job_queue_take(&queue));
    assert_int_equal(queue.running, 4);
    eas_job_queue_done(&queue, &others[0]);
    assert_ptr_equal(eas_job_queue_take(&queue), &others[2]);
    eas_job_queue_done(&queue, &entries[0]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[2]);
    assert_int_equal(queue.queued, 0);
    assert_int_equal(a.running, 2);
}

static void test_queue_is_full_for_one_peer(void **state)
{
    struct eas_job_queue_entry entries[5];
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        assert_false(eas_job_queue_is_full(&queue, &a));
        put(&entries[i], EAS_JOB_QUEUE_NEW, &a);
    }
    assert_true(eas_job_queue_is_full(&queue, &a));
    assert_false(eas_job_queue_is_full(&queue, &b));
    put(&entries[4], EAS_JOB_QUEUE_NEW, &b);
    assert_int_equal(queue.queued, 5);
    eas_job_queue_remove(&queue, &entries[1]);
    assert_false(eas_job_queue_is_full(&queue, &a));
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[0]);
    assert_ptr_equal(eas_job_queue_take(&queue), &entries[2]);
    assert_int_equal(a.queued, 1);
    assert_int_equal(queue.queued, 2);
}

#define QUEUE_TEST(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_by_rank_then_by_age),
        QUEUE_TEST(test_peer_gets_its_share_and_no_more),
        QUEUE_TEST(test_queue_is_full_for_one_peer),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
