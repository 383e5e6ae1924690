/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_silence.c - the pool while KDCs are silent: who waits, who is told, and who tries */

#include "t/unit/kdc_gate.h"

/* Who may wait no longer makes no job, takes no trial, and says nothing of the KDC. */
static void test_asker_without_patience(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 10);

    assert_int_equal(ask_for(pool, "late", ANSWERS, 0), 1257);
    assert_int_equal(ask_for(pool, "later", ANSWERS, -1), 1257);
    assert_int_equal(eas_kdc_pool_load(pool).threads, 0);
    assert_int_equal(eas_kdc_pool_load(pool).queued, 0);
    assert_int_equal(ask_for(pool, "latest", ANSWERS, 0), 1257);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    open_circuit(pool);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "late", ANSWERS, 0), 1257);
    assert_int_equal(ask_for(pool, "trial", ANSWERS, LONG_TIME), 0);
}

static void test_breaker_opens_and_closes(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 10);

    open_circuit(pool);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 1254);
    assert_int_equal(ask_for(pool, OTHER "a", ANSWERS, LONG_TIME), 0);
    hint(pool, "a", ANSWERS);
    assert_int_equal(gate.begun, 4);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "a", IS_NOT_THERE, LONG_TIME), 4711);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 1254);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "b", IS_NOT_THERE, LONG_TIME), 4711);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
}

static void test_trial_that_asks_nobody_proves_nothing(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 10);

    open_circuit(pool);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "a", IS_NOT_ASKED, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "a", IS_NOT_THERE, LONG_TIME), 4711); /* is the trial instead */
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 1254);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "a", IS_NOT_ASKED, LONG_TIME), 0);
    assert_int_equal(ask_for(pool, "a", ANSWERS, LONG_TIME), 0);
}

/* What has been given up hangs for longer than its timeout, by the clock of whoever comes next. */
static void assert_circuit_is_open(struct eas_kdc_pool *pool)
{
    put_forward(apr_time_from_sec(1));
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 1254);
}

static void fall_silent(void **state, struct eas_kdc_pool *pool, enum behaviour how)
{
    struct asker askers[3];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, apr_itoa(*state, (int)i), how, SHORT_TIME);
    }
    assert_all(askers, COUNT_OF(askers), 1250);
    assert_circuit_is_open(pool);
}

static void test_silence_opens_the_breaker_and_trials_find_a_thread(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 3, 10, 10);
    int i;

    fall_silent(state, pool, IS_SILENT);
    for (i = 10; i < 12; i++) {
        put_forward(apr_time_from_sec(5));
        assert_int_equal(ask_for(pool, apr_itoa(*state, i), IS_SILENT, SHORT_TIME), 1250);
        assert_circuit_is_open(pool);
    }
    assert_int_equal(eas_kdc_pool_load(pool).trials, 2);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "trial", ANSWERS, LONG_TIME), 0);
    assert_uint_in_range(eas_kdc_pool_load(pool).threads, 3 + 3, 3 + 3 + 3);
}

/* The same, where already the search for a KDC is what hangs. */
static void test_search_without_end_opens_the_breaker(void **state)
{
    fall_silent(state, make_pool(state, 3, 10, 10), IS_NOT_FOUND);
}

/* What hangs from before does not stand in the way of those who come when the KDC is back. */
static void test_hanging_jobs_are_replaced(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 3, 10, 10);
    struct asker askers[3];
    size_t i;

    fall_silent(state, pool, IS_SILENT);
    put_forward(apr_time_from_sec(5));
    assert_int_equal(ask_for(pool, "trial", ANSWERS, LONG_TIME), 0);
    for (i = 0; i < COUNT_OF(askers); i++) { /* the same users again */
        start(&askers[i], pool, apr_itoa(*state, (int)i), ANSWERS, LONG_TIME);
    }
    assert_all(askers, COUNT_OF(askers), 0);
    assert_int_equal(eas_kdc_pool_load(pool).lost, 3);
    open_gate(true);
    await_idle(pool);
    assert_int_equal(eas_kdc_pool_load(pool).lost, 0);
}

/* Nobody waits for hints, nor for what has only been refused: whoever comes next looks after them. */
static void test_failures_that_nobody_waited_for(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 3, 10, 10);
    int i;

    for (i = 0; i < 3; i++) {
        hint(pool, apr_itoa(*state, i), IS_SILENT);
    }
    await_begun(3);
    put_forward(LONG_TIME);
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 1254);
}

