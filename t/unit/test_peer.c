/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_peer.c - calls to two peers, and what they count for */

#include "t/unit/unit.h"

#include "auth/workers/job_internal.h"
#include "auth/workers/peer.h"

#include <apr_strings.h>
#include <string.h>

#define SECONDS(n) apr_time_from_sec(n)
#define TIMEOUT SECONDS(4)

/* A user's realm, and a realm to which its KDC refers. */
static struct eas_peer home, away;

static int set_up(void **state)
{
    (void)state;
    memset(&home, 0, sizeof(home));
    memset(&away, 0, sizeof(away));
    home.name = "HOME";
    away.name = "AWAY";
    home.breaker.limit = away.breaker.limit = 3;
    return 0;
}

static struct eas_peer_call opened(apr_time_t now)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    eas_peer_call_begin(&call, now);
    eas_peer_call_open(&call, now);
    return call;
}

/* A call with one message. */
static void exchange(struct eas_peer *peer, bool answered, apr_time_t now)
{
    struct eas_peer_call call = opened(now);

    assert_true(eas_peer_call_send(&call, peer, now));
    eas_peer_call_receive(&call, answered ? EAS_PEER_ANSWERED : EAS_PEER_SILENT, now);
    eas_peer_call_end(&call, now);
}

static void fail_three_times(struct eas_peer *peer, apr_time_t now)
{
    exchange(peer, false, now);
    exchange(peer, false, now);
    exchange(peer, false, now);
}

/* The result of the breaker, without its effects. */
static enum eas_breaker_state state_of(struct eas_peer *peer, apr_time_t now)
{
    struct eas_breaker copy = peer->breaker;

    return eas_breaker_admit(&copy, now);
}

static void test_failure_counts_for_the_contacted_peer(void **state)
{
    (void)state;
    fail_three_times(&away, 0);
    assert_int_equal(state_of(&away, 0), EAS_BREAKER_OPEN);
    assert_int_equal(state_of(&home, 0), EAS_BREAKER_CLOSED);
}

static void test_answer_counts_for_the_contacted_peer(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_three_times(&home, 0);
    call = eas_peer_call_make(&home);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_begin(&call, SECONDS(5));
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED, SECONDS(5));
    eas_peer_call_end(&call, SECONDS(5));
    assert_int_equal(state_of(&home, SECONDS(5)), EAS_BREAKER_PROBE); /* the next job's */
}

static void test_open_circuit_stops_messages(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_three_times(&away, 0);
    call = opened(0);
    assert_true(eas_peer_call_send(&call, &home, 0));
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED, 0);
    assert_false(eas_peer_call_send(&call, &away, SECONDS(4) - 1));
    eas_peer_call_end(&call, SECONDS(5));
    assert_int_equal(away.breaker.probe_at, SECONDS(4));
}

static void test_unsent_message_is_no_failure(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_three_times(&away, 0);
    call = opened(0);
    assert_false(eas_peer_call_send(&call, &away, 0));
    assert_false(eas_peer_call_leave(&call, TIMEOUT));
    eas_peer_call_end(&call, TIMEOUT);
    assert_int_equal(home.breaker.failures, 0);
    assert_int_equal(away.breaker.probe_at, SECONDS(4));
}

static void test_referral_may_be_the_probe(void **state)
{
    struct eas_peer_call call, other;

    (void)state;
    fail_three_times(&away, 0);
    call = opened(SECONDS(5));
    other = opened(SECONDS(5));
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    assert_false(eas_peer_call_send(&other, &away, SECONDS(5)));
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED, SECONDS(6));
    assert_true(eas_peer_call_send(&other, &away, SECONDS(6)));
    eas_peer_call_end(&call, SECONDS(6));
    eas_peer_call_end(&other, SECONDS(6));
    assert_false(away.breaker.probing);
}

