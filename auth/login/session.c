/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/session.c - browser session in a sealed cookie */

#include "auth/login/session.h"

#include <apr_strings.h>
#include <openssl/rand.h>
#include <string.h>

/*
 * The record: version (1 byte, 1) | flags (1) | id (16) | started (8) | seen (8) | end (8) |
 * length of principal (2) | principal.  Numbers are big-endian, times are apr_time_t.
 */
#define VERSION 1
#define PRIVATE 1u
#define EVIDENCE 2u
#define FIXED_SIZE (1 + 1 + EAS_SESSION_ID_SIZE + 3 * 8 + 2)

/* The clock skew that Kerberos allows. */
#define SKEW apr_time_from_sec(300)

enum eas_rc eas_session_begin(const struct eas_session_params *params, struct eas_session *session,
                              apr_time_t now, struct eas_err *err)
{
    if (RAND_bytes(session->id, sizeof(session->id)) != 1) {
        return eas_fail(err, EAS_UNAVAILABLE, 1150, "OpenSSL has no random bytes for a session id");
    }
    session->started = now;
    session->seen = now;
    session->end = now + params->limits[session->is_private].max;
    return EAS_OK;
}

void eas_session_start_after(struct eas_session *session, apr_time_t not_before)
{
    if (session->started <= not_before) {
        session->started = not_before + 1;
    }
}

static unsigned char *put(unsigned char *p, apr_uint64_t number, int size)
{
    int i;

    for (i = size - 1; i >= 0; i--) {
        p[i] = (unsigned char)number;
        number >>= 8;
    }
    return p + size;
}

static apr_uint64_t get(const unsigned char **p, int size)
{
    apr_uint64_t number = 0;

    while (size-- > 0) {
        number = number << 8 | *(*p)++;
    }
    return number;
}

enum eas_rc eas_session_seal(const struct eas_session_params *params, apr_pool_t *pool,
                             const struct eas_session *session, const char **value_out,
                             struct eas_err *err)
{
    unsigned char record[FIXED_SIZE + EAS_SESSION_PRINCIPAL_MAX], *p = record;
    apr_size_t len = strlen(session->principal);
    struct eas_bytes sealed;
    enum eas_rc rc;

    if (len == 0 || len > EAS_SESSION_PRINCIPAL_MAX) {
        return eas_fail(err, EAS_FORBIDDEN, 1151,
                        "the principal has %" APR_SIZE_T_FMT " bytes; a session takes 1 to %d", len,
                        EAS_SESSION_PRINCIPAL_MAX);
    }
    *p++ = VERSION;
    *p++ = (unsigned char)((session->is_private ? PRIVATE : 0)
                           | (session->has_evidence ? EVIDENCE : 0));
    memcpy(p, session->id, EAS_SESSION_ID_SIZE);
    p = put(p + EAS_SESSION_ID_SIZE, (apr_uint64_t)session->started, 8);
    p = put(p, (apr_uint64_t)session->seen, 8);
    p = put(p, (apr_uint64_t)session->end, 8);
    p = put(p, len, 2);
    memcpy(p, session->principal, len);
    rc = eas_seal(params->keyring, pool, EAS_SEAL_SESSION, params->vhost,
                  eas_bytes_make(record, FIXED_SIZE + len), &sealed, err);
    if (rc == EAS_OK) {
        *value_out = eas_seal_to_text(pool, sealed.at, sealed.len);
    }
    return rc;
}

/* NULL for a record that eas_session_seal() does not write. */
static struct eas_session *read_record(apr_pool_t *pool, struct eas_bytes record)
{
    struct eas_session *session = apr_pcalloc(pool, sizeof(*session));
    const unsigned char *p = record.at;
    unsigned int flags;
    apr_size_t len;

