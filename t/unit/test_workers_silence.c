/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_workers_silence.c - worker pool while peers are silent */

#include "t/unit/fake_peer.h"

/* A caller without time starts no job and no probe, and counts neither way for the peer. */
static void test_caller_without_time(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 10);

    assert_int_equal(run_task(workers, "late", ANSWERS, 0), 1257);
    assert_int_equal(run_task(workers, "later", ANSWERS, -1), 1257);
    assert_int_equal(eas_workers_load(workers).threads, 0);
    assert_int_equal(eas_workers_load(workers).queued, 0);
    assert_int_equal(run_task(workers, "latest", ANSWERS, 0), 1257);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    open_circuit(workers);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "late", ANSWERS, 0), 1257);
    assert_int_equal(run_task(workers, "probe", ANSWERS, LONG_TIME), 0);
}

static void test_breaker_opens_and_closes(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);

    open_circuit(workers);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
    assert_int_equal(run_task(workers, OTHER "a", ANSWERS, LONG_TIME), 0);
    run_in_background(workers, "a", ANSWERS);
    assert_int_equal(gate.begun, 4);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", IS_DOWN, LONG_TIME), 4711);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(run_task(workers, "b", IS_DOWN, LONG_TIME), 4711);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
}

struct reports {
    int begun, ended;
    unsigned refused;
    apr_interval_time_t lasted;
};

static void note_report(void *data, const char *peer, bool begins, apr_interval_time_t lasted,
                        unsigned refused)
{
    struct reports *reports = data;

    assert_string_equal(peer, "REALM");
    reports->begun += begins;
    reports->ended += !begins;
    reports->refused = refused;
    reports->lasted = lasted;
}

static void test_outage_is_reported_at_its_beginning_and_end(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);
    struct reports reports = { 0 };
    int i;

    eas_workers_set_report(workers, note_report, &reports);
    open_circuit(workers);
    assert_int_equal(reports.begun, 1);
    for (i = 0; i < 4; i++) {
        assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
        run_in_background(workers, "not counted", ANSWERS);
    }
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", IS_DOWN, LONG_TIME), 4711);
    assert_int_equal(reports.begun, 1);
    assert_int_equal(reports.ended, 0);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(reports.ended, 1);
    assert_int_equal(reports.refused, 4);
    assert_in_range(reports.lasted, apr_time_from_sec(10), apr_time_from_sec(12));
    open_circuit(workers);
    assert_int_equal(reports.begun, 2);
}

static void test_probe_without_a_message_is_repeated(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);

    open_circuit(workers);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", IS_UNUSED, LONG_TIME), 0);
    assert_int_equal(run_task(workers, "a", IS_DOWN, LONG_TIME), 4711); /* is the probe instead */
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", IS_UNUSED, LONG_TIME), 0);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
}

static void assert_circuit_is_open(struct eas_workers *workers)
{
    advance_clock(apr_time_from_sec(1));
    assert_int_equal(run_task(workers, "next", ANSWERS, LONG_TIME), 1254);
}

static void open_circuit_by_silence(void **state, struct eas_workers *workers, enum behaviour how)
{
    struct caller callers[3];
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), how, SHORT_TIME);
    }
    assert_all(callers, COUNT_OF(callers), 1250);
    assert_circuit_is_open(workers);
}

/* Probes take threads of the peer's share as well; when it is used up, no caller waits. */
/* No deadline ends its message: the circuit must not stay open for that. */
static void test_impatient_caller_does_not_hold_the_probe(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 5, .queued = 10, .stalled = 10);

    open_circuit(workers);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "probe", IS_SILENT, apr_time_from_msec(300)), 1250);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
}

static void test_silence_opens_the_breaker(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 5, .queued = 10, .stalled = 10);
    int i;

    open_circuit_by_silence(state, workers, IS_SILENT);
    for (i = 10; i < 12; i++) {
        advance_clock(apr_time_from_sec(5));
        assert_int_equal(run_task(workers, apr_itoa(*state, i), IS_SILENT, SHORT_TIME), 1250);
        assert_circuit_is_open(workers);
    }
    advance_clock(apr_time_from_sec(5));
    assert_circuit_is_open(workers);
    assert_int_equal(eas_workers_load(workers).threads, 5);
    assert_int_equal(run_task(workers, OTHER "a", ANSWERS, LONG_TIME), 0);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(run_task(workers, "probe", ANSWERS, LONG_TIME), 0);
}