/* The probe of one peer ends when that of the other, which is due as well, starts. */
static void test_probes_of_two_peers(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_three_times(&home, 0);
    fail_three_times(&away, 0);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_begin(&call, SECONDS(5));
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    assert_int_equal(state_of(&home, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_receive(&call, EAS_PEER_SILENT, SECONDS(6));
    eas_peer_call_end(&call, SECONDS(6));
    assert_int_equal(state_of(&home, SECONDS(6)), EAS_BREAKER_PROBE);
    assert_int_equal(state_of(&away, SECONDS(6)), EAS_BREAKER_OPEN);
    assert_false(home.breaker.probing || away.breaker.probing);
}

static void test_probe_sends_all_its_messages(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_three_times(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_begin(&call, SECONDS(5));
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(5)));
    eas_peer_call_receive(&call, EAS_PEER_SILENT, SECONDS(6));
    assert_false(eas_peer_call_send(&call, &home, SECONDS(6))); /* the probe has failed */
    eas_peer_call_end(&call, SECONDS(6));
    assert_int_equal(state_of(&home, SECONDS(9) - 1), EAS_BREAKER_OPEN);
    call = eas_peer_call_make(&home);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(11)), EAS_BREAKER_PROBE);
    eas_peer_call_open(&call, SECONDS(11));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(11)));
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED, SECONDS(11));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(11)));
    eas_peer_call_receive(&call, EAS_PEER_SILENT, SECONDS(12));
    eas_peer_call_end(&call, SECONDS(12));
    assert_int_equal(state_of(&home, SECONDS(12)), EAS_BREAKER_CLOSED);
}

/* It closed the circuit; its end must not change a circuit that opened since. */
static void test_successful_probe_that_ends_late(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_three_times(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(5)));
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED, SECONDS(5));
    fail_three_times(&home, SECONDS(6));
    eas_peer_call_end(&call, SECONDS(7));
    assert_int_equal(state_of(&home, SECONDS(10) - 1), EAS_BREAKER_OPEN);
}

static void test_probe_that_never_begins_is_repeated(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    fail_three_times(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_end(&call, SECONDS(6));
    assert_int_equal(state_of(&home, SECONDS(6)), EAS_BREAKER_PROBE);
}

/* A caller's report of a failure does not count again at the end of the message. */
static void test_message_fails_once(void **state)
{
    struct eas_peer_call call = opened(0);

    (void)state;
    assert_true(eas_peer_call_send(&call, &home, 0));
    assert_true(eas_peer_call_leave(&call, TIMEOUT));
    assert_true(eas_peer_call_leave(&call, TIMEOUT));
    eas_peer_call_receive(&call, EAS_PEER_SILENT, SECONDS(27));
    assert_int_equal(home.breaker.failures, 1);
    assert_true(eas_peer_call_send(&call, &home, SECONDS(27)));
    assert_true(eas_peer_call_leave(&call, SECONDS(27) + TIMEOUT));
    assert_int_equal(home.breaker.failures, 2);
    eas_peer_call_end(&call, SECONDS(54));
    assert_int_equal(home.breaker.failures, 2);
}

/* The caller has waited for a thread, or for other messages. */
static void test_message_sent_just_now_is_no_failure(void **state)
{
    struct eas_peer_call call = opened(0);

    (void)state;
    assert_true(eas_peer_call_send(&call, &home, SECONDS(3)));
    assert_false(eas_peer_call_leave(&call, SECONDS(3) + SECONDS(1) / 2 - 1));
    assert_int_equal(home.breaker.failures, 0);
    assert_int_equal(home.active_calls, 1);
    assert_true(eas_peer_call_leave(&call, SECONDS(3) + SECONDS(1) / 2));
    assert_int_equal(home.breaker.failures, 1);
    eas_peer_call_end(&call, TIMEOUT);
}

static void test_answer_after_the_caller_has_left_closes_the_circuit(void **state)
{
    struct eas_peer_call call;

    (void)state;
    fail_three_times(&home, 0);
    call = eas_peer_call_make(&home);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_open(&call, SECONDS(5));
    assert_true(eas_peer_call_send(&call, &home, SECONDS(5)));
    assert_true(eas_peer_call_leave(&call, SECONDS(9)));
    assert_int_equal(state_of(&home, SECONDS(9)), EAS_BREAKER_PROBE); /* that probe is over */
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED, SECONDS(27));
    eas_peer_call_end(&call, SECONDS(27));
    assert_int_equal(state_of(&home, SECONDS(27)), EAS_BREAKER_CLOSED);
}

