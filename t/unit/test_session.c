/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_session.c - who has logged on by the form, as the browser's cookie tells it */

#include "t/unit/unit.h"

#include "auth/session.h"

#include <apr_strings.h>
#include <string.h>

#define VHOST "mail.example.com:443"
#define ALICE "alice@CORP.EXAMPLE.COM"
#define NAME "__Host-eas"

#define SECONDS(n) apr_time_from_sec((apr_time_t)(n))
#define HOUR SECONDS(3600)
#define NOW (SECONDS(1800000000) + 123456)

/* Where things are in a record. */
#define FLAGS_AT 1
#define STARTED_AT 18
#define SEEN_AT 26
#define END_AT 34
#define LENGTH_AT 42
#define PRINCIPAL_AT 44

/* Public: a quarter of an hour, at most an hour; private: eight hours, at most a day. */
static const struct eas_session_limits limits[2] = { { SECONDS(900), HOUR },
                                                     { 8 * HOUR, 24 * HOUR } };

/* A ring of the secrets that repeat the letters of names. */
static struct eas_keyring *ring_of(apr_pool_t *pool, const char *names)
{
    const struct eas_secret *secrets[4];
    struct eas_keyring *ring = NULL;
    struct eas_err err;
    char bytes[32];
    int n = 0;

    for (; *names != '\0'; names++) {
        memset(bytes, *names, sizeof(bytes));
        secrets[n++] = eas_secret_make(pool, bytes, sizeof(bytes));
    }
    assert_int_equal(eas_keyring_create(pool, secrets, n, &ring, &err), EAS_OK);
    return ring;
}

static struct eas_session *begin(apr_pool_t *pool, bool is_private, apr_time_t now)
{
    struct eas_session *session = NULL;
    struct eas_err err;

    assert_int_equal(eas_session_begin(pool, ALICE, is_private, false, limits, now, &session, &err),
                     EAS_OK);
    return session;
}

static const char *cookie_of(const struct eas_keyring *ring, apr_pool_t *pool,
                             const struct eas_session *session)
{
    const char *value = NULL;
    struct eas_err err;

    assert_int_equal(eas_session_to_cookie(ring, pool, session, VHOST, &value, &err), EAS_OK);
    return value;
}

/* 0 if the cookie is good, else the error's tag; its class must be the one that goes with it. */
static int tag_at(const struct eas_keyring *ring, apr_pool_t *pool, const char *value,
                  const char *vhost, apr_time_t now, struct eas_session **out)
{
    struct eas_session *session = NULL;
    struct eas_err err;
    enum eas_rc rc = eas_session_from_cookie(ring, pool, value, vhost, limits, now, &session, &err);

    if (rc == EAS_OK) {
        assert_non_null(session);
        if (out != NULL) {
            *out = session;
        }
        return 0;
    }
    /* What was ours, but is over, can still be signed out. */
    assert_int_equal(session != NULL, rc == EAS_EXPIRED || err.tag == 1154);
    assert_int_equal(rc, err.rc);
    assert_int_equal(rc, err.tag == 1155 || err.tag == 1156 ? EAS_EXPIRED : EAS_DENIED);
    return err.tag;
}

static int tag_of(const struct eas_keyring *ring, apr_pool_t *pool, const struct eas_session *s,
                  apr_time_t now)
{
    return tag_at(ring, pool, cookie_of(ring, pool, s), VHOST, now, NULL);
}

static void assert_same(const struct eas_session *a, const struct eas_session *b)
{
    assert_memory_equal(a->id, b->id, EAS_SESSION_ID_SIZE);
    assert_string_equal(a->principal, b->principal);
    assert_int_equal(a->is_private, b->is_private);
    assert_int_equal(a->has_evidence, b->has_evidence);
    assert_true(a->started == b->started);
    assert_true(a->seen == b->seen);
    assert_true(a->end == b->end);
}

