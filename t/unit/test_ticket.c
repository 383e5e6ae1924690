/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_ticket.c - Kerberos ticket with its session key, counted by references */

#include "t/unit/tickets.h"
#include "t/unit/unit.h"

#include "auth/kerberos/ticket.h"

#define HOUR 3600u

static int reset(void **state)
{
    tickets_freed = 0;
    return unit_make_pool(state);
}

static void test_take_clears_the_credentials(void **state)
{
    krb5_creds creds = tickets_creds(1, 2, 3), empty, before = creds;
    struct eas_ticket *ticket = eas_ticket_take(&creds);

    (void)state;
    memset(&empty, 0, sizeof(empty));
    assert_memory_equal(&creds, &empty, sizeof(creds));
    assert_memory_equal(eas_ticket_creds(ticket), &before, sizeof(before));
    eas_ticket_unref(ticket);
}

static void test_last_reference_frees_once(void **state)
{
    struct eas_ticket *ticket = tickets_make(0, HOUR);

    (void)state;
    assert_ptr_equal(eas_ticket_ref(ticket), ticket);
    eas_ticket_ref(ticket);
    eas_ticket_unref(ticket);
    eas_ticket_unref(ticket);
    assert_int_equal(tickets_freed, 0);
    assert_int_equal(eas_ticket_creds(ticket)->ticket.length, 700);
    eas_ticket_unref(ticket);
    assert_int_equal(tickets_freed, 1);
}

static void test_unref_of_null(void **state)
{
    (void)state;
    eas_ticket_unref(NULL);
    assert_int_equal(tickets_freed, 0);
}

static void test_pool_drops_one_reference(void **state)
{
    struct eas_ticket *ticket = tickets_make(0, HOUR);

    assert_ptr_equal(eas_ticket_to_pool(eas_ticket_ref(ticket), *state), ticket);
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 0);
    assert_ptr_equal(eas_ticket_to_pool(ticket, *state), ticket);
    apr_pool_clear(*state);
    assert_int_equal(tickets_freed, 1);
}