/* A hiccup of the peer is over with its answer; a slow peer has one probe at a time. */
static void test_late_answer_permits_a_probe_at_once(void **state)
{
    struct eas_peer_call call = opened(0), probe = eas_peer_call_make(&home);

    (void)state;
    home.breaker.limit = 1;
    assert_true(eas_peer_call_send(&call, &home, 0));
    assert_true(eas_peer_call_leave(&call, SECONDS(1)));
    assert_int_equal(state_of(&home, SECONDS(1)), EAS_BREAKER_OPEN);
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED_LATE, SECONDS(2));
    eas_peer_call_end(&call, SECONDS(2));
    assert_int_equal(eas_peer_call_admit(&probe, true, SECONDS(2)), EAS_BREAKER_PROBE);
    assert_int_equal(state_of(&home, SECONDS(2)), EAS_BREAKER_OPEN);
    eas_peer_call_open(&probe, SECONDS(2));
    assert_true(eas_peer_call_send(&probe, &home, SECONDS(2)));
    eas_peer_call_receive(&probe, EAS_PEER_ANSWERED_LATE, SECONDS(4));
    eas_peer_call_end(&probe, SECONDS(4));
    assert_int_equal(state_of(&home, SECONDS(4)), EAS_BREAKER_PROBE);
}

/* The caller has waited to the end: the failure is counted with the answer. */
static void test_late_answer_opens_the_circuit(void **state)
{
    struct eas_peer_call call = opened(0);

    (void)state;
    home.breaker.limit = 1;
    assert_true(eas_peer_call_send(&call, &home, 0));
    eas_peer_call_receive(&call, EAS_PEER_ANSWERED_LATE, SECONDS(2));
    eas_peer_call_end(&call, SECONDS(2));
    assert_int_equal(state_of(&home, SECONDS(2)), EAS_BREAKER_PROBE);
}

static void test_few_messages_without_a_bound(void **state)
{
    struct eas_peer_call calls[EAS_PEER_UNBOUNDED_MAX + 1];
    struct eas_peer_call *last = &calls[EAS_PEER_UNBOUNDED_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = opened(0);
        assert_true(eas_peer_call_send(&calls[i], &away, 0));
        assert_int_equal(eas_peer_call_begin_unbounded(&calls[i]), i < EAS_PEER_UNBOUNDED_MAX);
    }
    eas_peer_call_receive(&calls[0], EAS_PEER_ANSWERED, 0);
    eas_peer_call_receive(&calls[0], EAS_PEER_ANSWERED, 0);
    assert_true(eas_peer_call_begin_unbounded(last));
    for (i = 0; i < COUNT_OF(calls); i++) {
        eas_peer_call_receive(&calls[i], EAS_PEER_ANSWERED, 0);
        eas_peer_call_end(&calls[i], 0);
    }
    assert_int_equal(away.unbounded, 0);
}

static void test_probe_that_is_waived(void **state)
{
    struct eas_peer_call call = opened(0);

    (void)state;
    assert_false(eas_peer_call_waive_probe(&call, 0));
    fail_three_times(&away, 0);
    assert_true(eas_peer_call_send(&call, &away, SECONDS(5)));
    assert_true(eas_peer_call_waive_probe(&call, SECONDS(5)));
    eas_peer_call_receive(&call, EAS_PEER_SILENT, SECONDS(5));
    assert_int_equal(state_of(&away, SECONDS(5)), EAS_BREAKER_PROBE); /* for another call */
}

/* Calls without an end hold all threads of the peer. */
static void test_no_probe_without_room(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);

    (void)state;
    assert_int_equal(eas_peer_call_admit(&call, false, 0), EAS_BREAKER_CLOSED);
    fail_three_times(&home, 0);
    assert_int_equal(eas_peer_call_admit(&call, false, SECONDS(5)), EAS_BREAKER_OPEN);
    assert_int_equal(home.outage.refused, 1);
    assert_int_equal(eas_peer_call_admit(&call, true, SECONDS(5)), EAS_BREAKER_PROBE);
    eas_peer_call_end(&call, SECONDS(5));
}

