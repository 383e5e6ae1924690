/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_workers.c - the pool while KDCs answer: flights, threads, queue, and its end */

#include "t/unit/kdc_gate.h"

#include <apr_lib.h>

static void test_outcome_reaches_the_asker(void **state)
{
    struct eas_workers *pool = make_pool(state, 2, 10, 10);

    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "b", IS_NOT_THERE, LONG_TIME), 4711);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(gate.begun, 3); /* nothing is remembered here */
}

static void test_same_key_is_one_job(void **state)
{
    struct eas_workers *pool = make_pool(state, 4, 10, 100);
    struct asker askers[20];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, i % 2 ? "one" : "two", WAITS, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
    assert_int_equal(gate.begun, 2);
}

static void test_threads_are_bounded(void **state)
{
    struct eas_workers *pool = make_pool(state, 3, 100, 10);
    struct eas_workers_load load;
    int i;

    for (i = 0; i < 50; i++) {
        hint(pool, apr_itoa(*state, i), WAITS);
    }
    await_begun(3);
    load = eas_workers_load(pool);
    assert_int_equal(load.threads, 3);
    assert_int_equal(load.running, 3);
    assert_int_equal(load.queued, 47);
    open_gate(true);
    await_begun(50);
    assert_int_equal(gate.most_at_once, 3);
}

static void test_full_queue_is_said_at_once(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 2, 10);

    hint(pool, "running", WAITS);
    await_begun(1);
    hint(pool, "queued 1", WAITS);
    hint(pool, "queued 2", WAITS);
    assert_int_equal(ask_for(pool, "too much", WAITS, LONG_TIME), 1251);
    hint(pool, "too much as well", WAITS);
    assert_int_equal(eas_workers_load(pool).queued, 2);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(gate.begun, 3);
}

static void test_what_was_begun_goes_first(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 100);
    const char *names[] = { "1", "2", "b", "3", "c", "4" };
    struct asker askers[COUNT_OF(names)];
    size_t i;

    hint(pool, "0", WAITS);
    await_begun(1);
    hint(pool, "h", ANSWERS);
    hint(pool, "c", ANSWERS); /* until a late one wants it too */
    for (i = 0; i < COUNT_OF(askers); i++) {
        bool late = apr_isalpha(names[i][0]);

        askers[i] = (struct asker){ pool, names[i], ANSWERS, LONG_TIME, -1, 0 };
        start_as(&askers[i], late ? be_late_asker : be_asker);
        await_waiting(pool, (unsigned)i + 1);
    }
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
    await_idle(pool);
    assert_string_equal(gate.order, "0bch1234");
}

static void test_impatient_asker_leaves_the_job_behind(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 10);
    struct eas_workers_load load;

    assert_int_equal(ask_for(pool, "late", WAITS, SHORT_TIME), 1250);
    load = eas_workers_load(pool);
    assert_int_equal(load.running + load.abandoned, 1);
    assert_int_equal(load.waiting, 0);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 0);
}

static void test_nobody_waits_for_what_hangs(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 10);
    apr_time_t began = apr_time_now();

    assert_int_equal(ask_for(pool, "hangs", WAITS, SHORT_TIME), 1250);
    assert_int_equal(ask_late(pool, "hangs", WAITS, SHORT_TIME, LONG_TIME), 1250);
    assert_true(apr_time_now() - began < LONG_TIME / 2);
}

static void test_nobody_waits_for_what_hangs_though_he_came_early(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 10);
    apr_time_t began = apr_time_now();
    struct asker first, second;

    start(&first, pool, "hangs", WAITS, apr_time_from_msec(1200));
    await_begun(1);
    start(&second, pool, "hangs", WAITS, LONG_TIME);
    assert_int_equal(tag_of(&first), 1250);
    assert_int_equal(tag_of(&second), 1250);
    assert_true(apr_time_now() - began < LONG_TIME / 2);
}

static void test_job_that_nobody_wants_any_more(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 10);

    hint(pool, "running", WAITS);
    await_begun(1);
    assert_int_equal(ask_for(pool, "queued", ANSWERS, SHORT_TIME), 1253);
    hint(pool, "hint", ANSWERS);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(gate.begun, 2); /* "running" and "hint" */
}

