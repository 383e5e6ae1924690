/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_credentials.c - where a proved password is looked for before a KDC is asked */

#include "t/unit/guards.h"
#include "t/unit/tickets.h"

#include "auth/password/credentials.h"

#include <stdbool.h>

#define END 4000000000u /* of tickets, in seconds */
#define WINDOW apr_time_from_sec(300)

/* --- a shelf of one place --------------------------------------------------------------------- */

static struct {
    unsigned char id[EAS_PASSWORD_CACHE_KEY_SIZE];
    unsigned char value[4096];
    apr_size_t len;
    apr_time_t expires;
    int looks;
    enum eas_shared_cache_reach reach; /* of the last look */
} place;

static bool find(const struct eas_shared_cache *shared_cache, apr_pool_t *pool, const void *id,
                 apr_size_t id_len, enum eas_shared_cache_reach reach, const unsigned char **value,
                 apr_size_t *len, apr_time_t *expires)
{
    (void)shared_cache, (void)pool;
    assert_int_equal(id_len, sizeof(place.id));
    place.looks++;
    place.reach = reach;
    if (place.len == 0 || memcmp(id, place.id, id_len) != 0) {
        return false;
    }
    *value = place.value;
    *len = place.len;
    *expires = place.expires;
    return true;
}

static void put(const struct eas_shared_cache *shared_cache, apr_pool_t *pool, const void *id,
                apr_size_t id_len, const void *value, apr_size_t len, apr_time_t expires)
{
    (void)shared_cache, (void)pool, (void)id, (void)id_len, (void)value, (void)len, (void)expires;
    fail_msg("nothing was proved that could be put");
}

static const struct eas_shared_cache shared_cache = { find, put, 0 };

static void fill_place(const unsigned char *id, const void *value, apr_size_t len)
{
    assert_true(len <= sizeof(place.value));
    memcpy(place.id, id, sizeof(place.id));
    memcpy(place.value, value, len);
    place.len = len;
    place.expires = apr_time_now() + WINDOW;
}

/* --- what asks ---------------------------------------------------------------------------------- */

static const struct eas_authority authority = { NULL, { "TEST", NULL }, 1 };

static struct eas_verifier *make_prover(apr_pool_t *pool)
{
    static const unsigned char secret[EAS_PASSWORD_CACHE_KEY_SIZE] =
        "any 32 bytes nobody else knows";
    /* No threads: whoever comes that far has to wait for the KDC, and waits in vain. */
    struct eas_workers_limits limits = { 0, 1, 1 };
    struct eas_verifier *verifier = apr_pcalloc(pool, sizeof(*verifier));
    struct eas_throttle *guard = apr_pcalloc(pool, sizeof(*guard));
    struct eas_err err;

    guard->keyring = guards_keyring(pool);
    guard->accounts = guards_store(pool);
    guard->hints = guards_store(pool);
    guard->generations =
        apr_pcalloc(pool, EAS_THROTTLE_PASSWORD_VERSIONS * sizeof(*guard->generations));
    verifier->guard = guard;
    memset(&place, 0, sizeof(place));
    verifier->workers = eas_workers_create(pool, limits);
    verifier->shared_cache = &shared_cache;
    assert_int_equal(eas_password_cache_create(eas_workers_pool(verifier->workers), 1 << 20, secret,
                                               &verifier->memory, &err),
                     EAS_OK);
    return verifier;
}

static struct eas_credentials credentials_of(apr_pool_t *pool, const char *name,
                                             const char *password)
{
    struct eas_credentials credentials = { name, strlen(name),
                                           eas_secret_make(pool, password, strlen(password)) };

    return credentials;
}

/* Asks for alice; returns the tag of the error, 0 if there was none. */
static int ask(const struct eas_verifier *verifier, apr_pool_t *pool, const char *name,
               const char *password, apr_interval_time_t remember, struct eas_identity **out)
{
    struct eas_credentials credentials = credentials_of(pool, name, password);
    struct eas_throttle_rules rules = { .proved_for = remember };
    struct eas_credentials_request request = { &authority, "scope", &credentials, &rules,
                                               "127.0.0.1" };
    struct eas_throttle_attempt attempt;
    apr_interval_time_t waited = 0;
    struct eas_err err;
    enum eas_rc rc;

    *out = NULL;
    rc = eas_credentials_check(verifier, pool, &request, out, &attempt, &waited, &err);
    assert_true((rc == EAS_OK) == (*out != NULL));
    return rc == EAS_OK ? 0 : err.tag;
}

static void key_of(const struct eas_verifier *verifier, apr_pool_t *pool, const char *name,
                   const char *password, unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE])
{
    struct eas_credentials credentials = credentials_of(pool, name, password);
    struct eas_err err;

    assert_int_equal(eas_password_cache_key(verifier->memory, "scope", &credentials, key, &err),
                     EAS_OK);
}

/* As another process would have left it, whose password was proved at that generation. */
static void leave_record(const struct eas_verifier *verifier, apr_pool_t *pool, const char *name,
                         const char *password, const char *principal,
                         struct eas_password_version stamp)
{
    krb5_creds creds = tickets_creds(1000, 1000, END);
    struct eas_ticket *ticket;
    apr_size_t name_len = strlen(principal) + 1, len;
    unsigned char record[4096], key[EAS_PASSWORD_CACHE_KEY_SIZE];
    const unsigned char *bytes;
    struct eas_err err;

