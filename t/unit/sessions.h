/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/sessions.h - keyrings, sessions and cookies for test_session, test_session_limits, test_cookie */

#ifndef EAS_T_UNIT_SESSIONS_H
#define EAS_T_UNIT_SESSIONS_H

#include "t/unit/unit.h"

#include "auth/login/session.h"

#include <apr_strings.h>
#include <string.h>

#define VHOST "mail.example.com:443"
#define ALICE "alice@CORP.EXAMPLE.COM"
#define NAME "__Host-eas"

#define SECONDS(n) apr_time_from_sec((apr_time_t)(n))
#define HOUR SECONDS(3600)
#define NOW (SECONDS(1800000000) + 123456)

/* Offsets in a record. */
#define FLAGS_AT 1
#define STARTED_AT 18
#define SEEN_AT 26
#define END_AT 34
#define LENGTH_AT 42
#define PRINCIPAL_AT 44

/* Public: idle 15 minutes, at most an hour.  Private: idle eight hours, at most a day. */
static const struct eas_session_limits limits[2] = {
    { .idle = SECONDS(900), .max = HOUR },
    { .idle = 8 * HOUR, .max = 24 * HOUR },
};

static inline struct eas_session_params params_of(const struct eas_keyring *ring)
{
    struct eas_session_params params = { .keyring = ring, .vhost = VHOST, .limits = limits };

    return params;
}

/* A ring with one secret for each letter, which it repeats. */
static inline struct eas_keyring *ring_of(apr_pool_t *pool, const char *names)
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
    assert_int_equal(eas_seal_keyring_create(pool, secrets, n, &ring, &err), EAS_OK);
    return ring;
}

static inline struct eas_session *begin(apr_pool_t *pool, bool is_private, apr_time_t now)
{
    struct eas_session *session = apr_pcalloc(pool, sizeof(*session));
    struct eas_session_params params = params_of(NULL);
    struct eas_err err;

    session->principal = ALICE;
    session->is_private = is_private;
    assert_int_equal(eas_session_begin(&params, session, now, &err), EAS_OK);
    return session;
}

static inline const char *cookie_of(const struct eas_keyring *ring, apr_pool_t *pool,
                                    const struct eas_session *session)
{
    struct eas_session_params params = params_of(ring);
    const char *value = NULL;
    struct eas_err err;

    assert_int_equal(eas_session_seal(&params, pool, session, &value, &err), EAS_OK);
    return value;
}

/* The error's tag, or 0; checks that the error's class is that of the tag. */
static inline int tag_at(const struct eas_keyring *ring, apr_pool_t *pool, const char *value,
                         const char *vhost, apr_time_t now, struct eas_session **out)
{
    struct eas_session_params params = params_of(ring);
    struct eas_session *session = NULL;
    struct eas_err err;
    enum eas_rc rc;

    params.vhost = vhost;
    rc = eas_session_unseal(&params, pool, value, now, &session, &err);
    if (rc == EAS_OK) {
        assert_non_null(session);
        if (out != NULL) {
            *out = session;
        }
        return 0;
    }
    /* An expired session can be signed out. */
    assert_int_equal(session != NULL, rc == EAS_EXPIRED || err.tag == 1154);
    assert_int_equal(rc, err.rc);
    assert_int_equal(rc, err.tag == 1155 || err.tag == 1156 ? EAS_EXPIRED : EAS_DENIED);
    return err.tag;
}

static inline int tag_of(const struct eas_keyring *ring, apr_pool_t *pool,
                         const struct eas_session *s, apr_time_t now)
{
    return tag_at(ring, pool, cookie_of(ring, pool, s), VHOST, now, NULL);
}

static inline void assert_same(const struct eas_session *a, const struct eas_session *b)
{
    assert_memory_equal(a->id, b->id, EAS_SESSION_ID_SIZE);
    assert_string_equal(a->principal, b->principal);
    assert_int_equal(a->is_private, b->is_private);
    assert_int_equal(a->has_evidence, b->has_evidence);
    assert_true(a->started == b->started);
    assert_true(a->seen == b->seen);
    assert_true(a->end == b->end);
}

#endif
