/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_session.c - browser session in a sealed cookie */

#include "t/unit/sessions.h"

static void test_begin(void **state)
{
    struct eas_session_params params = params_of(NULL);
    struct eas_session session = { .principal = ALICE, .is_private = false, .has_evidence = true };
    struct eas_session *other = begin(*state, true, NOW);
    struct eas_err err;

    assert_int_equal(eas_session_begin(&params, &session, NOW, &err), EAS_OK);
    assert_string_equal(session.principal, ALICE);
    assert_false(session.is_private);
    assert_true(session.has_evidence);
    assert_true(session.started == NOW);
    assert_true(session.seen == NOW);
    assert_true(session.end == NOW + HOUR);
    assert_true(other->is_private);
    assert_false(other->has_evidence);
    assert_true(other->end == NOW + 24 * HOUR);
    assert_memory_not_equal(session.id, other->id, EAS_SESSION_ID_SIZE);
}

/* A session that begins after a sign-out everywhere is later, whatever the clock says. */
static void test_start_after(void **state)
{
    struct eas_session *session = begin(*state, false, NOW);

    eas_session_start_after(session, 0);
    eas_session_start_after(session, NOW - 1);
    assert_true(session->started == NOW);
    eas_session_start_after(session, NOW);
    assert_true(session->started == NOW + 1);
    eas_session_start_after(session, NOW + HOUR);
    assert_true(session->started == NOW + HOUR + 1);
    assert_true(session->seen == NOW);
    assert_true(session->end == NOW + HOUR);
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
    struct eas_session *session = begin(*state, false, NOW), *back = NULL;
    struct eas_session_params params = params_of(ring);
    struct eas_err err;
    const char *value;
    char *principal;
    size_t i;

    for (i = 0; i < COUNT_OF(good); i++) {
        session->principal = principal = apr_pcalloc(*state, good[i] + 1);
        memset(principal, '\xc3', good[i]);
        value = cookie_of(ring, *state, session);
        assert_uint_in_range(strlen(value), 1, 2000);
        assert_int_equal(tag_at(ring, *state, value, VHOST, NOW, &back), 0);
        assert_same(session, back);
    }
    for (i = 0; i < COUNT_OF(bad); i++) {
        value = NULL;
        session->principal = principal = apr_pcalloc(*state, bad[i] + 1);
        memset(principal, 'p', bad[i]);
        assert_int_equal(eas_session_seal(&params, *state, session, &value, &err), EAS_FORBIDDEN);
        assert_int_equal(err.tag, 1151);
        assert_null(value);
    }
}

