/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_memory.c - proved passwords, remembered as keyed digests */

#include "t/unit/tickets.h"
#include "t/unit/unit.h"

#include "auth/memory.h"

#include <apr_strings.h>
#include <string.h>

#define SCOPE "mail.example.com:443"
#define ALICE "alice@CORP.EXAMPLE.COM"
#define ROOM ((apr_size_t)1 << 20)

/* A ticket that lives from second 1000 to 37000 is stale five minutes before its end. */
#define START 1000u
#define END 37000u
#define STALE apr_time_from_sec(36700)
#define LATER apr_time_from_sec(100000)

static const struct eas_stamp unstamped;

struct key {
    unsigned char bytes[EAS_MEMORY_KEY_SIZE];
};

static struct eas_memory *make_memory(apr_pool_t *pool)
{
    static const unsigned char secret[EAS_MEMORY_KEY_SIZE] = "any 32 bytes nobody else knows";
    struct eas_memory *memory = NULL;
    struct eas_err err;

    assert_int_equal(eas_memory_create(pool, ROOM, secret, &memory, &err), EAS_OK);
    assert_non_null(memory);
    return memory;
}

static struct key key_of(struct eas_memory *memory, apr_pool_t *pool, const char *scope,
                         const char *name, const char *password)
{
    struct eas_credentials credentials = { name, strlen(name),
                                           eas_secret_make(pool, password, strlen(password)) };
    struct eas_err err;
    struct key key;

    memset(&key, 0, sizeof(key));
    assert_int_equal(eas_memory_key(memory, scope, &credentials, key.bytes, &err), EAS_OK);
    return key;
}

/* Remembers a user with evidence that only the memory holds. */
static void remember(struct eas_memory *memory, const struct key *key, const char *principal,
                     apr_time_t expires)
{
    struct eas_identity identity = { .principal = principal, .proof = EAS_PROOF_PASSWORD };

    identity.evidence = tickets_make(START, END);
    eas_memory_remember(memory, key->bytes, &identity, unstamped, expires);
    eas_ticket_unref(identity.evidence);
}

static int reset(void **state)
{
    tickets_freed = 0;
    return unit_make_pool(state);
}

static void test_recall_of_what_was_remembered(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret"), again;
    struct eas_identity remembered = { .principal = apr_pstrdup(*state, ALICE),
                                       .proof = EAS_PROOF_PASSWORD };
    struct eas_identity *recalled;

    remembered.evidence = eas_ticket_to_pool(tickets_make(START, END), *state);
    eas_memory_remember(memory, key.bytes, &remembered, unstamped, LATER);
    memset((char *)remembered.principal, 'x', strlen(ALICE));
    again = key_of(memory, *state, SCOPE, "alice", "secret");
    recalled = eas_memory_recall(memory, again.bytes, 0, *state);
    assert_non_null(recalled);
    assert_string_equal(recalled->principal, ALICE);
    assert_int_equal(recalled->proof, EAS_PROOF_CACHED);
    assert_ptr_equal(recalled->evidence, remembered.evidence);
}

static void test_nothing_else_recalls_it(void **state)
{
    static const struct {
        const char *what, *scope, *name, *password;
    } rows[] = {
        { "another password", SCOPE, "alice", "Secret" },
        { "a longer password", SCOPE, "alice", "secret " },
        { "a shorter password", SCOPE, "alice", "secre" },
        { "no password", SCOPE, "alice", "" },
        { "another name", SCOPE, "bob", "secret" },
        { "another letter case", SCOPE, "Alice", "secret" },
        { "another virtual host", "mail.example.com:444", "alice", "secret" },
        { "no virtual host", "", "alice", "secret" },
        { "name and password exchanged", SCOPE, "secret", "alice" },
        { "a letter moved from name to password", SCOPE, "alic", "esecret" },
        { "a letter moved from password to name", SCOPE, "alices", "ecret" },
        { "a letter moved from scope to name", "mail.example.com:44", "3alice", "secret" },
    };
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");
    size_t i;

    remember(memory, &key, ALICE, LATER);
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct key other = key_of(memory, *state, rows[i].scope, rows[i].name, rows[i].password);

        if (eas_memory_recall(memory, other.bytes, 0, *state) != NULL) {
            fail_msg("%s recalls it", rows[i].what);
        }
    }
    assert_non_null(eas_memory_recall(memory, key.bytes, 0, *state));
}

static void test_fields_do_not_run_together(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key ab_c = key_of(memory, *state, SCOPE, "ab", "c");
    struct key a_bc = key_of(memory, *state, SCOPE, "a", "bc");
    struct key abc = key_of(memory, *state, SCOPE, "abc", "");

    assert_memory_not_equal(ab_c.bytes, a_bc.bytes, EAS_MEMORY_KEY_SIZE);
    assert_memory_not_equal(ab_c.bytes, abc.bytes, EAS_MEMORY_KEY_SIZE);
    assert_memory_not_equal(a_bc.bytes, abc.bytes, EAS_MEMORY_KEY_SIZE);
}

