/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_credentials.c - Credentials check: caches that come before the KDC */

#include "t/unit/throttles.h"
#include "t/unit/tickets.h"

#include "auth/password/credentials.h"

#include <stdbool.h>

#define TICKET_END 4000000000u /* in seconds */
#define CACHE_FOR apr_time_from_sec(300)

#define NO_ANSWER 1253 /* no worker was free: the check came as far as the KDC */

/* --- a shared cache of one record ------------------------------------------------------------- */

static struct {
    unsigned char id[EAS_PASSWORD_CACHE_ID_SIZE];
    unsigned char value[4096];
    size_t len;
    apr_time_t expires;
    int lookups;
    enum eas_shared_cache_reach reach; /* of the last lookup */
} shared;

static bool find(const struct eas_shared_cache *cache, apr_pool_t *pool, struct eas_bytes id,
                 enum eas_shared_cache_reach reach, struct eas_bytes *value, apr_time_t *expires)
{
    (void)cache, (void)pool;
    assert_int_equal(id.len, sizeof(shared.id));
    shared.lookups++;
    shared.reach = reach;
    if (shared.len == 0 || memcmp(id.at, shared.id, id.len) != 0) {
        return false;
    }
    *value = eas_bytes_make(shared.value, shared.len);
    *expires = shared.expires;
    return true;
}

static void put(const struct eas_shared_cache *cache, apr_pool_t *pool, struct eas_bytes id,
                struct eas_bytes value, apr_time_t expires)
{
    (void)cache, (void)pool, (void)id, (void)value, (void)expires;
    fail_msg("no password was verified");
}

static const struct eas_shared_cache shared_cache = { .find = find, .put = put };

static void set_shared(const struct eas_password_cache_key *key, const void *value, size_t len)
{
    assert_true(len <= sizeof(shared.value));
    memcpy(shared.id, key->id, sizeof(shared.id));
    memcpy(shared.value, value, len);
    shared.len = len;
    shared.expires = apr_time_now() + CACHE_FOR;
}

/* --- a verifier without a KDC ----------------------------------------------------------------- */

static const struct eas_authority authority = { .realms = { .default_realm = "TEST" },
                                                .kdc_timeout = 1 };

static struct eas_verifier *make_verifier(apr_pool_t *pool)
{
    static const unsigned char secret[EAS_PASSWORD_CACHE_SECRET_SIZE] =
        "any 32 bytes nobody else knows";
    /* Without threads, each job waits until its timeout. */
    struct eas_workers_limits limits = { .share = 0, .queued = 1, .failures = 3 };
    struct eas_verifier *verifier = apr_pcalloc(pool, sizeof(*verifier));
    struct eas_err err;

    verifier->throttle = throttles_throttle(pool);
    memset(&shared, 0, sizeof(shared));
    verifier->workers = eas_workers_create(pool, limits);
    verifier->shared_cache = &shared_cache;
    assert_int_equal(eas_password_cache_create(eas_workers_pool(verifier->workers), 1 << 20, secret,
                                               &verifier->cache, &err),
                     EAS_OK);
    return verifier;
}

static struct eas_credentials credentials_of(apr_pool_t *pool, const char *name,
                                             const char *password)
{
    struct eas_credentials credentials = { .name = name,
                                           .name_len = strlen(name),
                                           .password =
                                               eas_secret_make(pool, password, strlen(password)) };

    return credentials;
}

/* Returns the tag of the error, 0 if there was none. */
static int check(const struct eas_verifier *verifier, apr_pool_t *pool, const char *name,
                 const char *password, apr_interval_time_t cache_for, struct eas_identity **out)
{
    struct eas_credentials credentials = credentials_of(pool, name, password);
    struct eas_throttle_rules rules = { .cache_for = cache_for };
    struct eas_credentials_request request = { .authority = &authority,
                                               .vhost_key = "vhost",
                                               .credentials = &credentials,
                                               .rules = &rules,
                                               .address = "127.0.0.1" };
    struct eas_credentials_result result = { .waited = 0 };
    struct eas_err err;
    enum eas_rc rc = eas_credentials_check(verifier, pool, &request, &result, &err);

    assert_true((rc == EAS_OK) == (result.identity != NULL));
    *out = result.identity;
    return rc == EAS_OK ? 0 : err.tag;
}