/* Three messages to home are lost, and meanwhile a peer answers another call. */
static enum eas_breaker_state fail_after_an_answer_of(struct eas_peer *peer)
{
    struct eas_peer_call late[3];
    size_t i;

    for (i = 0; i < COUNT_OF(late); i++) {
        late[i] = opened(0);
        assert_true(eas_peer_call_send(&late[i], &home, 0));
    }
    exchange(peer, true, SECONDS(20));
    for (i = 0; i < COUNT_OF(late); i++) {
        eas_peer_call_receive(&late[i], EAS_PEER_SILENT, SECONDS(27));
        eas_peer_call_end(&late[i], SECONDS(27));
    }
    return state_of(&home, SECONDS(27));
}

static void test_failure_after_an_answer_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(fail_after_an_answer_of(&home), EAS_BREAKER_CLOSED);
}

static void test_failure_after_an_answer_of_another_peer_counts(void **state)
{
    (void)state;
    assert_int_equal(fail_after_an_answer_of(&away), EAS_BREAKER_OPEN);
}

/* A peer without an address gets no message. */
static void test_search_for_an_address_may_fail(void **state)
{
    struct eas_peer_call calls[3];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = opened(0);
        assert_true(eas_peer_call_leave(&calls[i], TIMEOUT));
    }
    assert_int_equal(state_of(&home, TIMEOUT), EAS_BREAKER_OPEN);
    for (i = 0; i < COUNT_OF(calls); i++) {
        eas_peer_call_end(&calls[i], TIMEOUT);
    }
}

/* A call that ended without a message, such as one with a cached result, is no failure. */
static void test_call_without_messages_is_no_failure(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct eas_peer_call call = opened(0);

        eas_peer_call_close(&call);
        assert_false(eas_peer_call_leave(&call, TIMEOUT));
        eas_peer_call_end(&call, TIMEOUT);
    }
    assert_int_equal(home.breaker.failures, 0);
    assert_int_equal(home.active_calls, 0);
}

static void test_silence_begins_with_the_first_open_call(void **state)
{
    struct eas_peer_call first = opened(SECONDS(100)), second;

    (void)state;
    assert_int_equal(home.silent_since, SECONDS(100));
    assert_true(eas_peer_call_send(&first, &home, SECONDS(100) + 1));
    second = opened(SECONDS(101) - 1);
    assert_int_equal(home.silent_since, SECONDS(100));
    assert_int_equal(away.silent_since, 0);
    eas_peer_call_receive(&first, EAS_PEER_ANSWERED, SECONDS(101));
    assert_int_equal(home.silent_since, SECONDS(101));
    eas_peer_call_end(&first, SECONDS(101));
    eas_peer_call_end(&second, SECONDS(101));
    assert_int_equal(home.active_calls, 0);
}

/* A call whose caller has left is not open: the next call is the first again. */
static void test_silence_begins_again_after_a_caller_has_left(void **state)
{
    struct eas_peer_call silent = opened(SECONDS(100)), next;

    (void)state;
    eas_peer_call_leave(&silent, SECONDS(104));
    eas_peer_call_leave(&silent, SECONDS(104));
    assert_int_equal(home.active_calls, 0);
    home.last_activity = SECONDS(105) - 1; /* jobs without messages */
    next = opened(SECONDS(105));
    assert_int_equal(home.silent_since, SECONDS(105));
    eas_peer_call_end(&silent, SECONDS(105));
    assert_int_equal(home.active_calls, 1);
    eas_peer_call_end(&next, SECONDS(105));
    assert_int_equal(home.active_calls, 0);
}

