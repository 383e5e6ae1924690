/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_session_limits.c - times of a session: idle, max, clock skew, renewal */

#include "t/unit/sessions.h"

/* Sums of these times would overflow. */
static void test_greatest_times(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW), *back = NULL;

    session->end = APR_INT64_MAX;
    assert_int_equal(tag_at(ring, *state, cookie_of(ring, *state, session), VHOST, NOW, &back), 0);
    assert_true(back->end == NOW + HOUR);
    session->started = APR_INT64_MAX;
    assert_int_equal(tag_of(ring, *state, session, NOW), 1154);
    session->started = NOW;
    session->seen = APR_INT64_MAX;
    assert_int_equal(tag_of(ring, *state, session, NOW), 1154);
    session->started = session->seen = session->end = 0;
    assert_int_equal(tag_of(ring, *state, session, NOW), 1155);
}

static void test_limits_to_the_microsecond(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW);
    size_t i;

    for (i = 0; i < 2; i++) {
        const apr_interval_time_t idle = limits[i].idle, max = limits[i].max;
        const struct {
            apr_time_t seen, now;
            int tag;
        } rows[] = {
            { NOW, NOW, 0 },
            { NOW, NOW + idle - 1, 0 },
            { NOW, NOW + idle, 0 },
            { NOW, NOW + idle + 1, 1156 },
            { NOW + max - 10, NOW + max - 1, 0 },
            { NOW + max - 10, NOW + max, 1155 },
            { NOW + max - 10, NOW + max + 1, 1155 },
            { NOW, NOW + max, 1155 },
            { NOW, NOW + 100 * max, 1155 },
            { NOW, NOW - SECONDS(300), 0 },
            { NOW, NOW - SECONDS(300) - 1, 1154 },
            { NOW + SECONDS(400), NOW + SECONDS(100), 0 },
            { NOW + SECONDS(400), NOW + SECONDS(100) - 1, 1154 },
        };
        size_t j;

        session->is_private = i == 1;
        session->end = NOW + max;
        for (j = 0; j < COUNT_OF(rows); j++) {
            session->seen = rows[j].seen;
            if (tag_of(ring, *state, session, rows[j].now) != rows[j].tag) {
                fail_msg("limits %d, row %d", (int)i, (int)j);
            }
        }
    }
}

static void test_end_before_max(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, true, NOW), *back = NULL;
    const char *value;

    session->end = NOW + 50;
    value = cookie_of(ring, *state, session);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + 49, &back), 0);
    assert_true(back->end == NOW + 50);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + 50, NULL), 1155);
    session->end = NOW - 1;
    assert_int_equal(tag_of(ring, *state, session, NOW), 1155);
}

static void test_limits_lowered_after_log_on(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW), *back = NULL;
    const char *value;

    session->end = NOW + 24 * HOUR;
    session->seen = NOW + HOUR - 5;
    value = cookie_of(ring, *state, session);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + HOUR - 1, &back), 0);
    assert_true(back->end == NOW + HOUR);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + HOUR, NULL), 1155);
}

/* An hour is longer than a public session's idle time, and than the allowed clock skew. */
static void test_clock_steps(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *public_one = begin(*state, false, NOW);
    struct eas_session *private_one = begin(*state, true, NOW), *back = NULL;
    const char *before = cookie_of(ring, *state, private_one), *after;

    assert_int_equal(tag_of(ring, *state, public_one, NOW + HOUR), 1155);
    public_one->end += 10 * HOUR;
    public_one->started += SECONDS(60);
    assert_int_equal(tag_of(ring, *state, public_one, NOW + HOUR), 1156);
    assert_int_equal(tag_of(ring, *state, public_one, NOW - HOUR), 1154);

    assert_int_equal(tag_at(ring, *state, before, VHOST, NOW - HOUR, NULL), 1154);
    assert_int_equal(tag_at(ring, *state, before, VHOST, NOW + HOUR, &back), 0);
    back->seen = NOW + HOUR;
    after = cookie_of(ring, *state, back);
    assert_int_equal(tag_at(ring, *state, after, VHOST, NOW + HOUR, NULL), 0);
    assert_int_equal(tag_at(ring, *state, after, VHOST, NOW, NULL), 1154);
    assert_int_equal(tag_at(ring, *state, before, VHOST, NOW, NULL), 0);
    assert_int_equal(tag_at(ring, *state, after, VHOST, NOW + HOUR - SECONDS(300), NULL), 0);
}