static struct eas_password_cache_key key_of(const struct eas_verifier *verifier, apr_pool_t *pool,
                                            const char *name, const char *password)
{
    struct eas_credentials credentials = credentials_of(pool, name, password);
    struct eas_password_cache_key key;
    struct eas_err err;

    assert_int_equal(
        eas_password_cache_credentials_key(verifier->cache, "vhost", &credentials, &key, &err),
        EAS_OK);
    return key;
}

/* Puts alice's record into the shared cache, as another process does after a log-on. */
static void share_alice(const struct eas_verifier *verifier, apr_pool_t *pool,
                        struct eas_password_version version)
{
    static const char principal[] = "alice@TEST";
    struct eas_password_cache_key key = key_of(verifier, pool, "alice", "secret");
    krb5_creds creds = tickets_creds(1000, 1000, TICKET_END);
    struct eas_ticket *ticket;
    apr_size_t len;
    unsigned char record[4096], *p = record;
    const unsigned char *bytes;
    struct eas_err err;

    assert_int_equal(krb5_build_principal(NULL, &creds.server, 4, "TEST", "gateway", (char *)NULL),
                     0);
    ticket = eas_ticket_take(&creds);
    assert_int_equal(eas_ticket_marshal(ticket, pool, &bytes, &len, &err), EAS_OK);
    eas_throttle_write_version(verifier->throttle, &version, p);
    p += EAS_THROTTLE_VERSION_SIZE;
    memcpy(p, principal, sizeof(principal));
    p += sizeof(principal);
    memcpy(p, bytes, len);
    set_shared(&key, record, (size_t)(p - record) + len);
    eas_ticket_unref(ticket);
}

static const struct eas_password_version no_version = { .current = NULL };

/* --- tests ------------------------------------------------------------------------------------ */

static void test_shared_record_is_kept_in_password_cache(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_identity *identity;

    share_alice(verifier, *state, no_version);
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), 0);
    assert_string_equal(identity->principal, "alice@TEST");
    assert_int_equal(identity->authenticated_by, EAS_BY_CACHE);
    assert_non_null(identity->evidence);
    assert_int_equal(shared.lookups, 1);
    assert_int_equal(shared.reach, EAS_SHARED_CACHE_LOCAL); /* the caller waits for no network */
    shared.lookups = 0;
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), 0);
    assert_string_equal(identity->principal, "alice@TEST");
    assert_int_equal(shared.lookups, 0);
}

static void test_new_password_version_invalidates_caches(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    _Atomic(apr_uint32_t) *current = &verifier->throttle->password_versions[4711];
    struct eas_password_version version = { .current = current, .value = 7 };
    struct eas_identity *identity;

    atomic_store(current, 7);
    share_alice(verifier, *state, version);
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), 0);
    atomic_store(current, 8);
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), NO_ANSWER);
}

/* Password versions are counters of one gateway. */
static void test_password_version_of_another_gateway_is_ignored(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_password_version version = { .current = &verifier->throttle->password_versions[4711],
                                            .value = 7 };
    struct eas_identity *identity;

    share_alice(verifier, *state, version);
    shared.value[0] ^= 1;
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), 0);
}

static void test_other_credentials_find_no_record(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_identity *identity;

    share_alice(verifier, *state, no_version);
    assert_int_equal(check(verifier, *state, "alice", "Secret", CACHE_FOR, &identity), NO_ANSWER);
    assert_int_equal(check(verifier, *state, "bob", "secret", CACHE_FOR, &identity), NO_ANSWER);
    assert_int_equal(check(verifier, *state, "alices", "ecret", CACHE_FOR, &identity), NO_ANSWER);
}