static void test_begin(void **state)
{
    char principal[] = ALICE;
    struct eas_session *session, *other = begin(*state, true, NOW);
    struct eas_err err;

    assert_int_equal(eas_session_begin(*state, principal, false, true, limits, NOW, &session, &err),
                     EAS_OK);
    memset(principal, 'x', sizeof(principal) - 1);
    assert_string_equal(session->principal, ALICE);
    assert_false(session->is_private);
    assert_true(session->has_evidence);
    assert_true(session->started == NOW);
    assert_true(session->seen == NOW);
    assert_true(session->end == NOW + HOUR);
    assert_true(other->is_private);
    assert_false(other->has_evidence);
    assert_true(other->end == NOW + 24 * HOUR);
    assert_memory_not_equal(session->id, other->id, EAS_SESSION_ID_SIZE);
}

static void test_round_trips(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    int i;

    for (i = 0; i < 4; i++) {
        struct eas_session *session = begin(*state, (i & 1) != 0, NOW), *back = NULL;
        const char *value, *again;

        session->has_evidence = (i & 2) != 0;
        value = cookie_of(ring, *state, session);
        again = cookie_of(ring, *state, session);
        assert_string_not_equal(value, again);
        assert_int_equal(tag_at(ring, *state, value, VHOST, NOW, &back), 0);
        assert_same(session, back);
        assert_int_equal(tag_at(ring, *state, again, VHOST, NOW, &back), 0);
        assert_same(session, back);
    }
}

static void test_principals(void **state)
{
    static const apr_size_t good[] = { 1, 2, 64, 255, 256, 320, 576, 1023, 1024 };
    static const apr_size_t bad[] = { 0, 1025, 1026, 65535, 65536, 65537, 65536 + 22, 1 << 20 };
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW), *back;
    struct eas_err err;
    const char *value;
    char *principal;
    size_t i;

    for (i = 0; i < COUNT_OF(good); i++) {
        session->principal = principal = apr_pcalloc(*state, good[i] + 1);
        memset(principal, '\xc3', good[i]);
        value = cookie_of(ring, *state, session);
        assert_in_range(strlen(value), 1, 2000);
        assert_int_equal(tag_at(ring, *state, value, VHOST, NOW, &back), 0);
        assert_same(session, back);
    }
    for (i = 0; i < COUNT_OF(bad); i++) {
        value = NULL;
        session->principal = principal = apr_pcalloc(*state, bad[i] + 1);
        memset(principal, 'p', bad[i]);
        assert_int_equal(eas_session_to_cookie(ring, *state, session, VHOST, &value, &err),
                         EAS_FORBIDDEN);
        assert_int_equal(err.tag, 1151);
        assert_null(value);
    }
}

static void test_other_hosts_purposes_and_keys_are_denied(void **state)
{
    static const char *const hosts[] = { "", "mail.example.com:444", "mail.example.com:44",
                                         "owa.example.com:443", "MAIL.example.com:443" };
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *value = cookie_of(ring, *state, begin(*state, false, NOW));
    const unsigned char *sealed, *bytes;
    struct eas_secret *record;
    struct eas_err err;
    apr_size_t len;
    size_t i;

    for (i = 0; i < COUNT_OF(hosts); i++) {
        assert_int_equal(tag_at(ring, *state, value, hosts[i], NOW, NULL), 1147);
    }
    assert_int_equal(tag_at(ring_of(*state, "b"), *state, value, VHOST, NOW, NULL), 1147);
    assert_int_equal(tag_at(ring_of(*state, "ba"), *state, value, VHOST, NOW, NULL), 0);

    assert_true(eas_seal_from_text(*state, value, &bytes, &len));
    assert_int_equal(eas_unseal(ring, *state, EAS_SEAL_SESSION, VHOST, bytes, len, &record, &err),
                     EAS_OK);
    assert_int_equal(eas_seal(ring, *state, EAS_SEAL_CSRF, VHOST, record->bytes, record->len,
                              &sealed, &len, &err),
                     EAS_OK);
    assert_int_equal(tag_at(ring, *state, eas_seal_to_text(*state, sealed, len), VHOST, NOW, NULL),
                     1147);
}