/* As for a cache server: one silence is enough, and its key is refused like others. */
static void test_first_silence_opens_the_breaker(void **state)
{
    struct eas_workers *workers = eas_workers_create(
        *state,
        (struct eas_workers_limits){ .share = 2, .queued = 10, .stalled = 10, .failures = 1 });
    int i;

    for (i = 0; i < 2; i++) {
        assert_int_equal(run_task(workers, "a", IS_SILENT, SHORT_TIME), 1250);
        assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
        assert_int_equal(run_task(workers, "b", ANSWERS, LONG_TIME), 1254);
        advance_clock(apr_time_from_sec(5));
    }
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 1254);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(run_task(workers, "a", ANSWERS, LONG_TIME), 0);
    assert_int_equal(run_task(workers, "b", ANSWERS, LONG_TIME), 0);
}

/* The same, with a name server that does not answer. */
static void test_silent_name_server_opens_the_breaker(void **state)
{
    open_circuit_by_silence(state, MAKE_WORKERS(state, .share = 3, .queued = 10, .stalled = 10),
                            HAS_NO_ADDRESS);
}

static void test_silence_after_a_referral(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 4, .queued = 10, .stalled = 10);
    struct caller callers[3];
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), REFERS, SHORT_TIME);
    }
    assert_all(callers, COUNT_OF(callers), 1250);
    assert_int_equal(run_task(workers, "4", REFERS, LONG_TIME), 4711); /* AWAY's circuit is open */
    assert_int_equal(run_task(workers, "own", ANSWERS, LONG_TIME), 0);
}

/* Without a bound, they hold a part of those threads for long; the others fail in time. */
static void test_unbounded_silence_after_a_referral(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 7, .queued = 10, .stalled = 10);
    struct caller callers[7];
    int refused = 0;
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), REFERS_UNBOUNDED, 2 * SHORT_TIME);
    }
    for (i = 0; i < COUNT_OF(callers); i++) {
        refused += tag_of(&callers[i]) == 4711;
    }
    assert_int_equal(refused, 3);
    assert_int_equal(eas_workers_load(workers).running, 4);
    assert_int_equal(run_task(workers, "8", REFERS_UNBOUNDED, LONG_TIME), 4711); /* open circuit */
    assert_int_equal(run_task(workers, "own", ANSWERS, LONG_TIME), 0);
    open_gate(true);
    await_idle(workers);
    advance_clock(apr_time_from_sec(5));
    assert_int_equal(run_task(workers, "9", REFERS_UNBOUNDED, LONG_TIME), 4711);
    assert_int_equal(gate.begun, 7 + 4 + 1 + 1 + 2);
}

/* Jobs queued before the circuit opened send no message. */
static void test_queued_jobs_send_nothing_to_an_open_circuit(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 3, .queued = 10, .stalled = 10);
    struct caller callers[3];
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), IS_SILENT, SHORT_TIME);
    }
    await_begun(3);
    run_in_background(workers, "queued 1", ANSWERS);
    run_in_background(workers, "queued 2", ANSWERS);
    assert_all(callers, COUNT_OF(callers), 1250);
    assert_int_equal(eas_workers_load(workers).queued, 2);
    open_gate(true);
    await_idle(workers);
    assert_int_equal(gate.begun, 3);
}

static void test_silent_peer_leaves_threads_to_others(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 10);
    struct eas_workers_load load;
    int i;

    for (i = 0; i < 4; i++) {
        run_in_background(workers, apr_itoa(*state, i), IS_SILENT);
    }
    await_begun(2);
    assert_int_equal(run_task(workers, OTHER "a", ANSWERS, LONG_TIME), 0);
    load = eas_workers_load(workers);
    assert_int_equal(load.running, 2);
    assert_int_equal(load.queued, 2);
    assert_int_equal(gate.begun, 3);
}

static void test_silence_refuses_no_caller_of_another_peer(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    struct caller callers[3], others[3];
    int refused;
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, "a", IS_SILENT, LONG_TIME);
    }
    await_waiting(workers, COUNT_OF(callers));
    await_waiting(workers, 1);
    for (i = 0; i < COUNT_OF(others); i++) {
        start(&others[i], workers, OTHER "a", ANSWERS_AT_GATE, LONG_TIME);
    }
    /* Some of the first callers may have been refused. */
    AWAIT(eas_workers_load(workers).waiting >= COUNT_OF(others));
    open_gate(true);
    assert_all(others, COUNT_OF(others), 0);
    refused = count_refused(callers, COUNT_OF(callers), 4711);
    assert_true(refused >= 2); /* three, if the third checks while the others wait */
}