static void test_silence_lasts_while_calls_open(void **state)
{
    struct eas_peer_call calls[5];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(calls); i++) {
        calls[i] = opened(SECONDS(100) + (apr_time_t)i * SECONDS(1) / 2);
    }
    assert_int_equal(home.silent_since, SECONDS(100));
    for (i = 0; i < COUNT_OF(calls); i++) {
        eas_peer_call_end(&calls[i], SECONDS(103));
    }
}

/* After a second without activity, an older open call no longer makes a silence. */
static void test_silence_begins_again_after_a_pause(void **state)
{
    struct eas_peer_call silent = opened(SECONDS(100)), next;

    (void)state;
    next = opened(SECONDS(101));
    assert_int_equal(home.silent_since, SECONDS(101));
    eas_peer_call_end(&silent, SECONDS(101));
    eas_peer_call_end(&next, SECONDS(101));
}

/* Jobs without messages are activity, and no silence. */
static void test_jobs_without_messages_make_no_silence(void **state)
{
    struct eas_peer_call call = eas_peer_call_make(&home);
    apr_time_t now;

    (void)state;
    for (now = SECONDS(100); now < SECONDS(105); now += SECONDS(1) / 2) {
        eas_peer_call_begin(&call, now);
        eas_peer_call_end(&call, now);
    }
    call = opened(now);
    assert_int_equal(home.silent_since, now);
    eas_peer_call_end(&call, now);
}

/* Names that KDCs refer to take no more memory than the first ones. */
static void test_number_of_peers_is_bounded(void **state)
{
    struct eas_peer *peers[EAS_JOB_PEERS + 2];
    struct eas_job_table table;
    unsigned i;

    eas_job_table_init(&table, *state, 3);
    for (i = 0; i < COUNT_OF(peers); i++) {
        const char *name = apr_psprintf(*state, "REALM%u", i);

        peers[i] = eas_job_table_peer(&table, eas_bytes_of_text(name));
        assert_ptr_equal(eas_job_table_peer(&table, eas_bytes_of_text(name)), peers[i]);
        if (i < EAS_JOB_PEERS) {
            assert_string_equal(peers[i]->name, name);
        }
    }
    assert_ptr_equal(peers[EAS_JOB_PEERS], peers[EAS_JOB_PEERS + 1]);
    assert_string_equal(peers[EAS_JOB_PEERS]->name, "other realms");
    eas_job_table_destroy(&table);
}

#define CALL_TEST(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(test_failure_counts_for_the_contacted_peer),
        CALL_TEST(test_answer_counts_for_the_contacted_peer),
        CALL_TEST(test_open_circuit_stops_messages),
        CALL_TEST(test_unsent_message_is_no_failure),
        CALL_TEST(test_referral_may_be_the_probe),
        CALL_TEST(test_probes_of_two_peers),
        CALL_TEST(test_probe_sends_all_its_messages),
        CALL_TEST(test_successful_probe_that_ends_late),
        CALL_TEST(test_probe_that_never_begins_is_repeated),
        CALL_TEST(test_message_fails_once),
        CALL_TEST(test_message_sent_just_now_is_no_failure),
        CALL_TEST(test_answer_after_the_caller_has_left_closes_the_circuit),
        CALL_TEST(test_late_answer_permits_a_probe_at_once),
        CALL_TEST(test_late_answer_opens_the_circuit),
        CALL_TEST(test_few_messages_without_a_bound),
        CALL_TEST(test_probe_that_is_waived),
        CALL_TEST(test_no_probe_without_room),
        CALL_TEST(test_failure_after_an_answer_is_ignored),
        CALL_TEST(test_failure_after_an_answer_of_another_peer_counts),
        CALL_TEST(test_search_for_an_address_may_fail),
        CALL_TEST(test_call_without_messages_is_no_failure),
        CALL_TEST(test_silence_begins_with_the_first_open_call),
        CALL_TEST(test_silence_begins_again_after_a_caller_has_left),
        CALL_TEST(test_silence_lasts_while_calls_open),
        CALL_TEST(test_silence_begins_again_after_a_pause),
        CALL_TEST(test_jobs_without_messages_make_no_silence),
        POOL_TEST(test_number_of_peers_is_bounded),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