/* Each character of a cookie in turn becomes each other. */
static void test_every_changed_character_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    char *value = apr_pstrdup(*state, cookie_of(ring, *state, begin(*state, false, NOW)));
    apr_pool_t *scratch;
    size_t i;
    int c;

    assert_int_equal(apr_pool_create(&scratch, *state), APR_SUCCESS);
    for (i = 0; value[i] != '\0'; i++) {
        char right = value[i];

        for (c = 0; c < 256; c++) {
            value[i] = (char)c;
            if (value[i] != right && tag_at(ring, scratch, value, VHOST, NOW, NULL) == 0) {
                fail_msg("good with a %02x at %d", (unsigned int)c, (int)i);
            }
            apr_pool_clear(scratch);
        }
        value[i] = right;
    }
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW, NULL), 0);
}

static void test_every_other_length_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *value = cookie_of(ring, *state, begin(*state, false, NOW));
    size_t i, len = strlen(value);
    int c;

    for (i = 0; i < len; i++) {
        assert_int_not_equal(
            tag_at(ring, *state, apr_pstrmemdup(*state, value, i), VHOST, NOW, NULL), 0);
        if (i > 0) {
            assert_int_not_equal(tag_at(ring, *state, value + i, VHOST, NOW, NULL), 0);
        }
    }
    for (c = 1; c < 256; c++) {
        char one[] = { (char)c, '\0' };
        const char *const longer[] = { apr_pstrcat(*state, value, one, NULL),
                                       apr_pstrcat(*state, one, value, NULL),
                                       apr_pstrcat(*state, value, one, one, one, one, NULL) };

        for (i = 0; i < COUNT_OF(longer); i++) {
            assert_int_not_equal(tag_at(ring, *state, longer[i], VHOST, NOW, NULL), 0);
        }
    }
    assert_int_not_equal(
        tag_at(ring, *state, apr_pstrcat(*state, value, value, NULL), VHOST, NOW, NULL), 0);
}

/* D12: what is no cookie of ours is no session, however long. */
static void test_rubbish_is_denied(void **state)
{
    static const char *const rows[] = {
        "",   " ",    "=",      "\"\"", "null", "undefined", "0",
        "-1", "AQ==", "%00%00", "\x01", "\xff", "AQAAAAA",   "..."
    };
    struct eas_keyring *ring = ring_of(*state, "a");
    char *huge = apr_pcalloc(*state, 8191);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        int tag = tag_at(ring, *state, rows[i], VHOST, NOW, NULL);

        assert_true(tag == 1152 || tag == 1147);
    }
    memset(huge, 'A', 8190);
    assert_int_equal(tag_at(ring, *state, huge, VHOST, NOW, NULL), 1147);
    assert_int_equal(tag_at(ring, *state, huge + 1, VHOST, NOW, NULL), 1152);
}

/* What we would seal if we had written this record. */
static const char *forge(const struct eas_keyring *ring, apr_pool_t *pool, const void *record,
                         apr_size_t len)
{
    const unsigned char *sealed;
    apr_size_t sealed_len;
    struct eas_err err;

    assert_int_equal(
        eas_seal(ring, pool, EAS_SEAL_SESSION, VHOST, record, len, &sealed, &sealed_len, &err),
        EAS_OK);
    return eas_seal_to_text(pool, sealed, sealed_len);
}

/* The record in alice's cookie, in a block with room behind it. */
static struct eas_secret *record_of(const struct eas_keyring *ring, apr_pool_t *pool)
{
    const char *value = cookie_of(ring, pool, begin(pool, false, NOW));
    struct eas_secret *record, *roomy;
    const unsigned char *bytes;
    struct eas_err err;
    apr_size_t len;

    assert_true(eas_seal_from_text(pool, value, &bytes, &len));
    assert_int_equal(eas_unseal(ring, pool, EAS_SEAL_SESSION, VHOST, bytes, len, &record, &err),
                     EAS_OK);
    assert_int_equal(record->len, PRINCIPAL_AT + strlen(ALICE));
    roomy = eas_secret_make(pool, apr_pcalloc(pool, 70000), 70000);
    memcpy(roomy->bytes, record->bytes, record->len);
    roomy->len = record->len;
    return roomy;
}