/* One lost message refuses no callers that come later. */
static void call_after_lost_message(void **state, enum behaviour behaviour)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 20, .stalled = 1);
    struct caller silent, callers[6];
    size_t i;

    start(&silent, workers, "silent", IS_SILENT, LONG_TIME);
    await_begun(1);
    advance_clock(apr_time_from_sec(3));
    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), behaviour, LONG_TIME);
    }
    await_waiting(workers, 1 + COUNT_OF(callers));
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
    assert_int_equal(tag_of(&silent), 4711);
}

static void test_lost_message_refuses_no_later_callers(void **state)
{
    call_after_lost_message(state, ANSWERS_AT_GATE);
}

static void test_lost_message_refuses_no_jobs_without_messages(void **state)
{
    call_after_lost_message(state, IS_UNUSED_AT_GATE);
}

/* Callers queued behind the silent peer's jobs are refused like their waiters. */
static void test_callers_queued_behind_a_silent_peer(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    apr_time_t began = apr_time_now();
    struct caller callers[3];
    int refused;
    size_t i;

    run_in_background(workers, "1", IS_SILENT);
    run_in_background(workers, "2", IS_SILENT);
    await_begun(2);
    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, "queued", ANSWERS, LONG_TIME);
    }
    AWAIT(eas_workers_load(workers).waiting >= COUNT_OF(callers));
    /* The caller for the other peer may count as the one allowed waiter. */
    while (eas_workers_load(workers).waiting > 1) {
        run_task(workers, OTHER "a", ANSWERS, LONG_TIME);
        assert_true(apr_time_now() - began < LONG_TIME / 2);
    }
    open_gate(true);
    refused = count_refused(callers, COUNT_OF(callers), 0);
    assert_true(refused >= 2);
}

/* The jobs' own callers have left.  Two failures do not open the circuit. */
static void test_callers_queued_behind_jobs_that_were_left(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    apr_time_t began = apr_time_now();
    struct caller leaving[2], callers[2];

    start(&leaving[0], workers, "1", IS_SILENT, apr_time_from_msec(900));
    start(&leaving[1], workers, "2", IS_SILENT, apr_time_from_msec(900));
    await_begun(2);
    start(&callers[0], workers, "a", ANSWERS, LONG_TIME);
    start(&callers[1], workers, "b", ANSWERS, LONG_TIME);
    await_waiting(workers, 4);
    assert_int_equal(tag_of(&leaving[0]), 1250);
    assert_int_equal(tag_of(&leaving[1]), 1250);
    await_waiting(workers, 1);
    assert_true(apr_time_now() - began < LONG_TIME / 2);
    open_gate(true);
    assert_int_equal(count_refused(callers, COUNT_OF(callers), 0), 1);
}

static void test_few_wait_for_a_silent_peer(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 2);
    apr_time_t began = apr_time_now();
    struct caller callers[6];
    int refused;
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        /* Two jobs with two callers each, and two queued jobs. */
        start(&callers[i], workers, i < 4 ? (i < 2 ? "a" : "b") : apr_itoa(*state, (int)i),
              ANSWERS_AT_GATE, LONG_TIME);
    }
    await_waiting(workers, 6);
    await_waiting(workers, 2);
    assert_true(apr_time_now() - began < apr_time_from_sec(2));
    assert_int_equal(run_task(workers, "c", ANSWERS, LONG_TIME), 1252);
    open_gate(true);
    refused = count_refused(callers, COUNT_OF(callers), 0);
    assert_int_equal(refused, 4);
}

/* The second counts from the start of the silence, not from the caller's arrival. */
static void test_late_caller_is_refused_soon(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    struct caller first;
    apr_time_t began;

    start(&first, workers, "a", IS_SILENT, LONG_TIME);
    await_begun(1);
    advance_clock(apr_time_from_msec(900));
    began = apr_time_now();
    assert_int_equal(run_task(workers, "a", IS_SILENT, LONG_TIME), 1252);
    assert_true(apr_time_now() - began < apr_time_from_msec(900));
    open_gate(true);
    assert_int_equal(tag_of(&first), 4711);
}

/* Jobs without messages do not end a silence. */
static void test_silence_lasts_while_other_jobs_end(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    apr_time_t began = apr_time_now();
    struct caller callers[3];
    int refused;
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, "a", IS_SILENT, LONG_TIME);
    }
    await_waiting(workers, 3);
    while (eas_workers_load(workers).waiting > 1) { /* "b" may count as the one allowed waiter */
        run_task(workers, "b", IS_UNUSED, LONG_TIME);
        assert_true(apr_time_now() - began < LONG_TIME / 2);
    }
    open_gate(true);
    refused = count_refused(callers, COUNT_OF(callers), 4711);
    assert_true(refused >= 2);
}