/* A password that was seen to have changed ends what was remembered before, and nothing else. */
static void test_a_stamp_that_is_over(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key alice = key_of(memory, *state, SCOPE, "alice", "secret");
    struct key bob = key_of(memory, *state, SCOPE, "bob", "secret");
    volatile apr_uint32_t generations[2] = { 7, 7 };
    struct eas_stamp stamps[2] = { { &generations[0], 7 }, { &generations[1], 7 } };
    struct eas_identity identity = { .principal = ALICE, .proof = EAS_PROOF_PASSWORD };

    identity.evidence = eas_ticket_to_pool(tickets_make(START, END), *state);
    eas_memory_remember(memory, alice.bytes, &identity, stamps[0], LATER);
    eas_memory_remember(memory, bob.bytes, &identity, stamps[1], LATER);
    assert_non_null(eas_memory_recall(memory, alice.bytes, 0, *state));
    generations[0]++;
    assert_null(eas_memory_recall(memory, alice.bytes, 0, *state));
    assert_non_null(eas_memory_recall(memory, bob.bytes, 0, *state));
    generations[0]--;
    assert_null(eas_memory_recall(memory, alice.bytes, 0, *state));
}

/* bcrypt would take these for the same, and a digest of a cut buffer those of 256 and more. */
static void test_long_passwords_differ_to_their_last_octet(void **state)
{
    static const size_t lengths[] = { 72, 73, 128, 255, 256, 4096 };
    struct eas_memory *memory = make_memory(*state);
    char one[4097], two[4097];
    size_t i;

    for (i = 0; i < COUNT_OF(lengths); i++) {
        struct key k1, k2;

        memset(one, 'p', lengths[i]);
        one[lengths[i]] = '\0';
        strcpy(two, one);
        two[lengths[i] - 1] = 'q';
        k1 = key_of(memory, *state, SCOPE, "alice", one);
        k2 = key_of(memory, *state, SCOPE, "alice", two);
        assert_memory_not_equal(k1.bytes, k2.bytes, EAS_MEMORY_KEY_SIZE);
    }
}

static void test_names_are_taken_by_their_length(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct eas_credentials a = { "a\0b", 3, eas_secret_make(*state, "x", 1) };
    struct eas_credentials b = { "a\0c", 3, eas_secret_make(*state, "x", 1) };
    struct eas_err err;
    struct key ka, kb;

    assert_int_equal(eas_memory_key(memory, SCOPE, &a, ka.bytes, &err), EAS_OK);
    assert_int_equal(eas_memory_key(memory, SCOPE, &b, kb.bytes, &err), EAS_OK);
    assert_memory_not_equal(ka.bytes, kb.bytes, EAS_MEMORY_KEY_SIZE);
}

static void test_digests_hang_on_the_secret(void **state)
{
    static const unsigned char other[EAS_MEMORY_KEY_SIZE] = "another secret";
    struct eas_memory *memory = NULL;
    struct key one = key_of(make_memory(*state), *state, SCOPE, "alice", "secret"), two;
    struct eas_err err;

    two = key_of(make_memory(*state), *state, SCOPE, "alice", "secret");
    assert_memory_equal(one.bytes, two.bytes, sizeof(one.bytes));
    assert_int_equal(eas_memory_create(*state, ROOM, other, &memory, &err), EAS_OK);
    two = key_of(memory, *state, SCOPE, "alice", "secret");
    assert_memory_not_equal(one.bytes, two.bytes, sizeof(one.bytes));
}

static void test_expiry(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");

    remember(memory, &key, ALICE, 5000);
    assert_non_null(eas_memory_recall(memory, key.bytes, 4999, *state));
    assert_null(eas_memory_recall(memory, key.bytes, 5000, *state));
}

static void test_never_longer_than_the_evidence(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");

    remember(memory, &key, ALICE, LATER);
    assert_non_null(eas_memory_recall(memory, key.bytes, STALE - 1, *state));
    assert_null(eas_memory_recall(memory, key.bytes, STALE, *state));
}

static void test_remembering_again_replaces(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");
    struct eas_identity *recalled;

    remember(memory, &key, "old@CORP.EXAMPLE.COM", 5000);
    remember(memory, &key, ALICE, LATER);
    assert_int_equal(tickets_freed, 1);
    recalled = eas_memory_recall(memory, key.bytes, 6000, *state);
    assert_non_null(recalled);
    assert_string_equal(recalled->principal, ALICE);
}

static void test_memory_holds_the_evidence(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");

    remember(memory, &key, ALICE, 5000);
    assert_int_equal(tickets_freed, 0);
    assert_null(eas_memory_recall(memory, key.bytes, 5000, *state));
    assert_int_equal(tickets_freed, 1);
}