static void test_share_that_hints_have_lost(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 10);

    hint(pool, "1", IS_SILENT);
    hint(pool, "2", IS_SILENT);
    await_begun(2);
    put_forward(LONG_TIME);
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 0);
}

/* He would not be there any more if he looked once a second. */
static void test_who_is_queued_behind_what_hangs_gets_its_place(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 10);

    hint(pool, "1", IS_SILENT);
    hint(pool, "2", IS_SILENT);
    await_begun(2);
    put_forward(LONG_TIME - apr_time_from_msec(400));
    assert_int_equal(ask_for(pool, "queued", ANSWERS, apr_time_from_msec(950)), 0);
}

/* Threads are bounded: of what hangs only so much is replaced, and the rest when some is back. */
static void test_what_hangs_is_replaced_later(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 10);
    apr_time_t began = apr_time_now();
    struct asker asker;
    int i;

    for (i = 1; i <= 4; i++) {
        hint(pool, apr_itoa(*state, i), i <= 2 ? IS_ELSEWHERE : IS_FAR_AWAY);
        if (i % 2 == 0) {
            await_begun(i);
            put_forward(LONG_TIME);
        }
    }
    start(&asker, pool, "next", ANSWERS, LONG_TIME);
    await_waiting(pool, 1);
    assert_int_equal(eas_kdc_pool_load(pool).lost, 2);
    assert_int_equal(eas_kdc_pool_load(pool).running, 2);
    open_gate(true);
    assert_int_equal(tag_of(&asker), 0);
    assert_true(apr_time_now() - began < LONG_TIME / 2);
}

/* It hangs where another realm's KDC sent it, and must not cost that one its threads. */
static void test_silence_behind_a_referral(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 10);
    struct asker askers[2];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, apr_itoa(*state, (int)i), IS_REFERRED, SHORT_TIME);
    }
    assert_all(askers, COUNT_OF(askers), 1250);
    put_forward(apr_time_from_sec(1));
    assert_int_equal(ask_for(pool, "3", IS_REFERRED, SHORT_TIME), 1250);
    put_forward(apr_time_from_sec(1));
    assert_int_equal(ask_for(pool, "4", IS_REFERRED, LONG_TIME), 4711); /* that one's circuit */
    assert_int_equal(ask_for(pool, "own", ANSWERS, LONG_TIME), 0);
}

/* Jobs that were let in before the circuit opened do not hang in their turn. */
static void test_what_is_queued_is_not_sent_where_nobody_answers(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 3, 10, 10);
    int i;

    for (i = 0; i < 5; i++) {
        hint(pool, apr_itoa(*state, i), IS_SILENT);
    }
    await_begun(3);
    assert_int_equal(eas_kdc_pool_load(pool).queued, 2);
    put_forward(LONG_TIME);
    assert_int_equal(ask_for(pool, "next", ANSWERS, LONG_TIME), 1254);
    AWAIT(eas_kdc_pool_load(pool).queued + eas_kdc_pool_load(pool).running == 0);
    assert_int_equal(gate.begun, 3);
}

static void test_silent_realm_leaves_threads_to_others(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 10);
    struct eas_kdc_pool_load load;
    int i;

    for (i = 0; i < 4; i++) {
        hint(pool, apr_itoa(*state, i), IS_SILENT);
    }
    await_begun(2);
    assert_int_equal(ask_for(pool, OTHER "a", ANSWERS, LONG_TIME), 0);
    load = eas_kdc_pool_load(pool);
    assert_int_equal(load.running, 2);
    assert_int_equal(load.queued, 2);
    assert_int_equal(gate.begun, 3);
}

static void test_silence_of_one_realm_refuses_nobody_of_another(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 1);
    struct asker askers[3], others[3];
    int refused;
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, "a", IS_SILENT, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    await_waiting(pool, 1);
    for (i = 0; i < COUNT_OF(others); i++) {
        start(&others[i], pool, OTHER "a", WAITS, LONG_TIME);
    }
    AWAIT(eas_kdc_pool_load(pool).waiting >= COUNT_OF(others)); /* some of the first may go */
    open_gate(true);
    assert_all(others, COUNT_OF(others), 0);
    refused = count_refused(askers, COUNT_OF(askers), 4711);
    assert_true(refused >= 2); /* the third, if he looks when the others are there */
}

