/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_workers.c - worker pool while peers answer: single flight, threads, queue, end */

#include "t/unit/fake_peer.h"

#include <apr_lib.h>

static void test_caller_gets_the_result(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);

    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(run_task(workers, "b", IS_DOWN, LONG_TIME), 4711);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(gate.begun, 3); /* results are not cached */
}

static void test_same_key_is_one_job(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 4, .queued = 10, .stalled = 100);
    struct caller callers[20];
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, i % 2 ? "one" : "two", ANSWERS_AT_GATE, LONG_TIME);
    }
    await_waiting(workers, COUNT_OF(callers));
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
    assert_int_equal(gate.begun, 2);
}

static void test_threads_are_bounded(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 3, .queued = 100, .stalled = 10);
    struct eas_workers_load load;
    int i;

    for (i = 0; i < 50; i++) {
        run_in_background(workers, apr_itoa(*state, i), ANSWERS_AT_GATE);
    }
    await_begun(3);
    load = eas_workers_load(workers);
    assert_int_equal(load.threads, 3);
    assert_int_equal(load.running, 3);
    assert_int_equal(load.queued, 47);
    open_gate(true);
    await_begun(50);
    assert_int_equal(gate.most_at_once, 3);
}

static void test_full_queue_refuses_at_once(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 2, .stalled = 10);

    run_in_background(workers, "running", ANSWERS_AT_GATE);
    await_begun(1);
    run_in_background(workers, "queued 1", ANSWERS_AT_GATE);
    run_in_background(workers, "queued 2", ANSWERS_AT_GATE);
    assert_int_equal(run_task(workers, "too much", ANSWERS_AT_GATE, LONG_TIME), 1251);
    run_in_background(workers, "too much as well", ANSWERS_AT_GATE);
    assert_int_equal(eas_workers_load(workers).queued, 2);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(gate.begun, 3);
}

static void test_continued_jobs_go_first(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 100);
    const char *names[] = { "1", "2", "b", "3", "c", "4" };
    struct caller callers[COUNT_OF(names)];
    size_t i;

    run_in_background(workers, "0", ANSWERS_AT_GATE);
    await_begun(1);
    run_in_background(workers, "h", ANSWERS);
    run_in_background(workers, "c", ANSWERS); /* until a continued caller joins it */
    for (i = 0; i < COUNT_OF(callers); i++) {
        bool continued = apr_isalpha(names[i][0]);

        callers[i] = (struct caller){ .workers = workers,
                                      .name = names[i],
                                      .behaviour = ANSWERS,
                                      .max_wait = LONG_TIME,
                                      .tag = -1 };
        start_as(&callers[i], continued ? call_continued : call);
        await_waiting(workers, (unsigned)i + 1);
    }
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
    await_idle(workers);
    assert_string_equal(gate.order, "0bch1234");
}

static void test_job_outlives_its_caller(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 10);

    assert_int_equal(run_task(workers, "continued", ANSWERS_AT_GATE, SHORT_TIME), 1250);
    assert_int_equal(eas_workers_load(workers).running, 1);
    assert_int_equal(eas_workers_load(workers).waiting, 0);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(run_task(workers, "next", ANSWERS, LONG_TIME), 0);
}

static void test_queued_job_without_waiters_is_removed(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 10);

    run_in_background(workers, "running", ANSWERS_AT_GATE);
    await_begun(1);
    assert_int_equal(run_task(workers, "queued", ANSWERS, SHORT_TIME), 1253);
    run_in_background(workers, "background", ANSWERS);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(gate.begun, 2); /* "running" and "background" */
}

static void test_background_job_joins_a_queued_one(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 10);
    struct caller caller;

    run_in_background(workers, "running", ANSWERS_AT_GATE);
    await_begun(1);
    start(&caller, workers, "wanted", ANSWERS, SHORT_TIME);
    await_waiting(workers, 1);
    run_in_background(workers, "wanted", ANSWERS);
    assert_int_equal(tag_of(&caller), 1253);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(gate.begun, 2);
}