static void test_hint_for_what_another_asks(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 10);
    struct asker asker;

    hint(pool, "running", WAITS);
    await_begun(1);
    start(&asker, pool, "wanted", ANSWERS, SHORT_TIME);
    await_waiting(pool, 1);
    hint(pool, "wanted", ANSWERS);
    assert_int_equal(tag_of(&asker), 1253);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(gate.begun, 2);
}

/* Who comes later has it done anew, and others share that, though the first one ends meanwhile. */
static void test_flight_after_one_that_hangs(void **state)
{
    struct eas_workers *pool = make_pool(state, 2, 10, 10);
    struct asker askers[2];

    hint(pool, "a", IS_SILENT);
    await_begun(1);
    put_forward(LONG_TIME);
    start(&askers[0], pool, "a", WAITS_LONGER, LONG_TIME);
    await_begun(2);
    assert_int_equal(eas_workers_load(pool).abandoned, 1);
    open_gate(true);
    AWAIT(eas_workers_load(pool).abandoned == 0);
    start(&askers[1], pool, "a", ANSWERS, LONG_TIME);
    await_waiting(pool, 2);
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
    assert_int_equal(gate.begun, 2);
}

static apr_status_t note_cleanup(void *data)
{
    *(bool *)data = true;
    return APR_SUCCESS;
}

static apr_pool_t *watched_memory(struct eas_workers *pool, bool *cleaned)
{
    apr_pool_t *memory = eas_workers_pool(pool);

    *cleaned = false;
    apr_pool_cleanup_register(memory, cleaned, note_cleanup, apr_pool_cleanup_null);
    return memory;
}

static void test_end_of_an_idle_pool(void **state)
{
    struct eas_workers *pool = make_pool(state, 2, 10, 10);
    bool cleaned;

    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    watched_memory(pool, &cleaned);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_true(cleaned);
}

/* Someone who has come in and is not waiting yet still uses it. */
static void test_end_while_an_asker_comes_in(void **state)
{
    struct eas_workers *pool = make_pool(state, 2, 10, 10);
    struct asker asker;
    apr_pool_t *memory;
    bool cleaned;

    memory = watched_memory(pool, &cleaned);
    start(&asker, pool, COPIED_SLOWLY, ANSWERS, LONG_TIME);
    await_begun(1);
    apr_pool_destroy(*state);
    *state = NULL;
    assert_false(cleaned);
    open_gate(true);
    assert_int_equal(tag_of(&asker), 1255);
    apr_pool_destroy(memory);
}

static void test_end_drops_what_waits(void **state)
{
    struct eas_workers *pool = make_pool(state, 1, 10, 10);
    struct asker asker;

    hint(pool, "running", WAITS);
    await_begun(1);
    start(&asker, pool, "queued", ANSWERS, LONG_TIME);
    await_waiting(pool, 1);
    apr_pool_destroy(*state); /* though one job hangs */
    *state = NULL;
    assert_int_equal(tag_of(&asker), 1255);
    assert_int_equal(gate.begun, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_outcome_reaches_the_asker),
        GATE_TEST(test_same_key_is_one_job),
        GATE_TEST(test_threads_are_bounded),
        GATE_TEST(test_full_queue_is_said_at_once),
        GATE_TEST(test_what_was_begun_goes_first),
        GATE_TEST(test_impatient_asker_leaves_the_job_behind),
        GATE_TEST(test_nobody_waits_for_what_hangs),
        GATE_TEST(test_nobody_waits_for_what_hangs_though_he_came_early),
        GATE_TEST(test_job_that_nobody_wants_any_more),
        GATE_TEST(test_hint_for_what_another_asks),
        GATE_TEST(test_flight_after_one_that_hangs),
        GATE_TEST(test_end_of_an_idle_pool),
        GATE_TEST(test_end_while_an_asker_comes_in),
        GATE_TEST(test_end_drops_what_waits),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