static void test_forwardable_depends_on_its_flag(void **state)
{
    static const struct {
        krb5_flags flags;
        bool forwardable;
    } rows[] = {
        { 0, false },
        { TKT_FLG_FORWARDABLE, true },
        { TKT_FLG_FORWARDED | TKT_FLG_INITIAL | TKT_FLG_OK_AS_DELEGATE, false },
        { TKT_FLG_PROXIABLE | TKT_FLG_RENEWABLE | TKT_FLG_PRE_AUTH, false },
        { TKT_FLG_FORWARDABLE | TKT_FLG_PRE_AUTH, true },
        { ~TKT_FLG_FORWARDABLE, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        krb5_creds creds = tickets_creds(0, 0, HOUR);
        struct eas_ticket *ticket;

        creds.ticket_flags = rows[i].flags;
        ticket = eas_ticket_take(&creds);
        assert_int_equal(eas_ticket_forwardable(ticket), rows[i].forwardable);
        eas_ticket_unref(ticket);
    }
}

/* Five minutes before the end, but at most a quarter of the life, which begins at starttime. */
static void test_end_and_stale_time(void **state)
{
    static const struct {
        const char *what;
        uint32_t auth, start, end;
        apr_int64_t stale;
    } rows[] = {
        { "ten hours", 1000, 1000, 37000, 36700 },
        { "twenty minutes: quarter and five minutes meet", 1000, 1000, 2200, 1900 },
        { "a second less: the quarter", 1000, 1000, 2199, 1900 },
        { "four minutes", 1000, 1000, 1240, 1180 },
        { "three seconds: no whole quarter", 1000, 1000, 1003, 1003 },
        { "no life", 1000, 1000, 1000, 1000 },
        { "an end before the start", 37000, 37000, 1000, 1000 },
        { "a late starttime", 1000, 36600, 37000, 36900 },
        { "no starttime: life begins at authtime", 1000, 0, 1400, 1300 },
        { "until the last signed second", 2147400000u, 2147400000u, 2147483647u, 2147483347 },
        { "across 2038", 2147483600u, 2147483600u, 2147487200u, 2147486900 },
        { "a short one across 2038", 2147483640u, 2147483640u, 2147484040u, 2147483940 },
        { "after 2038", 2500000000u, 2500000000u, 2500036000u, 2500035700 },
        { "until the last second of 2106", 4294900000u, 4294900000u, 4294967295u, 4294966995 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        krb5_creds creds = tickets_creds(rows[i].auth, rows[i].start, rows[i].end);
        struct eas_ticket *ticket = eas_ticket_take(&creds);
        apr_time_t stale = eas_ticket_stale_at(ticket), end = eas_ticket_end(ticket);

        eas_ticket_unref(ticket);
        if (stale != apr_time_from_sec(rows[i].stale)
            || end != apr_time_from_sec((apr_time_t)rows[i].end)) {
            fail_msg("%s: stale at %" APR_TIME_T_FMT ", end %" APR_TIME_T_FMT, rows[i].what,
                     apr_time_sec(stale), apr_time_sec(end));
        }
    }
}

/* The size bounds a cache, so it includes all members of variable length. */
static void test_size_grows_with_the_ticket(void **state)
{
    struct eas_ticket *small = tickets_make(0, HOUR), *large;
    krb5_creds creds = tickets_creds(0, 0, HOUR);

    (void)state;
    free(creds.ticket.data);
    creds.ticket.data = tickets_bytes(60000);
    creds.ticket.length = 60000;
    creds.second_ticket.data = tickets_bytes(5000);
    creds.second_ticket.length = 5000;
    large = eas_ticket_take(&creds);
    assert_true(eas_ticket_size(small) >= 700 + 32 + sizeof(krb5_creds));
    assert_int_equal(eas_ticket_size(large) - eas_ticket_size(small), 60000 - 700 + 5000);
    eas_ticket_unref(small);
    eas_ticket_unref(large);
}

/* A key is derived once, and no two threads have the same one. */
static void test_key_is_checked_out_once(void **state)
{
    struct eas_ticket *ticket = tickets_make(0, HOUR);
    struct eas_ticket_key *keys[EAS_TICKET_KEYS + 1], *again;
    size_t i, j;

    (void)state;
    for (i = 0; i < COUNT_OF(keys); i++) {
        assert_int_equal(eas_ticket_checkout_key(ticket, NULL, &keys[i]), 0);
        assert_int_equal(eas_ticket_key_enctype(keys[i]), ENCTYPE_AES256_CTS_HMAC_SHA1_96);
        for (j = 0; j < i; j++) {
            assert_ptr_not_equal(keys[j], keys[i]);
        }
    }
    for (i = 0; i < COUNT_OF(keys); i++) {
        eas_ticket_checkin_key(ticket, keys[i]); /* the ticket does not keep the last one */
    }
    for (i = 0; i < EAS_TICKET_KEYS; i++) {
        assert_int_equal(eas_ticket_checkout_key(ticket, NULL, &again), 0);
        assert_ptr_equal(again, keys[i]);
    }
    for (i = 0; i < EAS_TICKET_KEYS; i++) {
        eas_ticket_checkin_key(ticket, keys[i]);
    }
    eas_ticket_unref(ticket);
}

#define CHECKOUTS 20000

static void *APR_THREAD_FUNC checkout_and_checkin(apr_thread_t *thread, void *data)
{
    struct eas_ticket *ticket = *(struct eas_ticket **)data;
    unsigned char random[16], cipher[128];
    krb5_data in = { 0, sizeof(random), (char *)random };
    krb5_data out = { 0, 16 + sizeof(random) + 12, (char *)cipher };
    struct eas_ticket_key *key;
    int i;

    (void)thread;
    memset(random, 'r', sizeof(random));
    for (i = 0; i < CHECKOUTS && eas_ticket_checkout_key(ticket, NULL, &key) == 0; i++) {
        if (eas_ticket_key_encrypt(NULL, key, &in, &out) != 0) {
            break;
        }
        eas_ticket_checkin_key(ticket, key);
    }
    *(struct eas_ticket **)data = i == CHECKOUTS ? ticket : NULL;
    return NULL;
}

static void test_concurrent_checkouts(void **state)
{
    struct eas_ticket *ticket = tickets_make(0, HOUR), *theirs[UNIT_THREADS];
    size_t i;

    for (i = 0; i < UNIT_THREADS; i++) {
        theirs[i] = ticket;
    }
    unit_run_threads(*state, checkout_and_checkin, theirs, sizeof(theirs[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_ptr_equal(theirs[i], ticket);
    }
    eas_ticket_unref(ticket);
}

static void *APR_THREAD_FUNC ref_and_unref(apr_thread_t *thread, void *data)
{
    struct eas_ticket *ticket = *(struct eas_ticket **)data;
    int i;

    (void)thread;
    for (i = 0; i < 20000; i++) {
        eas_ticket_unref(eas_ticket_ref(ticket));
    }
    eas_ticket_unref(ticket);
    return NULL;
}

static void test_concurrent_references(void **state)
{
    struct eas_ticket *ticket = tickets_make(0, HOUR), *theirs[UNIT_THREADS];
    size_t i;

    for (i = 0; i < UNIT_THREADS; i++) {
        theirs[i] = eas_ticket_ref(ticket);
    }
    unit_run_threads(*state, ref_and_unref, theirs, sizeof(theirs[0]));
    assert_int_equal(tickets_freed, 0);
    eas_ticket_unref(ticket);
    assert_int_equal(tickets_freed, 1);
}

#define TICKET_TEST(test) cmocka_unit_test_setup_teardown(test, reset, unit_destroy_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TICKET_TEST(test_take_clears_the_credentials),
        TICKET_TEST(test_last_reference_frees_once),
        TICKET_TEST(test_unref_of_null),
        TICKET_TEST(test_pool_drops_one_reference),
        TICKET_TEST(test_forwardable_depends_on_its_flag),
        TICKET_TEST(test_end_and_stale_time),
        TICKET_TEST(test_size_grows_with_the_ticket),
        TICKET_TEST(test_key_is_checked_out_once),
        TICKET_TEST(test_concurrent_checkouts),
        TICKET_TEST(test_concurrent_references),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