static void test_record_holds_nothing_else(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_secret *record = record_of(ring, *state);
    static const unsigned char times[] = { 0, 0x06, 0x65, 0x17, 0x28, 0x9a, 0x62, 0x40 };

    assert_int_equal(record->bytes[0], 1);
    assert_int_equal(record->bytes[FLAGS_AT], 0);
    assert_memory_equal(record->bytes + STARTED_AT, times, 8);
    assert_memory_equal(record->bytes + SEEN_AT, times, 8);
    assert_memory_equal(record->bytes + LENGTH_AT, "\0\x16", 2);
    assert_memory_equal(record->bytes + PRINCIPAL_AT, ALICE, strlen(ALICE));
    assert_int_equal(
        tag_at(ring, *state, forge(ring, *state, record->bytes, record->len), VHOST, NOW, NULL), 0);
}

static void test_every_other_record_length_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_secret *record = record_of(ring, *state);
    apr_size_t len;

    for (len = 0; len < record->len + 100; len++) {
        assert_int_equal(
            tag_at(ring, *state, forge(ring, *state, record->bytes, len), VHOST, NOW, NULL),
            len == record->len ? 0 : 1153);
    }
}

/* All that could be, and a sample of the others. */
static void test_every_other_principal_length_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_secret *record = record_of(ring, *state);
    apr_pool_t *scratch;
    int len;

    assert_int_equal(apr_pool_create(&scratch, *state), APR_SUCCESS);
    for (len = 0; len < 65536; len += len < 1100 ? 1 : 17) {
        record->bytes[LENGTH_AT] = (char)(len >> 8);
        record->bytes[LENGTH_AT + 1] = (char)len;
        assert_int_equal(tag_at(ring, scratch, forge(ring, scratch, record->bytes, record->len),
                                VHOST, NOW, NULL),
                         len == (int)strlen(ALICE) ? 0 : 1153);
        apr_pool_clear(scratch);
    }
}

static void test_bad_records_are_denied(void **state)
{
    static const struct {
        const char *what;
        apr_size_t at;
        const char *bytes;
        apr_size_t len;
    } rows[] = {
        { "version 0", 0, "\0", 1 },
        { "version 2", 0, "\2", 1 },
        { "version 255", 0, "\xff", 1 },
        { "an unknown flag", FLAGS_AT, "\4", 1 },
        { "the highest flag", FLAGS_AT, "\x80", 1 },
        { "the least start", STARTED_AT, "\x80\0\0\0\0\0\0\0", 8 },
        { "a start of -1", STARTED_AT, "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
        { "seen at the least time", SEEN_AT, "\x80\0\0\0\0\0\0\0", 8 },
        { "seen at -1", SEEN_AT, "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
        { "an end of -1", END_AT, "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
        { "a NUL before the principal", PRINCIPAL_AT, "\0", 1 },
        { "a NUL in the principal", PRINCIPAL_AT + 5, "\0", 1 },
        { "a NUL after the principal", PRINCIPAL_AT + sizeof(ALICE) - 2, "\0", 1 },
    };
    struct eas_keyring *ring = ring_of(*state, "a");
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_secret *record = record_of(ring, *state);
        int tag;

        memcpy(record->bytes + rows[i].at, rows[i].bytes, rows[i].len);
        tag =
            tag_at(ring, *state, forge(ring, *state, record->bytes, record->len), VHOST, NOW, NULL);
        if (tag != 1153) {
            fail_msg("%s: %d", rows[i].what, tag);
        }
    }
}

static void test_a_longer_principal_than_we_write_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_secret *record = record_of(ring, *state);
    int len;

    memset(record->bytes + PRINCIPAL_AT, 'p', 2000);
    for (len = 1023; len < 1027; len++) {
        record->bytes[LENGTH_AT] = (char)(len >> 8);
        record->bytes[LENGTH_AT + 1] = (char)len;
        assert_int_equal(tag_at(ring, *state,
                                forge(ring, *state, record->bytes, PRINCIPAL_AT + (apr_size_t)len),
                                VHOST, NOW, NULL),
                         len <= 1024 ? 0 : 1153);
    }
}

/* Sums of such times would overflow. */
static void test_the_greatest_times(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW), *back;

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

static void test_an_early_end_is_the_end(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, true, NOW), *back;
    const char *value;

    session->end = NOW + 50;
    value = cookie_of(ring, *state, session);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + 49, &back), 0);
    assert_true(back->end == NOW + 50);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + 50, NULL), 1155);
    session->end = NOW - 1;
    assert_int_equal(tag_of(ring, *state, session, NOW), 1155);
}