    if (record.len < FIXED_SIZE || *p++ != VERSION) {
        return NULL;
    }
    flags = *p++;
    memcpy(session->id, p, EAS_SESSION_ID_SIZE);
    p += EAS_SESSION_ID_SIZE;
    session->started = (apr_time_t)get(&p, 8);
    session->seen = (apr_time_t)get(&p, 8);
    session->end = (apr_time_t)get(&p, 8);
    len = get(&p, 2);
    if ((flags & ~(PRIVATE | EVIDENCE)) != 0 || len == 0 || len > EAS_SESSION_PRINCIPAL_MAX
        || len != record.len - FIXED_SIZE || memchr(p, '\0', len) != NULL || session->started < 0
        || session->seen < 0 || session->end < 0) {
        return NULL;
    }
    session->is_private = (flags & PRIVATE) != 0;
    session->has_evidence = (flags & EVIDENCE) != 0;
    session->principal = apr_pstrmemdup(pool, (const char *)p, len);
    return session;
}

/* No time is negative: their differences cannot overflow, their sums could. */
static enum eas_rc check_times(struct eas_session *session, const struct eas_session_limits *limits,
                               apr_time_t now, struct eas_err *err)
{
    if (session->started - now > SKEW || session->seen - now > SKEW) {
        return eas_fail(err, EAS_DENIED, 1154,
                        "the session is from the future: a clock was set back, or the gateways' "
                        "clocks differ; synchronize them");
    }
    /* The administrator may have lowered the limits since the log-on. */
    if (session->end - session->started > limits->max) {
        session->end = session->started + limits->max;
    }
    if (now >= session->end) {
        return eas_fail(err, EAS_EXPIRED, 1155, "the session of %s has reached its end",
                        session->principal);
    }
    if (now - session->seen > limits->idle) {
        return eas_fail(err, EAS_EXPIRED, 1156, "the session of %s was idle for too long",
                        session->principal);
    }
    return EAS_OK;
}

/* The record in a cookie whose seal is good. */
static enum eas_rc open_cookie(const struct eas_session_params *params, apr_pool_t *pool,
                               const char *value, struct eas_bytes *record, struct eas_err *err)
{
    struct eas_bytes sealed;
    struct eas_secret *plain;
    enum eas_rc rc;

    if (!eas_seal_from_text(pool, value, &sealed)) {
        return eas_fail(err, EAS_DENIED, 1152,
                        "the session cookie is not the base64url text of this module");
    }
    rc = eas_unseal(params->keyring, pool, EAS_SEAL_SESSION, params->vhost, sealed, &plain, err);
    if (rc == EAS_OK) {
        *record = eas_bytes_make(plain->bytes, plain->len);
    }
    return rc;
}

static struct eas_session_memo *remember(const struct eas_session_params *params, apr_pool_t *pool,
                                         const char *value, struct eas_bytes record,
                                         const struct eas_session *session)
{
    apr_time_t idle_at = session->seen + params->limits[session->is_private].idle;

    return eas_session_memory_put(params->memory, params->vhost, value, record,
                                  idle_at < session->end ? idle_at : session->end, pool);
}

enum eas_rc eas_session_unseal(const struct eas_session_params *params, apr_pool_t *pool,
                               const char *value, apr_time_t now, struct eas_session **out,
                               struct eas_err *err)
{
    struct eas_session_memo *memo =
        params->memory != NULL
            ? eas_session_memory_get(params->memory, params->vhost, value, now, pool)
            : NULL;
    struct eas_bytes record;
    struct eas_session *session;
    enum eas_rc rc = EAS_OK;

    if (memo != NULL) {
        record = eas_bytes_make(memo->plain, memo->len);
    }
    else {
        rc = open_cookie(params, pool, value, &record, err);
    }
    if (rc != EAS_OK) {
        return rc;
    }
    session = read_record(pool, record);
    if (session == NULL) {
        return eas_fail(err, EAS_DENIED, 1153, "the session cookie has another version");
    }
    *out = session;
    rc = check_times(session, &params->limits[session->is_private], now, err);
    if (rc == EAS_OK && memo == NULL && params->memory != NULL) {
        memo = remember(params, pool, value, record, session);
    }
    session->memo = memo;
    return rc;
}

bool eas_session_wants_renewal(const struct eas_session_params *params,
                               const struct eas_session *session, apr_time_t now)
{
    apr_interval_time_t step = params->limits[session->is_private].idle / 10;

    if (step > apr_time_from_sec(60)) {
        step = apr_time_from_sec(60);
    }
    return now < session->end && now - session->seen > step;
}