/* A peer without an open call is not silent. */
static void test_jobs_without_messages_are_no_silence(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    apr_time_t began = apr_time_now();
    struct caller callers[4];
    size_t i;

    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, i % 2 ? "a" : "b", IS_UNUSED_AT_GATE, LONG_TIME);
    }
    await_waiting(workers, COUNT_OF(callers));
    while (apr_time_now() - began < apr_time_from_msec(1300)) {
        assert_int_equal(eas_workers_load(workers).waiting, COUNT_OF(callers));
        apr_thread_yield();
    }
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
}

/* A message whose caller left long ago refuses no new caller. */
static void test_old_silence_refuses_no_new_callers(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    struct caller callers[3];
    size_t i;

    assert_int_equal(run_task(workers, "silent", IS_SILENT, SHORT_TIME), 1250);
    advance_clock(apr_time_from_sec(3));
    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, "a", ANSWERS_AT_GATE, LONG_TIME);
    }
    await_waiting(workers, COUNT_OF(callers));
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
}

/* The same, after a time of jobs without messages. */
static void test_old_silence_refuses_no_callers_after_other_jobs(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    struct caller callers[6];
    size_t i;

    assert_int_equal(run_task(workers, "silent", IS_SILENT, SHORT_TIME), 1250);
    advance_clock(SHORT_TIME);
    run_without_messages(workers);
    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), ANSWERS_AT_GATE, LONG_TIME);
    }
    await_waiting(workers, COUNT_OF(callers));
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
}

/* Without open calls, no peer is silent. */
static void test_callers_without_messages(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 2, .queued = 10, .stalled = 1);
    struct caller callers[3];
    size_t i;

    run_without_messages(workers);
    run_in_background(workers, "1", IS_UNUSED_AT_GATE);
    run_in_background(workers, "2", IS_UNUSED_AT_GATE);
    await_begun(2);
    for (i = 0; i < COUNT_OF(callers); i++) {
        start(&callers[i], workers, apr_itoa(*state, (int)i), IS_UNUSED, LONG_TIME);
    }
    await_waiting(workers, COUNT_OF(callers));
    open_gate(true);
    assert_all(callers, COUNT_OF(callers), 0);
}

/* The job fails as the wait ends, and its thread is the first to run. */
static void test_silence_has_one_tag(void **state)
{
    struct eas_workers *workers = MAKE_WORKERS(state, .share = 1, .queued = 10, .stalled = 10);
    struct caller caller;

    start(&caller, workers, "a", IS_SILENT, apr_time_from_sec(4));
    await_begun(1);
    advance_clock(apr_time_from_sec(5));
    open_gate(true);
    assert_int_equal(tag_of(&caller), 1250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_caller_without_time),
        GATE_TEST(test_breaker_opens_and_closes),
        GATE_TEST(test_outage_is_reported_at_its_beginning_and_end),
        GATE_TEST(test_probe_without_a_message_is_repeated),
        GATE_TEST(test_impatient_caller_does_not_hold_the_probe),
        GATE_TEST(test_silence_opens_the_breaker),
        GATE_TEST(test_first_silence_opens_the_breaker),
        GATE_TEST(test_silence_has_one_tag),
        GATE_TEST(test_silence_after_a_referral),
        GATE_TEST(test_unbounded_silence_after_a_referral),
        GATE_TEST(test_silent_name_server_opens_the_breaker),
        GATE_TEST(test_queued_jobs_send_nothing_to_an_open_circuit),
        GATE_TEST(test_silent_peer_leaves_threads_to_others),
        GATE_TEST(test_silence_refuses_no_caller_of_another_peer),
        GATE_TEST(test_lost_message_refuses_no_later_callers),
        GATE_TEST(test_lost_message_refuses_no_jobs_without_messages),
        GATE_TEST(test_callers_queued_behind_a_silent_peer),
        GATE_TEST(test_callers_queued_behind_jobs_that_were_left),
        GATE_TEST(test_few_wait_for_a_silent_peer),
        GATE_TEST(test_late_caller_is_refused_soon),
        GATE_TEST(test_silence_lasts_while_other_jobs_end),
        GATE_TEST(test_jobs_without_messages_are_no_silence),
        GATE_TEST(test_old_silence_refuses_no_new_callers),
        GATE_TEST(test_old_silence_refuses_no_callers_after_other_jobs),
        GATE_TEST(test_callers_without_messages),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