static void test_times_after_2038(void **state)
{
    /* 2038-01-19 03:14:07 (32 bits signed), 2039, 2106-02-07 06:28:15 (unsigned), 2110. */
    static const apr_time_t times[] = { SECONDS(2147483647), SECONDS(2177452800),
                                        SECONDS(4294967295u), SECONDS(4417977600) };
    struct eas_keyring *ring = ring_of(*state, "a");
    size_t i;

    for (i = 0; i < COUNT_OF(times); i++) {
        struct eas_session *session = begin(*state, true, times[i]), *back = NULL;
        const char *value = cookie_of(ring, *state, session);

        assert_int_equal(tag_at(ring, *state, value, VHOST, times[i] + 8 * HOUR, &back), 0);
        assert_same(session, back);
        assert_true(back->end == times[i] + 24 * HOUR);
        assert_int_equal(tag_at(ring, *state, value, VHOST, times[i] + 8 * HOUR + 1, NULL), 1156);
        assert_int_equal(tag_at(ring, *state, value, VHOST, times[i] + 24 * HOUR, NULL), 1155);
        assert_int_equal(tag_at(ring, *state, value, VHOST, NOW, NULL), 1154);
    }
}

static void test_renewal(void **state)
{
    static const struct eas_session_limits quick_limits[2] = {
        { .idle = 100, .max = 1000 },
        { .idle = SECONDS(600), .max = HOUR },
    };
    struct eas_session_params params = params_of(NULL), quick = params;
    struct eas_session *session = begin(*state, true, NOW);

    quick.limits = quick_limits;
    assert_false(eas_session_wants_renewal(&params, session, NOW - HOUR));
    assert_false(eas_session_wants_renewal(&params, session, NOW));
    assert_false(eas_session_wants_renewal(&params, session, NOW + SECONDS(60)));
    assert_true(eas_session_wants_renewal(&params, session, NOW + SECONDS(60) + 1));
    assert_true(eas_session_wants_renewal(&params, session, session->end - 1));
    assert_false(eas_session_wants_renewal(&params, session, session->end));
    assert_false(eas_session_wants_renewal(&quick, session, NOW + SECONDS(60)));
    assert_true(eas_session_wants_renewal(&quick, session, NOW + SECONDS(60) + 1));
    session->is_private = false;
    assert_false(eas_session_wants_renewal(&quick, session, NOW + 10));
    assert_true(eas_session_wants_renewal(&quick, session, NOW + 11));
}

/* A session without any pause ends after max, too. */
static void test_renewal_never_moves_the_end(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW);
    const char *value = cookie_of(ring, *state, session);
    struct eas_session_params params = params_of(ring);
    apr_time_t now = NOW;
    int renewals = 0, requests = 0;

    while (tag_at(ring, *state, value, VHOST, now, &session) == 0) {
        requests++;
        assert_true(session->end == NOW + HOUR);
        assert_true(session->started == NOW);
        if (eas_session_wants_renewal(&params, session, now)) {
            session->seen = now;
            value = cookie_of(ring, *state, session);
            renewals++;
        }
        now += SECONDS(7);
    }
    assert_true(now >= NOW + HOUR && now < NOW + HOUR + SECONDS(7));
    assert_int_equal(requests, 515);
    assert_int_equal(renewals, 57);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_greatest_times), POOL_TEST(test_limits_to_the_microsecond),
        POOL_TEST(test_end_before_max), POOL_TEST(test_limits_lowered_after_log_on),
        POOL_TEST(test_clock_steps),    POOL_TEST(test_times_after_2038),
        POOL_TEST(test_renewal),        POOL_TEST(test_renewal_never_moves_the_end),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
