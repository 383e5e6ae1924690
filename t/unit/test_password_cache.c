/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_password_cache.c - Per-process cache of verified users */

#include "t/unit/tickets.h"
#include "t/unit/unit.h"

#include "auth/password/password_cache.h"

#include <apr_strings.h>
#include <string.h>

#define VHOST "mail.example.com:443"
#define ALICE "alice@CORP.EXAMPLE.COM"
#define ROOM ((apr_size_t)1 << 20)

/* A ticket that lives from second 1000 to 37000 is stale five minutes before its end. */
#define START 1000u
#define END 37000u
#define STALE apr_time_from_sec(36700)
#define LATER apr_time_from_sec(100000)

static const struct eas_password_version no_version;

static struct eas_password_cache *make_cache(apr_pool_t *pool)
{
    static const unsigned char secret[EAS_PASSWORD_CACHE_SECRET_SIZE] =
        "any 32 bytes nobody else knows";
    struct eas_password_cache *cache = NULL;
    struct eas_err err;

    assert_int_equal(eas_password_cache_create(pool, ROOM, secret, &cache, &err), EAS_OK);
    assert_non_null(cache);
    return cache;
}

static struct eas_password_cache_key key_of(struct eas_password_cache *cache, apr_pool_t *pool,
                                            const char *vhost, const char *name,
                                            const char *password)
{
    struct eas_credentials credentials = { name, strlen(name),
                                           eas_secret_make(pool, password, strlen(password)) };
    struct eas_err err;
    struct eas_password_cache_key key;

    memset(&key, 0, sizeof(key));
    assert_int_equal(eas_password_cache_credentials_key(cache, vhost, &credentials, &key, &err),
                     EAS_OK);
    return key;
}

/* Puts a user with evidence that only the cache has a reference to. */
static void put(struct eas_password_cache *cache, const struct eas_password_cache_key *key,
                const char *principal, apr_time_t expires)
{
    struct eas_identity identity = { .principal = principal, .authenticated_by = EAS_BY_PASSWORD };

    identity.evidence = tickets_make(START, END);
    eas_password_cache_put(cache, key, &identity, no_version, expires);
    eas_ticket_unref(identity.evidence);
}

static int reset(void **state)
{
    tickets_freed = 0;
    return unit_make_pool(state);
}

static void test_entry_is_found_by_its_credentials(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret"), again;
    struct eas_identity identity = { .principal = apr_pstrdup(*state, ALICE),
                                     .authenticated_by = EAS_BY_PASSWORD };
    struct eas_identity *found_identity;

    identity.evidence = eas_ticket_to_pool(tickets_make(START, END), *state);
    eas_password_cache_put(cache, &key, &identity, no_version, LATER);
    memset((char *)identity.principal, 'x', strlen(ALICE));
    again = key_of(cache, *state, VHOST, "alice", "secret");
    found_identity = eas_password_cache_get(cache, &again, 0, *state);
    assert_non_null(found_identity);
    assert_string_equal(found_identity->principal, ALICE);
    assert_int_equal(found_identity->authenticated_by, EAS_BY_CACHE);
    assert_ptr_equal(found_identity->evidence, identity.evidence);
}

static void test_other_credentials_find_no_entry(void **state)
{
    static const struct {
        const char *what, *vhost, *name, *password;
    } rows[] = {
        { "another password", VHOST, "alice", "Secret" },
        { "a longer password", VHOST, "alice", "secret " },
        { "a shorter password", VHOST, "alice", "secre" },
        { "no password", VHOST, "alice", "" },
        { "another name", VHOST, "bob", "secret" },
        { "another letter case", VHOST, "Alice", "secret" },
        { "another virtual host", "mail.example.com:444", "alice", "secret" },
        { "no virtual host", "", "alice", "secret" },
        { "name and password exchanged", VHOST, "secret", "alice" },
        { "a letter moved from name to password", VHOST, "alic", "esecret" },
        { "a letter moved from password to name", VHOST, "alices", "ecret" },
        { "a letter moved from virtual host to name", "mail.example.com:44", "3alice", "secret" },
    };
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");
    size_t i;

    put(cache, &key, ALICE, LATER);
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct eas_password_cache_key other =
            key_of(cache, *state, rows[i].vhost, rows[i].name, rows[i].password);

        if (eas_password_cache_get(cache, &other, 0, *state) != NULL) {
            fail_msg("%s finds it", rows[i].what);
        }
    }
    assert_non_null(eas_password_cache_get(cache, &key, 0, *state));
}