/* Others join the new job even after the old one has ended. */
static void test_new_job_after_a_silent_one(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);
    struct caller callers[2];

    assert_int_equal(run_task(workers, "a", IS_SILENT, SHORT_TIME), 1250);
    start(&callers[0], workers, "a", ANSWERS_AT_SECOND, LONG_TIME);
    await_begun(2);
    open_gate(true);
    AWAIT(eas_workers_load(workers).running == 1);
    start(&callers[1], workers, "a", ANSWERS, LONG_TIME);
    await_waiting(workers, 2);
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
    assert_int_equal(gate.begun, 2);
}

static apr_status_t note_cleanup(void *data)
{
    *(bool *)data = true;
    return APR_SUCCESS;
}

static apr_pool_t *watched_memory(struct eas_workers *workers, bool *cleaned)
{
    apr_pool_t *memory = eas_workers_pool(workers);

    *cleaned = false;
    apr_pool_cleanup_register(memory, cleaned, note_cleanup, apr_pool_cleanup_null);
    return memory;
}

static void test_end_of_an_idle_pool(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);
    bool cleaned;

    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    watched_memory(workers, &cleaned);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_true(cleaned);
}

/* A caller that does not wait yet still uses the pool. */
static void test_end_while_a_caller_enters(void **state)
{
    struct eas_workers *workers;
    struct caller caller;
    apr_pool_t *memory;
    bool cleaned;

    begin_lasting_memory();
    workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);
    end_lasting_memory();
    memory = watched_memory(workers, &cleaned);
    start(&caller, workers, COPIED_SLOWLY, ANSWERS, LONG_TIME);
    await_begun(1);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_false(cleaned);
    open_gate(true);
    assert_int_equal(tag_of(&caller), 1255);
    apr_pool_destroy(memory);
}

static void test_end_drops_queued_jobs(void **state)
{
    struct eas_workers *workers;
    struct caller caller;

    begin_lasting_memory();
    workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 10);
    run_in_background(workers, "running", ANSWERS_AT_GATE);
    end_lasting_memory();
    await_begun(1);
    start(&caller, workers, "queued", ANSWERS, LONG_TIME);
    await_waiting(workers, 1);
    apr_pool_destroy(*state); /* while one job runs */
    *state = NULL;
    assert_int_equal(tag_of(&caller), 1255);
    assert_int_equal(gate.begun, 1);
}

/* No caller would leave it in time, so it does not keep others from the probe. */
static void test_background_job_is_no_unbounded_probe(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 4, .queued = 10, .stalled = 10);
    int i;

    open_gate(true);
    for (i = 0; i < 3; i++) {
        assert_int_equal(run_task(workers, apr_itoa(*state, i), REFERS_UNBOUNDED, LONG_TIME), 4711);
    }
    assert_int_equal(gate.begun, 3 * 2);
    advance_clock(apr_time_from_sec(5));
    run_in_background(workers, "background", REFERS_UNBOUNDED);
    await_idle(workers);
    assert_int_equal(gate.begun, 3 * 2 + 1);
    assert_int_equal(run_task(workers, "probe", REFERS_UNBOUNDED, LONG_TIME), 4711);
    assert_int_equal(gate.begun, 3 * 2 + 1 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_caller_gets_the_result),
        GATE_TEST(test_same_key_is_one_job),
        GATE_TEST(test_threads_are_bounded),
        GATE_TEST(test_full_queue_refuses_at_once),
        GATE_TEST(test_continued_jobs_go_first),
        GATE_TEST(test_job_outlives_its_caller),
        GATE_TEST(test_queued_job_without_waiters_is_removed),
        GATE_TEST(test_background_job_joins_a_queued_one),
        GATE_TEST(test_new_job_after_a_silent_one),
        GATE_TEST(test_end_of_an_idle_pool),
        GATE_TEST(test_end_while_a_caller_enters),
        GATE_TEST(test_end_drops_queued_jobs),
        GATE_TEST(test_background_job_is_no_unbounded_probe),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
