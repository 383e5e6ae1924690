/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_kdc_transport.c - one message to one or two fake KDCs */

#include "t/unit/fake_kdc.h"

#include "auth/base/clock.h"
#include "auth/kerberos/kdc_transport.h"

#include <stdlib.h>

#define TIMEOUT apr_time_from_msec(2000)

struct outcome {
    bool answered;
    unsigned from;
    apr_interval_time_t took;
    unsigned requests[2];
};

/* The message to KDCs with these behaviours. */
static struct outcome ask_within(const enum kdc_behaviour *behaviours, unsigned count, bool guess,
                                 apr_interval_time_t timeout)
{
    struct eas_kdc_addresses addresses = { .count = 0 };
    struct fake_kdc kdcs[2];
    struct outcome outcome;
    struct eas_kdc_transport_reply reply;
    struct eas_kdc_transport_request request = { .addresses = &addresses,
                                                 .message = eas_bytes_of_text("message"),
                                                 .guess = guess };
    apr_time_t began;
    unsigned i;

    memset(&outcome, 0, sizeof(outcome));
    for (i = 0; i < count; i++) {
        kdc_start(&kdcs[i], behaviours[i], &addresses);
    }
    began = eas_clock_now();
    request.until = began + timeout;
    outcome.answered = eas_kdc_transport_exchange(&request, &reply);
    outcome.took = eas_clock_now() - began;
    if (outcome.answered) {
        assert_int_equal(reply.len, 4);
        assert_memory_equal(reply.bytes, AS_REP, 4);
        outcome.from = reply.from;
        free(reply.bytes);
    }
    for (i = 0; i < count; i++) {
        kdc_end(&kdcs[i]);
        outcome.requests[i] = kdcs[i].requests;
    }
    return outcome;
}

static struct outcome ask(enum kdc_behaviour first, enum kdc_behaviour second, bool guess)
{
    enum kdc_behaviour behaviours[] = { first, second };

    return ask_within(behaviours, 2, guess, TIMEOUT);
}

static void assert_within(apr_interval_time_t took, int from_ms, int to_ms)
{
    if (took < apr_time_from_msec(from_ms) || took > apr_time_from_msec(to_ms)) {
        fail_msg("took %d ms", (int)apr_time_as_msec(took));
    }
}

static void test_healthy_first_is_the_only_one_asked(void **state)
{
    static const enum kdc_behaviour healthy[] = { KDC_ANSWERS, KDC_ANSWERS_BY_OCTETS };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(healthy); i++) {
        struct outcome outcome = ask(healthy[i], KDC_ANSWERS, i == 0);

        assert_true(outcome.answered);
        assert_int_equal(outcome.from, 0);
        assert_int_equal(outcome.requests[0], 1);
        assert_int_equal(outcome.requests[1], 0);
    }
}

/* How a first KDC fails, and how long that takes. */
static const struct {
    enum kdc_behaviour behaviour;
    unsigned received;
    int from_ms, to_ms;
} failures[] = {
    { KDC_REFUSES, 0, 0, 200 },        { KDC_DROPS_SYN, 0, 300, 550 },
    { KDC_IS_SILENT, 1, 1000, 1300 },  { KDC_CLOSES, 1, 0, 200 },
    { KDC_CLOSES_HALF, 1, 0, 200 },    { KDC_IS_GARBAGE, 1, 0, 200 },
    { KDC_IS_TOO_LONG, 1, 0, 200 },    { KDC_IS_EMPTY, 1, 0, 200 },
    { KDC_IS_UNAVAILABLE, 1, 0, 200 },
};

static void test_second_answers_where_the_first_fails(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(failures); i++) {
        struct outcome outcome = ask(failures[i].behaviour, KDC_ANSWERS, false);

        assert_true(outcome.answered);
        assert_int_equal(outcome.from, 1);
        assert_int_equal(outcome.requests[0], failures[i].received);
        assert_within(outcome.took, failures[i].from_ms, failures[i].to_ms);
    }
}

/* The second KDC gets it only where no octet went to the first. */
static void test_guess_is_sent_once(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(failures); i++) {
        struct outcome outcome = ask(failures[i].behaviour, KDC_ANSWERS, true);

        assert_int_equal(outcome.answered, failures[i].received == 0);
        assert_int_equal(outcome.requests[0] + outcome.requests[1], 1);
        if (failures[i].behaviour == KDC_IS_SILENT) {
            assert_within(outcome.took, 2000, 2200);
        }
        else {
            assert_within(outcome.took, failures[i].from_ms, failures[i].to_ms);
        }
    }
}