/* One message may be lost: those who come later are not yet in its trouble. */
static void meet_crowd_after_lost_message(void **state, enum behaviour crowds)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 20, 1);
    struct asker hangs, askers[6];
    size_t i;

    start(&hangs, pool, "hangs", IS_SILENT, LONG_TIME);
    await_begun(1);
    put_forward(apr_time_from_sec(3));
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, apr_itoa(*state, (int)i), crowds, LONG_TIME);
    }
    await_waiting(pool, 1 + COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
    assert_int_equal(tag_of(&hangs), 4711);
}

static void test_lost_message_refuses_no_crowd_that_comes_later(void **state)
{
    meet_crowd_after_lost_message(state, WAITS);
}

static void test_lost_message_refuses_no_crowd_that_waits_elsewhere(void **state)
{
    meet_crowd_after_lost_message(state, IS_ELSEWHERE);
}

/* Others' crowd holds the threads, and a message of one's own realm was lost long ago. */
static void test_lost_message_refuses_nobody_who_waits_for_others(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 1);
    struct asker crowd[4], newcomer;
    size_t i;

    hint(pool, "hangs", IS_SILENT);
    await_begun(1);
    put_forward(apr_time_from_sec(3));
    for (i = 0; i < COUNT_OF(crowd); i++) {
        start(&crowd[i], pool, apr_pstrcat(*state, OTHER, apr_itoa(*state, (int)i), NULL), WAITS,
              LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(crowd));
    await_begun(3);
    start(&newcomer, pool, "newcomer", ANSWERS, LONG_TIME);
    await_waiting(pool, COUNT_OF(crowd) + 1);
    open_gate(true);
    assert_int_equal(tag_of(&newcomer), 0);
    assert_all(crowd, COUNT_OF(crowd), 0);
}

/* The realm's threads are all held: who waits for them is in the same trouble. */
static void test_who_is_queued_where_nobody_answers(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 1);
    apr_time_t began = apr_time_now();
    struct asker askers[3];
    int refused;
    size_t i;

    hint(pool, "1", IS_SILENT);
    hint(pool, "2", IS_SILENT);
    await_begun(2);
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, "queued", ANSWERS, LONG_TIME);
    }
    AWAIT(eas_kdc_pool_load(pool).waiting >= COUNT_OF(askers));
    while (eas_kdc_pool_load(pool).waiting
           > 1) { /* another realm may count as the one who may wait */
        ask_for(pool, OTHER "a", ANSWERS, LONG_TIME);
        assert_true(apr_time_now() - began < LONG_TIME / 2);
    }
    open_gate(true);
    refused = count_refused(askers, COUNT_OF(askers), 0);
    assert_true(refused >= 2);
}

/* All threads are held, by others, who do not even speak with a KDC. */
static void test_few_wait_where_no_thread_comes_free(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 1, 10, 1);
    struct asker askers[3];
    int refused;
    size_t i;

    hint(pool, "holds", IS_ELSEWHERE);
    await_begun(1);
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, OTHER "a", ANSWERS, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    await_waiting(pool, 1);
    open_gate(true);
    refused = count_refused(askers, COUNT_OF(askers), 0);
    assert_int_equal(refused, 2);
}

static void test_few_wait_for_a_KDC_that_is_silent(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 2);
    apr_time_t began = apr_time_now();
    struct asker askers[6];
    int refused;
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        /* Two flights of two, and two that stay in the queue. */
        start(&askers[i], pool, i < 4 ? (i < 2 ? "a" : "b") : apr_itoa(*state, (int)i), WAITS,
              LONG_TIME);
    }
    await_waiting(pool, 6);
    await_waiting(pool, 2);
    assert_true(apr_time_now() - began < apr_time_from_sec(2));
    assert_int_equal(ask_for(pool, "c", ANSWERS, LONG_TIME), 1252);
    open_gate(true);
    refused = count_refused(askers, COUNT_OF(askers), 0);
    assert_int_equal(refused, 4);
}

/* The second counts from the silence on, not from when somebody comes. */
static void test_who_comes_into_a_silence_is_told_soon(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    struct asker first;
    apr_time_t began;

    start(&first, pool, "a", IS_SILENT, LONG_TIME);
    await_begun(1);
    put_forward(apr_time_from_msec(900));
    began = apr_time_now();
    assert_int_equal(ask_for(pool, "a", IS_SILENT, LONG_TIME), 1252);
    assert_true(apr_time_now() - began < apr_time_from_msec(900));
    open_gate(true);
    assert_int_equal(tag_of(&first), 4711);
}