static void test_other_host_purpose_or_key_is_denied(void **state)
{
    static const char *const hosts[] = { "", "mail.example.com:444", "mail.example.com:44",
                                         "owa.example.com:443", "MAIL.example.com:443" };
    struct eas_keyring *ring = ring_of(*state, "a");
    const char *value = cookie_of(ring, *state, begin(*state, false, NOW));
    struct eas_bytes sealed, bytes;
    struct eas_secret *record;
    struct eas_err err;
    size_t i;

    for (i = 0; i < COUNT_OF(hosts); i++) {
        assert_int_equal(tag_at(ring, *state, value, hosts[i], NOW, NULL), 1147);
    }
    assert_int_equal(tag_at(ring_of(*state, "b"), *state, value, VHOST, NOW, NULL), 1147);
    assert_int_equal(tag_at(ring_of(*state, "ba"), *state, value, VHOST, NOW, NULL), 0);

    assert_true(eas_seal_from_text(*state, value, &bytes));
    assert_int_equal(eas_unseal(ring, *state, EAS_SEAL_SESSION, VHOST, bytes, &record, &err),
                     EAS_OK);
    assert_int_equal(eas_seal(ring, *state, EAS_SEAL_CSRF, VHOST,
                              eas_bytes_make(record->bytes, record->len), &sealed, &err),
                     EAS_OK);
    assert_int_equal(
        tag_at(ring, *state, eas_seal_to_text(*state, sealed.at, sealed.len), VHOST, NOW, NULL),
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

static void test_other_values_are_denied(void **state)
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

/* The cookie value of a record. */
static const char *seal_record(const struct eas_keyring *ring, apr_pool_t *pool, const void *record,
                               apr_size_t len)
{
    struct eas_bytes sealed;
    struct eas_err err;

    assert_int_equal(
        eas_seal(ring, pool, EAS_SEAL_SESSION, VHOST, eas_bytes_make(record, len), &sealed, &err),
        EAS_OK);
    return eas_seal_to_text(pool, sealed.at, sealed.len);
}

/* The record of a cookie, in a block with room behind it. */
static struct eas_secret *record_of(const struct eas_keyring *ring, apr_pool_t *pool)
{
    const char *value = cookie_of(ring, pool, begin(pool, false, NOW));
    struct eas_secret *record, *roomy;
    struct eas_bytes bytes;
    struct eas_err err;

    assert_true(eas_seal_from_text(pool, value, &bytes));
    assert_int_equal(eas_unseal(ring, pool, EAS_SEAL_SESSION, VHOST, bytes, &record, &err), EAS_OK);
    assert_int_equal(record->len, PRINCIPAL_AT + strlen(ALICE));
    roomy = eas_secret_make(pool, apr_pcalloc(pool, 70000), 70000);
    memcpy(roomy->bytes, record->bytes, record->len);
    roomy->len = record->len;
    return roomy;
}

static void test_record_layout(void **state)
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
    assert_int_equal(tag_at(ring, *state, seal_record(ring, *state, record->bytes, record->len),
                            VHOST, NOW, NULL),
                     0);
}

static void test_every_other_record_length_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_secret *record = record_of(ring, *state);
    apr_size_t len;

    for (len = 0; len < record->len + 100; len++) {
        assert_int_equal(
            tag_at(ring, *state, seal_record(ring, *state, record->bytes, len), VHOST, NOW, NULL),
            len == record->len ? 0 : 1153);
    }
}

/* All lengths up to the limit, and a sample of those above it. */
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
        assert_int_equal(tag_at(ring, scratch,
                                seal_record(ring, scratch, record->bytes, record->len), VHOST, NOW,
                                NULL),
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
        tag = tag_at(ring, *state, seal_record(ring, *state, record->bytes, record->len), VHOST,
                     NOW, NULL);
        if (tag != 1153) {
            fail_msg("%s: %d", rows[i].what, tag);
        }
    }
}

static void test_principal_above_the_limit_is_denied(void **state)
{
    struct eas_keyring *ring = ring_of(*state, "a");
    struct eas_secret *record = record_of(ring, *state);
    int len;

    memset(record->bytes + PRINCIPAL_AT, 'p', 2000);
    for (len = 1023; len < 1027; len++) {
        record->bytes[LENGTH_AT] = (char)(len >> 8);
        record->bytes[LENGTH_AT + 1] = (char)len;
        assert_int_equal(
            tag_at(ring, *state,
                   seal_record(ring, *state, record->bytes, PRINCIPAL_AT + (apr_size_t)len), VHOST,
                   NOW, NULL),
            len <= 1024 ? 0 : 1153);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_begin),
        POOL_TEST(test_start_after),
        POOL_TEST(test_round_trips),
        POOL_TEST(test_principals),
        POOL_TEST(test_other_host_purpose_or_key_is_denied),
        POOL_TEST(test_every_changed_character_is_denied),
        POOL_TEST(test_every_other_length_is_denied),
        POOL_TEST(test_other_values_are_denied),
        POOL_TEST(test_record_layout),
        POOL_TEST(test_every_other_record_length_is_denied),
        POOL_TEST(test_every_other_principal_length_is_denied),
        POOL_TEST(test_bad_records_are_denied),
        POOL_TEST(test_principal_above_the_limit_is_denied),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