static void test_lowered_limits_hold_at_once(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW), *back;
    const char *value;

    session->end = NOW + 24 * HOUR;
    session->seen = NOW + HOUR - 5;
    value = cookie_of(ring, *state, session);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + HOUR - 1, &back), 0);
    assert_true(back->end == NOW + HOUR);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + HOUR, NULL), 1155);
}

/* An hour's step is more than a public session's idle time, and more than clocks may differ. */
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

static void test_far_years(void **state)
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
    static const struct eas_session_limits quick[2] = { { 100, 1000 }, { SECONDS(600), HOUR } };
    struct eas_session *session = begin(*state, true, NOW);

    assert_false(eas_session_wants_renewal(session, limits, NOW - HOUR));
    assert_false(eas_session_wants_renewal(session, limits, NOW));
    assert_false(eas_session_wants_renewal(session, limits, NOW + SECONDS(60)));
    assert_true(eas_session_wants_renewal(session, limits, NOW + SECONDS(60) + 1));
    assert_true(eas_session_wants_renewal(session, limits, session->end - 1));
    assert_false(eas_session_wants_renewal(session, limits, session->end));
    assert_false(eas_session_wants_renewal(session, quick, NOW + SECONDS(60)));
    assert_true(eas_session_wants_renewal(session, quick, NOW + SECONDS(60) + 1));
    session->is_private = false;
    assert_false(eas_session_wants_renewal(session, quick, NOW + 10));
    assert_true(eas_session_wants_renewal(session, quick, NOW + 11));
}