    assert_int_equal(krb5_build_principal(NULL, &creds.server, 4, "TEST", "gateway", (char *)NULL),
                     0);
    ticket = eas_ticket_take(&creds);
    assert_int_equal(eas_ticket_marshal(ticket, pool, &bytes, &len, &err), EAS_OK);
    eas_throttle_write_version(verifier->guard, &stamp, record);
    memcpy(record + EAS_THROTTLE_VERSION_SIZE, principal, name_len);
    memcpy(record + EAS_THROTTLE_VERSION_SIZE + name_len, bytes, len);
    key_of(verifier, pool, name, password, key);
    fill_place(key, record, EAS_THROTTLE_VERSION_SIZE + name_len + len);
    eas_ticket_unref(ticket);
}

static const struct eas_password_version unstamped = { NULL, 0 };

/* --- tests ---------------------------------------------------------------------------------------- */

static void test_shelf_then_memory(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    struct eas_identity *identity;

    leave_record(verifier, *state, "alice", "secret", "alice@TEST", unstamped);
    assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 0);
    assert_string_equal(identity->principal, "alice@TEST");
    assert_int_equal(identity->authenticated_by, EAS_BY_CACHE);
    assert_non_null(identity->evidence);
    assert_int_equal(place.looks, 1);
    assert_int_equal(place.reach, EAS_SHARED_CACHE_LOCAL); /* the asker waits for no network */
    place.looks = 0;
    assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 0);
    assert_string_equal(identity->principal, "alice@TEST");
    assert_int_equal(place.looks, 0);
}

/* A new password was proved meanwhile, wherever: what was proved before counts no more. */
static void test_password_that_was_changed(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    volatile apr_uint32_t *generation = &verifier->guard->generations[4711];
    struct eas_password_version stamp = { generation, 7 };
    struct eas_identity *identity;

    *generation = 7;
    leave_record(verifier, *state, "alice", "secret", "alice@TEST", stamp);
    assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 0);
    *generation = 8;
    assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 1253);
}

/* Another gateway's generations say nothing here. */
static void test_stamp_of_another_gateway(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    struct eas_password_version stamp = { &verifier->guard->generations[4711], 7 };
    struct eas_identity *identity;

    leave_record(verifier, *state, "alice", "secret", "alice@TEST", stamp);
    place.value[0] ^= 1;
    assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 0);
}

static void test_other_credentials_find_nothing(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    struct eas_identity *identity;

    leave_record(verifier, *state, "alice", "secret", "alice@TEST", unstamped);
    assert_int_equal(ask(verifier, *state, "alice", "Secret", WINDOW, &identity), 1253);
    assert_int_equal(ask(verifier, *state, "bob", "secret", WINDOW, &identity), 1253);
    assert_int_equal(ask(verifier, *state, "alices", "ecret", WINDOW, &identity), 1253);
}

static void test_nothing_remembered_where_it_is_off(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    struct eas_identity *identity;

    leave_record(verifier, *state, "alice", "secret", "alice@TEST", unstamped);
    assert_int_equal(ask(verifier, *state, "alice", "secret", 0, &identity), 1253);
    assert_int_equal(place.looks, 0);
}

static void test_damaged_records_are_none(void **state)
{
    static const char stamp[EAS_THROTTLE_VERSION_SIZE];
    static const char *const records[] = { "", "alice@TEST", "\0", "alice@TEST\0junk" };
    static const apr_size_t lens[] = { 1, 10, 1, 15 };
    struct eas_verifier *verifier = make_prover(*state);
    unsigned char key[EAS_PASSWORD_CACHE_KEY_SIZE];
    struct eas_identity *identity;
    size_t i;

    key_of(verifier, *state, "alice", "secret", key);
    for (i = 0; i < COUNT_OF(records); i++) {
        char record[EAS_THROTTLE_VERSION_SIZE + 16];

        memcpy(record, stamp, sizeof(stamp));
        memcpy(record + sizeof(stamp), records[i], lens[i]);
        fill_place(key, record, sizeof(stamp) + lens[i]);
        assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 1253);
        fill_place(key, record, sizeof(stamp) - 1);
        assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 1253);
    }
}

static void test_names_that_cannot_be_users_ask_nobody(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    struct eas_identity *identity;

    assert_int_equal(ask(verifier, *state, "host$", "secret", WINDOW, &identity), 1002);
    assert_int_equal(ask(verifier, *state, "", "secret", WINDOW, &identity), 1001);
}

static void test_no_memory_proves_nobody(void **state)
{
    struct eas_verifier *verifier = make_prover(*state);
    struct eas_identity *identity;

    verifier->memory = NULL;
    assert_int_equal(ask(verifier, *state, "alice", "secret", WINDOW, &identity), 1256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_shelf_then_memory),
        POOL_TEST(test_password_that_was_changed),
        POOL_TEST(test_stamp_of_another_gateway),
        POOL_TEST(test_other_credentials_find_nothing),
        POOL_TEST(test_nothing_remembered_where_it_is_off),
        POOL_TEST(test_damaged_records_are_none),
        POOL_TEST(test_names_that_cannot_be_users_ask_nobody),
        POOL_TEST(test_no_memory_proves_nobody),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