static void test_cache_that_is_off(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_identity *identity;

    share_alice(verifier, *state, no_version);
    assert_int_equal(check(verifier, *state, "alice", "secret", 0, &identity), NO_ANSWER);
    assert_int_equal(shared.lookups, 0);
}

static void test_damaged_shared_records_are_ignored(void **state)
{
    static const char version[EAS_THROTTLE_VERSION_SIZE];
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = { { "", 1 }, { "alice@TEST", 10 }, { "\0", 1 }, { "alice@TEST\0junk", 15 } };
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_password_cache_key key = key_of(verifier, *state, "alice", "secret");
    struct eas_identity *identity;
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        char record[EAS_THROTTLE_VERSION_SIZE + 16];

        memcpy(record, version, sizeof(version));
        memcpy(record + sizeof(version), rows[i].bytes, rows[i].len);
        set_shared(&key, record, sizeof(version) + rows[i].len);
        assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity),
                         NO_ANSWER);
        set_shared(&key, record, sizeof(version) - 1);
        assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity),
                         NO_ANSWER);
    }
}

static void test_invalid_login_names_are_refused_without_kdc(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_identity *identity;

    assert_int_equal(check(verifier, *state, "host$", "secret", CACHE_FOR, &identity), 1002);
    assert_int_equal(check(verifier, *state, "", "secret", CACHE_FOR, &identity), 1001);
}

static void test_verifier_without_password_cache(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_identity *identity;

    verifier->cache = NULL;
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), 1256);
}

/* Whether the process finds the key of these credentials without an HMAC. */
static bool is_known(const struct eas_verifier *verifier, apr_pool_t *pool, const char *password)
{
    struct eas_credentials credentials = credentials_of(pool, "alice", password);
    unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE];
    struct eas_password_cache_key key;

    return eas_password_cache_known_key(verifier->cache, "vhost", &credentials, digest, &key);
}

static void test_key_of_verified_credentials_is_kept(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_identity *identity;

    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), NO_ANSWER);
    assert_false(is_known(verifier, *state, "secret"));
    share_alice(verifier, *state, no_version);
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), 0);
    assert_true(is_known(verifier, *state, "secret"));
    assert_int_equal(check(verifier, *state, "alice", "wrong", CACHE_FOR, &identity), NO_ANSWER);
    assert_false(is_known(verifier, *state, "wrong"));
}

/* The key says nothing about the password: the caches do, as before. */
static void test_kept_key_authenticates_nobody(void **state)
{
    struct eas_verifier *verifier = make_verifier(*state);
    struct eas_password_cache_key key = key_of(verifier, *state, "alice", "secret");
    struct eas_credentials credentials = credentials_of(*state, "alice", "secret");
    unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE];
    struct eas_password_cache_key ignored;
    struct eas_identity *identity;

    assert_false(
        eas_password_cache_known_key(verifier->cache, "vhost", &credentials, digest, &ignored));
    eas_password_cache_keep_key(verifier->cache, digest, &key);
    assert_true(is_known(verifier, *state, "secret"));
    assert_int_equal(check(verifier, *state, "alice", "secret", CACHE_FOR, &identity), NO_ANSWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_shared_record_is_kept_in_password_cache),
        POOL_TEST(test_new_password_version_invalidates_caches),
        POOL_TEST(test_password_version_of_another_gateway_is_ignored),
        POOL_TEST(test_other_credentials_find_no_record),
        POOL_TEST(test_cache_that_is_off),
        POOL_TEST(test_damaged_shared_records_are_ignored),
        POOL_TEST(test_invalid_login_names_are_refused_without_kdc),
        POOL_TEST(test_verifier_without_password_cache),
        POOL_TEST(test_key_of_verified_credentials_is_kept),
        POOL_TEST(test_kept_key_authenticates_nobody),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