static void test_fields_of_a_key_are_separate(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key ab_c = key_of(cache, *state, VHOST, "ab", "c");
    struct eas_password_cache_key a_bc = key_of(cache, *state, VHOST, "a", "bc");
    struct eas_password_cache_key abc = key_of(cache, *state, VHOST, "abc", "");

    assert_memory_not_equal(ab_c.id, a_bc.id, EAS_PASSWORD_CACHE_ID_SIZE);
    assert_memory_not_equal(ab_c.id, abc.id, EAS_PASSWORD_CACHE_ID_SIZE);
    assert_memory_not_equal(a_bc.id, abc.id, EAS_PASSWORD_CACHE_ID_SIZE);
}

/* Whether the cache knows the key of these credentials; the digest, too. */
static bool knows(struct eas_password_cache *cache, apr_pool_t *pool, const char *vhost,
                  const char *name, const char *password,
                  unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE],
                  struct eas_password_cache_key *key)
{
    struct eas_credentials credentials = { name, strlen(name),
                                           eas_secret_make(pool, password, strlen(password)) };

    return eas_password_cache_known_key(cache, vhost, &credentials, digest, key);
}

static void test_kept_keys(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "ab", "c"), found;
    unsigned char digest[EAS_PASSWORD_CACHE_DIGEST_SIZE], other[EAS_PASSWORD_CACHE_DIGEST_SIZE];

    assert_false(knows(cache, *state, VHOST, "ab", "c", digest, &found));
    eas_password_cache_keep_key(cache, digest, &key);
    assert_true(knows(cache, *state, VHOST, "ab", "c", digest, &found));
    assert_memory_equal(&found, &key, sizeof(key));
    assert_false(knows(cache, *state, VHOST, "a", "bc", other, &found));
    assert_false(knows(cache, *state, VHOST, "abc", "", other, &found));
    assert_false(knows(cache, *state, VHOST, "ab", "C", other, &found));
    assert_false(knows(cache, *state, "other", "ab", "c", other, &found));
    /* Each process has a digest of its own. */
    assert_false(knows(make_cache(*state), *state, VHOST, "ab", "c", other, &found));
    assert_memory_not_equal(digest, other, sizeof(digest));
}

static void test_kept_keys_are_bounded(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = { .kind = EAS_PASSWORD_CACHE_CREDENTIALS }, found;
    unsigned char first[EAS_PASSWORD_CACHE_DIGEST_SIZE], digest[EAS_PASSWORD_CACHE_DIGEST_SIZE];
    apr_uint32_t i;

    assert_false(knows(cache, *state, VHOST, "alice", "secret", first, &found));
    eas_password_cache_keep_key(cache, first, &key);
    assert_true(knows(cache, *state, VHOST, "alice", "secret", first, &found));
    memset(digest, 0, sizeof(digest));
    for (i = 0; i < EAS_PASSWORD_CACHE_KEYS_BYTES / 100; i++) {
        memcpy(digest, &i, sizeof(i));
        eas_password_cache_keep_key(cache, digest, &key);
    }
    assert_false(knows(cache, *state, VHOST, "alice", "secret", first, &found));
}

/* A session id that equals the digest of credentials has another key. */
static void test_keys_of_different_kinds_differ(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");
    struct eas_password_cache_key session =
        eas_password_cache_session_key(eas_bytes_make(key.id, sizeof(key.id)));

    assert_memory_equal(session.id, key.id, sizeof(key.id));
    put(cache, &key, ALICE, LATER);
    assert_null(eas_password_cache_get(cache, &session, 0, *state));
    put(cache, &session, "bob@CORP.EXAMPLE.COM", LATER);
    assert_string_equal(eas_password_cache_get(cache, &key, 0, *state)->principal, ALICE);
}

static void test_short_session_ids_are_padded(void **state)
{
    static const unsigned char id[] = { 1, 2, 3 };
    struct eas_password_cache_key key =
        eas_password_cache_session_key(eas_bytes_make(id, sizeof(id)));
    struct eas_password_cache_key again =
        eas_password_cache_session_key(eas_bytes_make(id, sizeof(id)));

    (void)state;
    assert_memory_equal(&key, &again, sizeof(key));
    assert_memory_equal(key.id, id, sizeof(id));
}