static void test_no_KDC_answers(void **state)
{
    static const enum kdc_behaviour slow[] = { KDC_IS_SILENT, KDC_DROPS_SYN };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(failures); i++) {
        bool waits = failures[i].from_ms > 0;
        struct outcome outcome =
            ask_within(&failures[i].behaviour, 1, false, apr_time_from_msec(700));

        assert_false(outcome.answered);
        assert_within(outcome.took, waits ? 700 : 0, waits ? 900 : 200);
    }
    assert_within(ask_within(slow, 2, false, TIMEOUT).took, 2000, 2200);
}

static struct eas_kdc_transport_request make_request(const struct eas_kdc_addresses *addresses)
{
    return (struct eas_kdc_transport_request){ .addresses = addresses,
                                               .message = eas_bytes_of_text("message"),
                                               .until = eas_clock_now() + TIMEOUT };
}

static void test_late_answer_of_an_overtaken_KDC_counts(void **state)
{
    struct eas_kdc_addresses addresses = { .count = 0 };
    struct fake_kdc slow, silent;
    struct eas_kdc_transport_reply reply;
    struct eas_kdc_transport_request request = make_request(&addresses);

    (void)state;
    kdc_start(&slow, KDC_ANSWERS_SLOWLY, &addresses);
    kdc_start(&silent, KDC_IS_SILENT, &addresses);
    /* Its patience is a quarter of a second: it has always been fast. */
    eas_kdc_health_answered(&addresses.at[0], 1);
    assert_true(eas_kdc_transport_exchange(&request, &reply));
    assert_int_equal(reply.from, 0);
    free(reply.bytes);
    kdc_end(&slow);
    kdc_end(&silent);
    assert_int_equal(silent.requests, 1);
}

static void test_health_is_recorded(void **state)
{
    struct eas_kdc_addresses addresses = { .count = 0 };
    struct eas_kdc_transport_request request = make_request(&addresses);
    struct eas_kdc_transport_reply reply;
    struct fake_kdc kdcs[2];
    char healthy[sizeof(addresses.at[0].text)];

    (void)state;
    kdc_start(&kdcs[0], KDC_IS_SILENT, &addresses);
    kdc_start(&kdcs[1], KDC_ANSWERS, &addresses);
    memcpy(healthy, addresses.at[1].text, sizeof(healthy));
    assert_true(eas_kdc_transport_exchange(&request, &reply));
    free(reply.bytes);
    eas_kdc_health_sort(&addresses);
    assert_string_equal(addresses.at[0].text, healthy);
    request.until = eas_clock_now() + TIMEOUT;
    assert_true(eas_kdc_transport_exchange(&request, &reply));
    assert_int_equal(reply.from, 0);
    free(reply.bytes);
    kdc_end(&kdcs[0]);
    kdc_end(&kdcs[1]);
    assert_int_equal(kdcs[0].requests, 1);
}

static void test_long_reply_is_whole(void **state)
{
    struct eas_kdc_addresses addresses = { .count = 0 };
    struct eas_kdc_transport_request request = make_request(&addresses);
    struct eas_kdc_transport_reply reply;
    unsigned char expected[LONG_SIZE + 1];
    struct fake_kdc kdc;

    (void)state;
    kdc_long_reply(expected);
    kdc_start(&kdc, KDC_ANSWERS_AT_LENGTH, &addresses);
    assert_true(eas_kdc_transport_exchange(&request, &reply));
    assert_int_equal(reply.len, LONG_SIZE);
    assert_memory_equal(reply.bytes, expected, LONG_SIZE);
    free(reply.bytes);
    kdc_end(&kdc);
}

static void test_no_address(void **state)
{
    struct eas_kdc_addresses addresses = { .count = 0 };
    struct eas_kdc_transport_request request = make_request(&addresses);
    struct eas_kdc_transport_reply reply;

    (void)state;
    assert_false(eas_kdc_transport_exchange(&request, &reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy_first_is_the_only_one_asked),
        cmocka_unit_test(test_second_answers_where_the_first_fails),
        cmocka_unit_test(test_guess_is_sent_once),
        cmocka_unit_test(test_no_KDC_answers),
        cmocka_unit_test(test_late_answer_of_an_overtaken_KDC_counts),
        cmocka_unit_test(test_health_is_recorded),
        cmocka_unit_test(test_long_reply_is_whole),
        cmocka_unit_test(test_no_address),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