/* A user who never pauses is out when max is over all the same. */
static void test_renewal_never_moves_the_end(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, false, NOW);
    const char *value = cookie_of(ring, *state, session);
    apr_time_t now = NOW;
    int renewals = 0, requests = 0;

    while (tag_at(ring, *state, value, VHOST, now, &session) == 0) {
        requests++;
        assert_true(session->end == NOW + HOUR);
        assert_true(session->started == NOW);
        if (eas_session_wants_renewal(session, limits, now)) {
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

static void test_set_cookie(void **state)
{
    static const struct {
        const char *name, *value;
        bool secure;
        const char *expected;
    } rows[] = {
        { NAME, "v", true, NAME "=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { NAME, "v", false, NAME "=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "__Secure-eas", "v", false, "__Secure-eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "__host-eas", "v", false, "__host-eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "__SECURE-eas", "v", false, "__SECURE-eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "eas", "v", true, "eas=v; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "eas", "v", false, "eas=v; Path=/; HttpOnly; SameSite=Lax" },
        { "__Hosteas", "v", false, "__Hosteas=v; Path=/; HttpOnly; SameSite=Lax" },
        { NAME, NULL, true, NAME "=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { NAME, NULL, false, NAME "=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax" },
        { "eas", NULL, false, "eas=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax" },
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(
            eas_session_set_cookie(*state, rows[i].name, rows[i].value, rows[i].secure),
            rows[i].expected);
    }
}

static void test_set_cookie_stays_below_4096(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, true, NOW);
    char *principal = apr_pcalloc(*state, EAS_SESSION_PRINCIPAL_MAX + 1);

    memset(principal, 'p', EAS_SESSION_PRINCIPAL_MAX);
    session->principal = principal;
    assert_in_range(
        strlen(eas_session_set_cookie(*state, NAME, cookie_of(ring, *state, session), true)), 1,
        2000);
}

#define O NAME "=v"
#define MANY "(many)"

/* A Cookie header, what is found in it (NULL: nothing) and what is left of it (NULL: nothing). */
static const struct {
    const char *header, *found, *left;
} headers[] = {
    { NULL, NULL, NULL },
    { "", NULL, NULL },
    { "   ", NULL, NULL },
    { " \t ", NULL, NULL },
    { ";", NULL, NULL },
    { ";;", NULL, NULL },
    { "; ;", NULL, NULL },
    { " ; , ;; ", NULL, NULL },
    { "a=1", NULL, "a=1" },
    { "a", NULL, "a" },
    { "=", NULL, "=" },
    { "=;=", NULL, "=;=" },
    { ";;a=1;;", NULL, ";;a=1;;" },
    { "; ; a=1; ;", NULL, "; ; a=1; ;" },
    { " a = 1 ;\tb=2", NULL, " a = 1 ;\tb=2" },

    /* only, first, middle, last, twice */
    { O, "v", NULL },
    { O "; a=1", "v", "a=1" },
    { "a=1; " O, "v", "a=1" },
    { "a=1; " O "; b=2", "v", "a=1; b=2" },
    { "a=1;" O ";b=2", "v", "a=1;b=2" },
    { O "; a=1; b=2; c=3", "v", "a=1; b=2; c=3" },
    { O "; " O, MANY, NULL },
    { O "; " NAME "=w", MANY, NULL },
    { "a=1; " O "; b=2; " NAME "=w", MANY, "a=1; b=2" },
    { O "; a=1; " O "; b=2; " O, MANY, "a=1; b=2" },
    { NAME "=; " O, MANY, NULL },

    /* empty pairs around it */
    { O ";", "v", NULL },
    { ";" O, "v", NULL },
    { ";;" O ";;", "v", NULL },
    { "; ; " O "; ; ", "v", NULL },
    { "a=1;;" O ";;b=2", "v", "a=1;;;b=2" },
    { "a=1; ; " O "; ; b=2", "v", "a=1; ; ; b=2" },
    { ";" O ";a=1", "v", ";a=1" },
    { "  " O ";   a=1", "v", "a=1" },
    { O ";;a=1", "v", ";a=1" },

    /* no value, odd values */
    { NAME "=", "", NULL },
    { NAME "=;a=1", "", "a=1" },
    { NAME, NULL, NULL },
    { NAME "; a=1", NULL, "a=1" },
    { NAME "; " O "; a=1", "v", "a=1" },
    { NAME "==", "=", NULL },
    { NAME "=v=w; a=1", "v=w", "a=1" },
    { NAME "=\"v\"; a=1", "\"v\"", "a=1" },
    { "a=1; " NAME "=v w ; b=2", "v w ", "a=1; b=2" },
    { NAME "=\x01\x7f\xff; b=2", "\x01\x7f\xff", "b=2" },

    /* quotes protect nothing */
    { "a=\"1; " O "; b=2\"", "v", "a=\"1; b=2\"" },
    { "a=\"1;2\"; " O, "v", "a=\"1;2\"" },
    { "a=\"; " O, "v", "a=\"" },
    { "a=\"x\\\"; " O "; y\"", "v", "a=\"x\\\"; y\"" },
    { NAME "=\"a; b=2\"", "\"a", "b=2\"" },

    /* names that are not ours */
    { NAME "2=v", NULL, NAME "2=v" },
    { "x" O, NULL, "x" O },
    { "__Host-ea=v", NULL, "__Host-ea=v" },
    { "__host-eas=v", NULL, "__host-eas=v" },
    { "__HOST-EAS=v", NULL, "__HOST-EAS=v" },
    { "a=" NAME, NULL, "a=" NAME },
    { "a=" O, NULL, "a=" O },
    { "=" O, NULL, "=" O },
    { "a b" O, NULL, "a b" O },
    { "a " O, NULL, "a " O },
    { "\"" NAME "\"=v", NULL, "\"" NAME "\"=v" },
    { NAME "2=v; " O "; x" O, "v", NAME "2=v; x" O },

    /* what browsers do not send and nobody takes for ours, but a backend might */
    { NAME " =v", NULL, NULL },
    { NAME " = v; a=1", NULL, "a=1" },
    { NAME "\t=v; a=1", NULL, "a=1" },
    { NAME "= v; a=1", " v", "a=1" },
    { "\t" O, "v", NULL },
    { "a=1;\t \t" O, "v", "a=1" },
    { "\x01" O "; a=1", NULL, "a=1" },
    { "a=1;\v" O, NULL, "a=1" },
    { NAME "\x7f=v", NULL, NULL },
    { NAME " ; a=1", NULL, "a=1" },

    /* httpd joins several headers by commas; a value that holds one may pretend to be such */
    { "a=1, " O, NULL, "a=1" },
    { "a=1," O, NULL, "a=1" },
    { O ", " NAME "=w", "v, " NAME "=w", NULL },
    { O ", a=1", "v, a=1", "a=1" },
    { "a=1, " O "; b=2", NULL, "a=1; b=2" },
    { "a=1; " O ", b=2; c=3", "v, b=2", "a=1, b=2; c=3" },
    { "a=1,2,3; b=,; " O, "v", "a=1,2,3; b=," },
    { "a=x," O "; " NAME "=w", "w", "a=x" },
    { "a=1,2; b=3", NULL, "a=1,2; b=3" },

    { "$Version=\"1\"; " NAME "=\"v\"; $Path=\"/\"", "\"v\"", "$Version=\"1\"; $Path=\"/\"" },
    { "\xc3\xa4=\xc3\xb6; " O "; \xff=\xfe", "v", "\xc3\xa4=\xc3\xb6; \xff=\xfe" },
};

static void test_find_cookie(void **state)
{
    size_t i;

    for (i = 0; i < COUNT_OF(headers); i++) {
        const char *expected = headers[i].found, *found = NULL;
        enum eas_cookie_count count =
            eas_session_find_cookie(*state, headers[i].header, NAME, &found);
        enum eas_cookie_count expected_count = expected == NULL              ? EAS_COOKIE_NONE
                                               : strcmp(expected, MANY) == 0 ? EAS_COOKIE_MANY
                                                                             : EAS_COOKIE_ONE;

        if (count != expected_count) {
            fail_msg("%s: %d", headers[i].header, (int)count);
        }
        if (count == EAS_COOKIE_ONE) {
            assert_string_equal(found, expected);
        }
        else {
            assert_null(found);
        }
    }
}

static void test_strip_cookie(void **state)
{
    size_t i;

    for (i = 0; i < COUNT_OF(headers); i++) {
        const char *left = eas_session_strip_cookie(*state, headers[i].header, NAME);
        const char *expected = headers[i].left;

        if ((left == NULL) != (expected == NULL) || (left != NULL && strcmp(left, expected) != 0)) {
            fail_msg("\"%s\" leaves \"%s\"", headers[i].header, left);
        }
        if (left != NULL) {
            assert_string_equal(eas_session_strip_cookie(*state, left, NAME), left);
        }
    }
}

/* The parts of a header that are not cookie "o", without blanks at their ends, each followed by '|'. */
static const char *other_parts(apr_pool_t *pool, const char *header)
{
    const char *result = "";

    for (;; header++) {
        size_t len = strcspn(header, ";,");
        char *part = apr_pstrmemdup(pool, header + strspn(header, " "),
                                    len - (len > strspn(header, " ") ? strspn(header, " ") : len));

        while (*part != '\0' && part[strlen(part) - 1] == ' ') {
            part[strlen(part) - 1] = '\0';
        }
        if (part[0] != 'o' || strspn(part + 1, " ") != strcspn(part + 1, "=")) {
            result = apr_pstrcat(pool, result, part, "|", NULL);
        }
        header += len;
        if (*header == '\0') {
            return result;
        }
    }
}

/* Of all headers of up to six such pieces: nothing of ours is left, and all else is. */
static void test_strip_every_header(void **state)
{
    static const char pieces[] = { 'o', '=', ';', ',', ' ', 'a' };
    apr_pool_t *scratch;
    unsigned int n, rest;
    int len, i;

    assert_int_equal(apr_pool_create(&scratch, *state), APR_SUCCESS);
    for (len = 0; len <= 6; len++) {
        for (n = 0, rest = 0; rest == 0; n++) {
            char header[7] = "";
            const char *left, *others;

            for (i = 0, rest = n; i < len; i++, rest /= sizeof(pieces)) {
                header[i] = pieces[rest % sizeof(pieces)];
            }
            left = eas_session_strip_cookie(scratch, header, "o");
            others = other_parts(scratch, header);
            if (left == NULL) {
                assert_int_equal(strspn(others, "|"), strlen(others));
            }
            else {
                assert_string_equal(other_parts(scratch, left), others);
                assert_string_equal(eas_session_strip_cookie(scratch, left, "o"), left);
            }
            if (left != NULL && strchr(header, 'o') == NULL) {
                assert_string_equal(left, header);
            }
            apr_pool_clear(scratch);
        }
    }
}

/* Ten thousand pairs with ours at each end and in the middle; in time that grows with the length. */
static void test_many_cookies(void **state)
{
    static const int counts[] = { 200, 10000 };
    size_t i;

    for (i = 0; i < COUNT_OF(counts); i++) {
        char *with = apr_pcalloc(*state, (apr_size_t)counts[i] * 16 + 100), *p = with;
        char *without = apr_pcalloc(*state, (apr_size_t)counts[i] * 16 + 100), *q = without;
        const char *value;
        int n;

        p += sprintf(p, O "; ");
        for (n = 0; n < counts[i]; n++) {
            p += sprintf(p, "%sc%d=%d", n > 0 ? "; " : "", n, n);
            q += sprintf(q, "%sc%d=%d", n > 0 ? "; " : "", n, n);
            if (n == counts[i] / 2) {
                p += sprintf(p, "; " O);
            }
        }
        assert_int_equal(eas_session_find_cookie(*state, without, NAME, &value), EAS_COOKIE_NONE);
        assert_string_equal(eas_session_strip_cookie(*state, without, NAME), without);
        assert_int_equal(eas_session_find_cookie(*state, with, NAME, &value), EAS_COOKIE_MANY);
        assert_string_equal(eas_session_strip_cookie(*state, with, NAME), without);
        assert_int_equal(eas_session_find_cookie(*state, with + 1, NAME, &value), EAS_COOKIE_ONE);
    }
}

/* From log-on to request, as the browser has it. */
static void test_there_and_back(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_session *session = begin(*state, true, NOW), *back = NULL;
    char *set = apr_pstrdup(
        *state, eas_session_set_cookie(*state, NAME, cookie_of(ring, *state, session), true));
    const char *header, *value = NULL;

    *strchr(set, ';') = '\0';
    header = apr_pstrcat(*state, "PrivateComputer=true; ", set, "; lang=de", NULL);
    assert_int_equal(eas_session_find_cookie(*state, header, NAME, &value), EAS_COOKIE_ONE);
    assert_int_equal(tag_at(ring, *state, value, VHOST, NOW + 1, &back), 0);
    assert_same(session, back);
    assert_string_equal(eas_session_strip_cookie(*state, header, NAME),
                        "PrivateComputer=true; lang=de");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_begin),
        POOL_TEST(test_round_trips),
        POOL_TEST(test_principals),
        POOL_TEST(test_other_hosts_purposes_and_keys_are_denied),
        POOL_TEST(test_every_changed_character_is_denied),
        POOL_TEST(test_every_other_length_is_denied),
        POOL_TEST(test_rubbish_is_denied),
        POOL_TEST(test_record_holds_nothing_else),
        POOL_TEST(test_every_other_record_length_is_denied),
        POOL_TEST(test_every_other_principal_length_is_denied),
        POOL_TEST(test_bad_records_are_denied),
        POOL_TEST(test_a_longer_principal_than_we_write_is_denied),
        POOL_TEST(test_the_greatest_times),
        POOL_TEST(test_limits_to_the_microsecond),
        POOL_TEST(test_an_early_end_is_the_end),
        POOL_TEST(test_lowered_limits_hold_at_once),
        POOL_TEST(test_clock_steps),
        POOL_TEST(test_far_years),
        POOL_TEST(test_renewal),
        POOL_TEST(test_renewal_never_moves_the_end),
        POOL_TEST(test_set_cookie),
        POOL_TEST(test_set_cookie_stays_below_4096),
        POOL_TEST(test_find_cookie),
        POOL_TEST(test_strip_cookie),
        POOL_TEST(test_strip_every_header),
        POOL_TEST(test_many_cookies),
        POOL_TEST(test_there_and_back),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
