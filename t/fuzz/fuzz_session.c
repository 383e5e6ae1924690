/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_session.c - fuzz target of auth/login/session and auth/base/seal */

#include "t/fuzz/fuzz.h"

#include "auth/login/session.h"

#include <apr_strings.h>

#define VHOST "mail.example.com:443"
#define SKEW apr_time_from_sec(300)
#define TIME_MAX (APR_INT64_MAX >> 1)
#define FIXED_SIZE 44 /* of a record, without its principal */

static const struct eas_session_limits limits[2] = {
    { .idle = apr_time_from_sec(900), .max = apr_time_from_sec(3600) },
    { .idle = apr_time_from_sec(28800), .max = apr_time_from_sec(86400) },
};

/* With a secret that every run knows, in a pool that lasts. */
static const struct eas_session_params *session_params(void)
{
    static const char bytes[] = "0123456789abcdef0123456789abcdef";
    static struct eas_session_params params = { NULL, VHOST, limits };
    struct eas_keyring *ring = NULL;
    const struct eas_secret *secret;
    struct eas_err err;
    apr_pool_t *pool;

    if (params.keyring == NULL) {
        check(apr_pool_create(&pool, NULL) == APR_SUCCESS);
        secret = eas_secret_make(pool, bytes, sizeof(bytes) - 1);
        check(eas_seal_keyring_create(pool, &secret, 1, &ring, &err) == EAS_OK);
        params.keyring = ring;
    }
    return &params;
}

static void check_live(const struct eas_session *session, apr_time_t now)
{
    const struct eas_session_limits *limit = &limits[session->is_private];

    check(session->started <= now + SKEW && session->seen <= now + SKEW);
    check(now < session->end && session->end - session->started <= limit->max);
    check(now - session->seen <= limit->idle);
}

static void check_same(const struct eas_session *a, const struct eas_session *b)
{
    check(memcmp(a->id, b->id, EAS_SESSION_ID_SIZE) == 0);
    check(strcmp(a->principal, b->principal) == 0);
    check(a->is_private == b->is_private && a->has_evidence == b->has_evidence);
    check(a->started == b->started && a->seen == b->seen && a->end == b->end);
}

/* True if the cookie is a live session. */
static bool check_cookie(apr_pool_t *pool, const char *value, apr_time_t now,
                         struct eas_session **out)
{
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc = eas_session_unseal(session_params(), pool, value, now, out, &err);

    check(rc == EAS_OK || (rc == err.rc && err.tag != 0));
    check(rc == EAS_OK || rc == EAS_DENIED || rc == EAS_EXPIRED);
    check(*out != NULL ? rc != EAS_DENIED || err.tag == 1154 : rc == EAS_DENIED);
    if (*out != NULL) {
        size_t len = strlen((*out)->principal);

        check(len > 0 && len <= EAS_SESSION_PRINCIPAL_MAX);
        check((*out)->started >= 0 && (*out)->seen >= 0 && (*out)->end >= 0);
    }
    return rc == EAS_OK;
}

/* A record of any content, sealed with the right key. */
static void check_record(apr_pool_t *pool, struct eas_bytes record, apr_time_t now)
{
    const struct eas_session_params *params = session_params();
    struct eas_session *session = NULL, *again = NULL;
    struct eas_bytes sealed;
    const char *value = NULL;
    struct eas_err err;

    check(eas_seal(params->keyring, pool, EAS_SEAL_SESSION, VHOST, record, &sealed, &err)
          == EAS_OK);
    if (check_cookie(pool, eas_seal_to_text(pool, sealed.at, sealed.len), now, &session)) {
        check_live(session, now);
        check(record.len == FIXED_SIZE + strlen(session->principal));
        eas_session_wants_renewal(params, session, now);
        check(eas_session_seal(params, pool, session, &value, &err) == EAS_OK);
        check(check_cookie(pool, value, now, &again));
        check_same(session, again);
    }
}

/* A sealed record that was changed, or another purpose's, is none. */
static void check_changed(apr_pool_t *pool, struct eas_bytes record, size_t at, unsigned bits)
{
    const struct eas_session_params *params = session_params();
    struct eas_secret *plain = NULL;
    struct eas_bytes sealed;
    unsigned char *octets;
    struct eas_err err;

    check(eas_seal(params->keyring, pool, EAS_SEAL_CSRF, VHOST, record, &sealed, &err) == EAS_OK);
    check(eas_unseal(params->keyring, pool, EAS_SEAL_SESSION, VHOST, sealed, &plain, &err)
          == EAS_DENIED);
    octets = apr_pmemdup(pool, sealed.at, sealed.len);
    octets[at % sealed.len] ^= (unsigned char)bits;
    sealed.at = octets;
    check((eas_unseal(params->keyring, pool, EAS_SEAL_CSRF, VHOST, sealed, &plain, &err) == EAS_OK)
          == (bits == 0));
    check((plain != NULL) == (bits == 0));
    sealed.len = at % sealed.len;
    check(eas_unseal(params->keyring, pool, EAS_SEAL_CSRF, VHOST, sealed, &plain, &err)
          == EAS_DENIED);
}

/* A time near now, or any. */
static apr_time_t fuzz_time(struct eas_bytes *input, apr_time_t now)
{
    unsigned how = fuzz_octet(input);
    apr_time_t offset = apr_time_from_sec((apr_time_t)(fuzz_number(input, 2) % 32768)) * 4;

    if (how % 4 == 0) {
        return (apr_time_t)(fuzz_number(input, 8) & TIME_MAX);
    }
    offset += how / 128;
    return how % 4 == 1 ? now + offset : now > offset ? now - offset : 0;
}

/* A session of any times is read as it was written, and is live within its limits alone. */
static void check_made(apr_pool_t *pool, struct eas_bytes input, apr_time_t now)
{
    unsigned flags = fuzz_octet(&input);
    struct eas_session made = { .is_private = flags % 2, .has_evidence = flags / 2 % 2 },
                       *found = NULL;
    const struct eas_session_limits *limit = &limits[made.is_private];
    const char *value;
    struct eas_err err;
    apr_time_t end;

    memset(made.id, (int)flags, sizeof(made.id));
    made.started = fuzz_time(&input, now);
    made.seen = fuzz_time(&input, now);
    made.end = fuzz_time(&input, now);
    made.principal = fuzz_text(pool, &input);
    if (eas_session_seal(session_params(), pool, &made, &value, &err) != EAS_OK) {
        check(*made.principal == '\0' || strlen(made.principal) > EAS_SESSION_PRINCIPAL_MAX);
        return;
    }
    end = made.started + limit->max < made.end ? made.started + limit->max : made.end;
    check(check_cookie(pool, value, now, &found)
          == (made.started <= now + SKEW && made.seen <= now + SKEW && now < end
              && now - made.seen <= limit->idle));
    made.end = found->end; /* the limits of a configuration may have become lower */
    check_same(&made, found);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    unsigned mode = fuzz_octet(&input) % 4;
    apr_time_t now = (apr_time_t)(fuzz_number(&input, 8) & TIME_MAX);
    struct eas_session *session = NULL;
    unsigned at, bits;

    if (mode == 0) {
        check(!check_cookie(pool, fuzz_text(pool, &input), now, &session) && session == NULL);
    }
    else if (mode == 1) {
        check_record(pool, input, now);
    }
    else if (mode == 3) {
        check_made(pool, input, now);
    }
    else {
        at = (unsigned)fuzz_number(&input, 2);
        bits = fuzz_octet(&input);
        check_changed(pool, input, at, bits);
    }
}