/* A new password version invalidates older entries of its users, and no others. */
static void test_new_password_version_invalidates_entry(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key alice = key_of(cache, *state, VHOST, "alice", "secret");
    struct eas_password_cache_key bob = key_of(cache, *state, VHOST, "bob", "secret");
    _Atomic(apr_uint32_t) current[2] = { 7, 7 };
    struct eas_password_version versions[2] = { { &current[0], 7 }, { &current[1], 7 } };
    struct eas_identity identity = { .principal = ALICE, .authenticated_by = EAS_BY_PASSWORD };

    identity.evidence = eas_ticket_to_pool(tickets_make(START, END), *state);
    eas_password_cache_put(cache, &alice, &identity, versions[0], LATER);
    eas_password_cache_put(cache, &bob, &identity, versions[1], LATER);
    assert_non_null(eas_password_cache_get(cache, &alice, 0, *state));
    current[0]++;
    assert_null(eas_password_cache_get(cache, &alice, 0, *state));
    assert_non_null(eas_password_cache_get(cache, &bob, 0, *state));
    current[0]--;
    assert_null(eas_password_cache_get(cache, &alice, 0, *state));
}

/* bcrypt truncates at 72 octets, a fixed buffer at its size. */
static void test_long_passwords_differ_to_their_last_octet(void **state)
{
    static const size_t lengths[] = { 72, 73, 128, 255, 256, 4096 };
    struct eas_password_cache *cache = make_cache(*state);
    char one[4097], two[4097];
    size_t i;

    for (i = 0; i < COUNT_OF(lengths); i++) {
        struct eas_password_cache_key k1, k2;

        memset(one, 'p', lengths[i]);
        one[lengths[i]] = '\0';
        strcpy(two, one);
        two[lengths[i] - 1] = 'q';
        k1 = key_of(cache, *state, VHOST, "alice", one);
        k2 = key_of(cache, *state, VHOST, "alice", two);
        assert_memory_not_equal(k1.id, k2.id, EAS_PASSWORD_CACHE_ID_SIZE);
    }
}

static void test_names_may_hold_nul(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_credentials a = { "a\0b", 3, eas_secret_make(*state, "x", 1) };
    struct eas_credentials b = { "a\0c", 3, eas_secret_make(*state, "x", 1) };
    struct eas_err err;
    struct eas_password_cache_key ka, kb;

    assert_int_equal(eas_password_cache_credentials_key(cache, VHOST, &a, &ka, &err), EAS_OK);
    assert_int_equal(eas_password_cache_credentials_key(cache, VHOST, &b, &kb, &err), EAS_OK);
    assert_memory_not_equal(ka.id, kb.id, EAS_PASSWORD_CACHE_ID_SIZE);
}

static void test_keys_depend_on_the_secret(void **state)
{
    static const unsigned char other[EAS_PASSWORD_CACHE_SECRET_SIZE] = "another secret";
    struct eas_password_cache *cache = NULL;
    struct eas_password_cache_key one =
                                      key_of(make_cache(*state), *state, VHOST, "alice", "secret"),
                                  two;
    struct eas_err err;

    two = key_of(make_cache(*state), *state, VHOST, "alice", "secret");
    assert_memory_equal(one.id, two.id, sizeof(one.id));
    assert_int_equal(eas_password_cache_create(*state, ROOM, other, &cache, &err), EAS_OK);
    two = key_of(cache, *state, VHOST, "alice", "secret");
    assert_memory_not_equal(one.id, two.id, sizeof(one.id));
}

static void test_expiry(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");

    put(cache, &key, ALICE, 5000);
    assert_non_null(eas_password_cache_get(cache, &key, 4999, *state));
    assert_null(eas_password_cache_get(cache, &key, 5000, *state));
}

static void test_entry_expires_with_its_evidence(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");

    put(cache, &key, ALICE, LATER);
    assert_non_null(eas_password_cache_get(cache, &key, STALE - 1, *state));
    assert_null(eas_password_cache_get(cache, &key, STALE, *state));
}

static void test_put_replaces_an_entry(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");
    struct eas_identity *found_identity;

    put(cache, &key, "old@CORP.EXAMPLE.COM", 5000);
    put(cache, &key, ALICE, LATER);
    assert_int_equal(tickets_freed, 1);
    found_identity = eas_password_cache_get(cache, &key, 6000, *state);
    assert_non_null(found_identity);
    assert_string_equal(found_identity->principal, ALICE);
}

static void test_cache_has_a_reference_to_the_evidence(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");

    put(cache, &key, ALICE, 5000);
    assert_int_equal(tickets_freed, 0);
    assert_null(eas_password_cache_get(cache, &key, 5000, *state));
    assert_int_equal(tickets_freed, 1);
}