/* What is found elsewhere says nothing of the KDC. */
static void test_silence_is_seen_though_other_jobs_end(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    apr_time_t began = apr_time_now();
    struct asker askers[3];
    int refused;
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, "a", IS_SILENT, LONG_TIME);
    }
    await_waiting(pool, 3);
    while (eas_kdc_pool_load(pool).waiting > 1) { /* "b" may count as the one who may wait */
        ask_for(pool, "b", IS_NOT_ASKED, LONG_TIME);
        assert_true(apr_time_now() - began < LONG_TIME / 2);
    }
    open_gate(true);
    refused = count_refused(askers, COUNT_OF(askers), 4711);
    assert_true(refused >= 2);
}

/* Of a KDC that nobody asks, nothing is to be expected. */
static void test_who_waits_for_another_is_not_counted(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    apr_time_t began = apr_time_now();
    struct asker askers[4];
    size_t i;

    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, i % 2 ? "a" : "b", IS_ELSEWHERE, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    while (apr_time_now() - began < apr_time_from_msec(1300)) {
        assert_int_equal(eas_kdc_pool_load(pool).waiting, COUNT_OF(askers));
        apr_thread_yield();
    }
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
}

/* A message that was given up long ago says nothing of those that come now. */
static void test_old_silence_is_not_held_against_new_askers(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    struct asker askers[3];
    size_t i;

    assert_int_equal(ask_for(pool, "hangs", IS_SILENT, SHORT_TIME), 1250);
    put_forward(apr_time_from_sec(3));
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, "a", WAITS, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
}

/* Nor against a crowd, though others were there all the time, who asked no KDC. */
static void test_given_up_silence_is_not_held_against_a_crowd(void **state)
{
    struct eas_kdc_pool *pool = make_pool(state, 2, 10, 1);
    struct asker askers[6];
    size_t i;

    assert_int_equal(ask_for(pool, "hangs", IS_SILENT, SHORT_TIME), 1250);
    put_forward(SHORT_TIME);
    trickle(pool);
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, apr_itoa(*state, (int)i), WAITS, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
}

/* Where nobody speaks with a KDC, none is silent. */
static void test_crowd_that_asks_no_KDC(void **state)
{
    struct eas_kdc_pool *pool = make_shared_pool(state, 1);
    struct asker askers[3];
    size_t i;

    trickle(pool);
    hint(pool, "1", IS_ELSEWHERE);
    hint(pool, "2", IS_ELSEWHERE);
    await_begun(2);
    for (i = 0; i < COUNT_OF(askers); i++) {
        start(&askers[i], pool, apr_itoa(*state, (int)i), IS_NOT_ASKED, LONG_TIME);
    }
    await_waiting(pool, COUNT_OF(askers));
    open_gate(true);
    assert_all(askers, COUNT_OF(askers), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_asker_without_patience),
        GATE_TEST(test_breaker_opens_and_closes),
        GATE_TEST(test_trial_that_asks_nobody_proves_nothing),
        GATE_TEST(test_silence_opens_the_breaker_and_trials_find_a_thread),
        GATE_TEST(test_hanging_jobs_are_replaced),
        GATE_TEST(test_failures_that_nobody_waited_for),
        GATE_TEST(test_share_that_hints_have_lost),
        GATE_TEST(test_who_is_queued_behind_what_hangs_gets_its_place),
        GATE_TEST(test_what_hangs_is_replaced_later),
        GATE_TEST(test_silence_behind_a_referral),
        GATE_TEST(test_search_without_end_opens_the_breaker),
        GATE_TEST(test_what_is_queued_is_not_sent_where_nobody_answers),
        GATE_TEST(test_silent_realm_leaves_threads_to_others),
        GATE_TEST(test_silence_of_one_realm_refuses_nobody_of_another),
        GATE_TEST(test_lost_message_refuses_no_crowd_that_comes_later),
        GATE_TEST(test_lost_message_refuses_no_crowd_that_waits_elsewhere),
        GATE_TEST(test_lost_message_refuses_nobody_who_waits_for_others),
        GATE_TEST(test_who_is_queued_where_nobody_answers),
        GATE_TEST(test_few_wait_where_no_thread_comes_free),
        GATE_TEST(test_few_wait_for_a_KDC_that_is_silent),
        GATE_TEST(test_who_comes_into_a_silence_is_told_soon),
        GATE_TEST(test_silence_is_seen_though_other_jobs_end),
        GATE_TEST(test_who_waits_for_another_is_not_counted),
        GATE_TEST(test_old_silence_is_not_held_against_new_askers),
        GATE_TEST(test_given_up_silence_is_not_held_against_a_crowd),
        GATE_TEST(test_crowd_that_asks_no_KDC),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