static void test_recalled_evidence_outlives_the_memory(void **state)
{
    struct eas_memory *memory;
    struct eas_identity *recalled;
    struct key key;
    apr_pool_t *child;

    assert_int_equal(apr_pool_create(&child, NULL), APR_SUCCESS);
    memory = make_memory(child);
    key = key_of(memory, child, SCOPE, "alice", "secret");
    remember(memory, &key, ALICE, LATER);
    recalled = eas_memory_recall(memory, key.bytes, 0, *state);
    apr_pool_destroy(child);
    assert_int_equal(tickets_freed, 0);
    assert_string_equal(recalled->principal, ALICE);
    assert_int_equal(eas_ticket_creds(recalled->evidence)->ticket.length, 700);
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

static void test_request_pools_give_their_references_back(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");
    apr_pool_t *request;
    int i;

    remember(memory, &key, ALICE, LATER);
    for (i = 0; i < 3; i++) {
        assert_int_equal(apr_pool_create(&request, NULL), APR_SUCCESS);
        assert_non_null(eas_memory_recall(memory, key.bytes, 0, request));
        apr_pool_destroy(request);
        assert_int_equal(tickets_freed, 0);
    }
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

/* The evidence counts, or a hundred thousand users would take up a gigabyte. */
static void test_memory_is_bounded(void **state)
{
    enum { USERS = 2000 };
    struct eas_memory *memory = make_memory(*state);
    struct key key = { { 0 } };
    unsigned i, found = 0;

    for (i = 0; i < USERS; i++) {
        memcpy(key.bytes, &i, sizeof(i));
        remember(memory, &key, ALICE, LATER);
    }
    for (i = 0; i < USERS; i++) {
        memcpy(key.bytes, &i, sizeof(i));
        found += eas_memory_recall(memory, key.bytes, 0, *state) != NULL;
    }
    assert_int_equal(tickets_freed, USERS - found);
    assert_uint_in_range(found, 1, ROOM / (700 + sizeof(krb5_creds)));
    assert_non_null(eas_memory_recall(memory, key.bytes, 0, *state));
}

/* What a thread of the next test works with. */
struct worker {
    struct eas_memory *memory;
    const struct key *expected;
    bool wrong;
};

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    static struct eas_secret secret = { (char *)"secret", 6 };
    const struct eas_credentials credentials = { "alice", 5, &secret };
    struct worker *worker = data;
    struct eas_identity *identity;
    struct eas_err err;
    struct key key;
    apr_pool_t *pool;
    int i;

    (void)thread;
    for (i = 0; i < 300; i++) {
        apr_pool_create(&pool, NULL);
        worker->wrong |= eas_memory_key(worker->memory, SCOPE, &credentials, key.bytes, &err) != 0
                         || memcmp(&key, worker->expected, sizeof(key)) != 0;
        identity = eas_memory_recall(worker->memory, key.bytes, 0, pool);
        worker->wrong |= identity == NULL || strcmp(identity->principal, ALICE) != 0;
        if (i % 10 == 0 && identity != NULL) {
            eas_memory_remember(worker->memory, key.bytes, identity, unstamped, LATER);
        }
        apr_pool_destroy(pool);
    }
    return NULL;
}

static void test_eight_threads(void **state)
{
    struct eas_memory *memory = make_memory(*state);
    struct key key = key_of(memory, *state, SCOPE, "alice", "secret");
    struct worker workers[UNIT_THREADS];
    size_t i;

    remember(memory, &key, ALICE, LATER);
    for (i = 0; i < UNIT_THREADS; i++) {
        workers[i] = (struct worker){ memory, &key, false };
    }
    unit_run_threads(*state, work, workers, sizeof(workers[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_false(workers[i].wrong);
    }
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

#define MEMORY_TEST(test) cmocka_unit_test_setup_teardown(test, reset, unit_destroy_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(test_recall_of_what_was_remembered),
        MEMORY_TEST(test_nothing_else_recalls_it),
        MEMORY_TEST(test_a_stamp_that_is_over),
        MEMORY_TEST(test_fields_do_not_run_together),
        MEMORY_TEST(test_long_passwords_differ_to_their_last_octet),
        MEMORY_TEST(test_names_are_taken_by_their_length),
        MEMORY_TEST(test_digests_hang_on_the_secret),
        MEMORY_TEST(test_expiry),
        MEMORY_TEST(test_never_longer_than_the_evidence),
        MEMORY_TEST(test_remembering_again_replaces),
        MEMORY_TEST(test_memory_holds_the_evidence),
        MEMORY_TEST(test_recalled_evidence_outlives_the_memory),
        MEMORY_TEST(test_request_pools_give_their_references_back),
        MEMORY_TEST(test_memory_is_bounded),
        MEMORY_TEST(test_eight_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