static void test_found_evidence_outlives_the_cache(void **state)
{
    struct eas_password_cache *cache;
    struct eas_identity *found_identity;
    struct eas_password_cache_key key;
    apr_pool_t *child;

    assert_int_equal(apr_pool_create(&child, NULL), APR_SUCCESS);
    cache = make_cache(child);
    key = key_of(cache, child, VHOST, "alice", "secret");
    put(cache, &key, ALICE, LATER);
    found_identity = eas_password_cache_get(cache, &key, 0, *state);
    apr_pool_destroy(child);
    assert_int_equal(tickets_freed, 0);
    assert_string_equal(found_identity->principal, ALICE);
    assert_int_equal(eas_ticket_creds(found_identity->evidence)->ticket.length, 700);
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

static void test_request_pools_drop_their_references(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");
    apr_pool_t *request;
    int i;

    put(cache, &key, ALICE, LATER);
    for (i = 0; i < 3; i++) {
        assert_int_equal(apr_pool_create(&request, NULL), APR_SUCCESS);
        assert_non_null(eas_password_cache_get(cache, &key, 0, request));
        apr_pool_destroy(request);
        assert_int_equal(tickets_freed, 0);
    }
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

/* The size of an entry includes its evidence: 100 000 users take a gigabyte. */
static void test_size_of_the_cache_is_bounded(void **state)
{
    enum { USERS = 2000 };
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = { .kind = EAS_PASSWORD_CACHE_CREDENTIALS };
    unsigned i, found = 0;

    for (i = 0; i < USERS; i++) {
        memcpy(key.id, &i, sizeof(i));
        put(cache, &key, ALICE, LATER);
    }
    for (i = 0; i < USERS; i++) {
        memcpy(key.id, &i, sizeof(i));
        found += eas_password_cache_get(cache, &key, 0, *state) != NULL;
    }
    assert_int_equal(tickets_freed, USERS - found);
    assert_uint_in_range(found, 1, ROOM / (700 + sizeof(krb5_creds)));
    assert_non_null(eas_password_cache_get(cache, &key, 0, *state));
}

/* Data of a thread of the next test. */
struct worker {
    struct eas_password_cache *cache;
    const struct eas_password_cache_key *expected;
    bool wrong;
};

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    static struct eas_secret secret = { (char *)"secret", 6 };
    const struct eas_credentials credentials = { "alice", 5, &secret };
    struct worker *worker = data;
    struct eas_identity *identity;
    struct eas_err err;
    struct eas_password_cache_key key;
    apr_pool_t *pool;
    int i;

    (void)thread;
    for (i = 0; i < 300; i++) {
        apr_pool_create(&pool, NULL);
        worker->wrong |=
            eas_password_cache_credentials_key(worker->cache, VHOST, &credentials, &key, &err) != 0
            || memcmp(&key, worker->expected, sizeof(key)) != 0;
        identity = eas_password_cache_get(worker->cache, &key, 0, pool);
        worker->wrong |= identity == NULL || strcmp(identity->principal, ALICE) != 0;
        if (i % 10 == 0 && identity != NULL) {
            eas_password_cache_put(worker->cache, &key, identity, no_version, LATER);
        }
        apr_pool_destroy(pool);
    }
    return NULL;
}

static void test_concurrent_threads(void **state)
{
    struct eas_password_cache *cache = make_cache(*state);
    struct eas_password_cache_key key = key_of(cache, *state, VHOST, "alice", "secret");
    struct worker workers[UNIT_THREADS];
    size_t i;

    put(cache, &key, ALICE, LATER);
    for (i = 0; i < UNIT_THREADS; i++) {
        workers[i] = (struct worker){ cache, &key, false };
    }
    unit_run_threads(*state, work, workers, sizeof(workers[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_false(workers[i].wrong);
    }
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

#define CACHE_TEST(test) cmocka_unit_test_setup_teardown(test, reset, unit_destroy_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_entry_is_found_by_its_credentials),
        CACHE_TEST(test_other_credentials_find_no_entry),
        CACHE_TEST(test_new_password_version_invalidates_entry),
        CACHE_TEST(test_fields_of_a_key_are_separate),
        CACHE_TEST(test_keys_of_different_kinds_differ),
        CACHE_TEST(test_short_session_ids_are_padded),
        CACHE_TEST(test_long_passwords_differ_to_their_last_octet),
        CACHE_TEST(test_names_may_hold_nul),
        CACHE_TEST(test_keys_depend_on_the_secret),
        CACHE_TEST(test_expiry),
        CACHE_TEST(test_entry_expires_with_its_evidence),
        CACHE_TEST(test_put_replaces_an_entry),
        CACHE_TEST(test_cache_has_a_reference_to_the_evidence),
        CACHE_TEST(test_found_evidence_outlives_the_cache),
        CACHE_TEST(test_request_pools_drop_their_references),
        CACHE_TEST(test_size_of_the_cache_is_bounded),
        CACHE_TEST(test_kept_keys),
        CACHE_TEST(test_kept_keys_are_bounded),
        CACHE_TEST(test_concurrent_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
