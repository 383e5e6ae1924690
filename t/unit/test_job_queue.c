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
    eas_job_queue_init(&queue, 3, 2, 4);
    return 0;
}

static void put(struct eas_job_queue_entry *entry, enum eas_job_queue_rank rank,
                struct eas_peer *peer)
{
    entry->rank = rank;
    entry->abandoned = false;
    entry->peer = peer;
    eas_job_queue_put(&queue, entry);
}

static void test_by_rank_then_by_age(void **state)
{
    struct eas_job_queue_entry entries[6];

    (void)state;
    put(&entries[0], EAS_JOB_QUEUE_NEW, &a);
    put(&entries[1], EAS_JOB_QUEUE_CONTINUED, &a);
    put(&entries[2], EAS_JOB_QUEUE_NEW, &a);
    put(&entries[3], EAS_JOB_QUEUE_PROBE, &a);
    put(&entries[4], EAS_JOB_QUEUE_CONTINUED, &a);
    eas_job_queue_raise(&queue, &entries[2]);
    eas_job_queue_raise(&queue, &entries[3]); /* no demotion */
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[3]);
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[1]);
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[4]);
    eas_job_queue_done(&queue, &entries[1]);
    eas_job_queue_done(&queue, &entries[4]);
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[2]);
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[0]);
    assert_null(eas_job_queue_take(&queue, 0));
}

static void test_peer_gets_no_more_than_its_share(void **state)
{
    struct eas_job_queue_entry entries[3], others[2];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(entries); i++) {
        put(&entries[i], EAS_JOB_QUEUE_CONTINUED, &a);
    }
    put(&others[0], EAS_JOB_QUEUE_NEW, &b);
    put(&others[1], EAS_JOB_QUEUE_NEW, &b);
    assert_ptr_equal(eas_job_queue_take(&queue, 1), &entries[0]);
    assert_ptr_equal(eas_job_queue_take(&queue, 2), &entries[1]);
    assert_false(eas_job_queue_has_room(&queue, &entries[2]));
    assert_true(eas_job_queue_has_room(&queue, &others[0]));
    assert_ptr_equal(eas_job_queue_take(&queue, 3), &others[0]);
    assert_false(eas_job_queue_has_room(&queue, &others[1])); /* three threads in all */
    assert_null(eas_job_queue_take(&queue, 4));
    assert_int_equal(queue.taken_at, 3);
    eas_job_queue_done(&queue, &others[0]);
    assert_ptr_equal(eas_job_queue_take(&queue, 5), &others[1]);
    eas_job_queue_done(&queue, &entries[0]);
    assert_ptr_equal(eas_job_queue_take(&queue, 6), &entries[2]);
    assert_int_equal(queue.running, 3);
    assert_int_equal(a.running, 2);
}

static void test_abandoned_jobs_are_replaced_once(void **state)
{
    struct eas_job_queue_entry entries[5], probe;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        put(&entries[i], EAS_JOB_QUEUE_NEW, &a);
    }
    assert_true(eas_job_queue_wants_thread(&queue, 2, 3));
    assert_false(eas_job_queue_wants_thread(&queue, 2, 4)); /* enough are idle */
    assert_false(eas_job_queue_wants_thread(&queue, 3, 0)); /* there are enough */
    for (i = 0; i < 2; i++) {
        assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[i]);
    }
    assert_null(eas_job_queue_take(&queue, 0));
    for (i = 0; i < 2; i++) {
        assert_true(eas_job_queue_abandon(&queue, &entries[i]));
        assert_false(eas_job_queue_abandon(&queue, &entries[i]));
    }
    assert_int_equal(queue.abandoned, 2);
    assert_int_equal(queue.running, 0);
    assert_true(eas_job_queue_wants_thread(&queue, 4, 0));
    assert_false(eas_job_queue_wants_thread(&queue, 5, 0));
    for (i = 2; i < 4; i++) {
        assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[i]);
    }
    assert_false(eas_job_queue_abandon(&queue, &entries[2])); /* a share is abandoned already */
    put(&entries[4], EAS_JOB_QUEUE_NEW, &a);
    assert_null(eas_job_queue_take(&queue, 0));
    eas_job_queue_done(&queue, &entries[0]);
    assert_int_equal(queue.abandoned, 1);
    assert_true(eas_job_queue_abandon(&queue, &entries[2]));
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[4]);
    put(&probe, EAS_JOB_QUEUE_PROBE, &a);
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &probe);
    eas_job_queue_done(&queue, &entries[1]);
    assert_false(eas_job_queue_abandon(&queue, &probe)); /* it used no share */
    assert_int_equal(queue.abandoned, 1);
    eas_job_queue_done(&queue, &probe);
    for (i = 2; i < 5; i++) {
        eas_job_queue_done(&queue, &entries[i]);
    }
    assert_int_equal(queue.running + queue.abandoned + queue.probes, 0);
    assert_int_equal(a.running + a.abandoned, 0);
    assert_true(APR_RING_EMPTY(&queue.taken, eas_job_queue_entry, link));
}

static void test_probes_use_no_share(void **state)
{
    struct eas_job_queue_entry entries[3], probes[2];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(probes); i++) {
        put(&probes[i], EAS_JOB_QUEUE_PROBE, &a);
        assert_true(eas_job_queue_wants_thread(&queue, 3 + (unsigned)i, 0));
        assert_false(eas_job_queue_wants_thread(&queue, 4 + (unsigned)i, 0));
        assert_ptr_equal(eas_job_queue_take(&queue, 0), &probes[i]);
    }
    assert_int_equal(queue.probes, 2);
    for (i = 0; i < COUNT_OF(entries); i++) {
        put(&entries[i], EAS_JOB_QUEUE_NEW, i < 2 ? &a : &b);
        assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[i]);
    }
    eas_job_queue_done(&queue, &probes[0]);
    assert_int_equal(queue.probes, 1);
    put(&probes[0], EAS_JOB_QUEUE_PROBE, &b);
    assert_int_equal(queue.probes, 2);
    eas_job_queue_remove(&queue, &probes[0]);
    assert_int_equal(queue.probes, 1);
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
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[0]);
    assert_ptr_equal(eas_job_queue_take(&queue, 0), &entries[2]);
    assert_int_equal(a.queued, 1);
    assert_int_equal(queue.queued, 2);
}

#define QUEUE_TEST(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_by_rank_then_by_age),
        QUEUE_TEST(test_peer_gets_no_more_than_its_share),
        QUEUE_TEST(test_abandoned_jobs_are_replaced_once),
        QUEUE_TEST(test_probes_use_no_share),
        QUEUE_TEST(test_queue_is_full_for_one_peer),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
