/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_ticket_cache.c - cache of service tickets and refusals, without a KDC */

#include "t/unit/krb5_files.h"
#include "t/unit/tickets.h"
#include "t/unit/unit.h"

#include "delegation/ticket_cache.h"

#include <string.h>

#define START 1000000
#define END (START + 36000)
#define NOW apr_time_from_sec(START + 60)
#define SECOND apr_time_from_sec(1)

/* One record, which another gateway could have put there. */
static struct {
    unsigned char bytes[4096];
    apr_size_t len;
    apr_time_t expires;
    unsigned finds;
    enum eas_shared_cache_reach reach; /* of the last find */
} shared;

static bool shared_find(const struct eas_shared_cache *self, apr_pool_t *pool, struct eas_bytes id,
                        enum eas_shared_cache_reach reach, struct eas_bytes *value,
                        apr_time_t *expires)
{
    (void)self;
    (void)pool;
    (void)id;
    shared.finds++;
    shared.reach = reach;
    *value = eas_bytes_make(shared.bytes, shared.len);
    *expires = shared.expires;
    return shared.len > 0;
}

static void shared_put(const struct eas_shared_cache *self, apr_pool_t *pool, struct eas_bytes id,
                       struct eas_bytes value, apr_time_t expires)
{
    (void)self;
    (void)pool;
    (void)id;
    assert_true(value.len <= sizeof(shared.bytes));
    memcpy(shared.bytes, value.at, value.len);
    shared.len = value.len;
    shared.expires = expires;
}

static struct eas_ticket_cache *make_cache(apr_pool_t *pool)
{
    static const struct eas_shared_cache shared_cache = { .find = shared_find, .put = shared_put };

    memset(&shared, 0, sizeof(shared));
    return eas_ticket_cache_create(pool, 1024 * 1024, &shared_cache);
}

/* Of the pool; with a server, without which libkrb5 does not marshal credentials. */
static struct eas_ticket *make_ticket(apr_pool_t *pool)
{
    struct eas_ticket *ticket = eas_ticket_to_pool(tickets_make(START, END), pool);

    assert_int_equal(krb5_build_principal(NULL, &eas_ticket_creds(ticket)->server, 4, "TEST",
                                          "HTTP", "cas1", (char *)NULL),
                     0);
    return ticket;
}

/* Puts a new ticket for key `k`. */
static struct eas_ticket *put(struct eas_ticket_cache *cache, apr_pool_t *pool, bool replaced,
                              apr_time_t now)
{
    struct eas_ticket *ticket = make_ticket(pool);

    eas_ticket_cache_put(cache, pool, eas_bytes_of_text("k"), ticket, replaced, now);
    return ticket;
}

/* Finds key `k`; gives up the reference. */
static enum eas_ticket_cache_state find(struct eas_ticket_cache *cache,
                                        const struct eas_ticket *refused,
                                        apr_time_t renewable_until, apr_time_t now)
{
    const struct eas_ticket_cache_query query = { .key = eas_bytes_of_text("k"),
                                                  .spn = "HTTP/cas1",
                                                  .refused = refused,
                                                  .renewable_until = renewable_until };
    struct eas_ticket *ticket;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_ticket_cache_state state = eas_ticket_cache_find(cache, &query, now, &ticket, &err);

    assert_int_equal(ticket != NULL,
                     state == EAS_TICKET_CACHE_HIT || state == EAS_TICKET_CACHE_RENEWAL_DUE);
    assert_int_equal(err.rc != EAS_OK, state == EAS_TICKET_CACHE_REFUSED);
    eas_ticket_unref(ticket);
    return state;
}

static void test_hit_until_stale(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *ticket = put(cache, *state, false, NOW);
    apr_time_t stale = eas_ticket_stale_at(ticket);

    assert_int_equal(find(cache, NULL, 0, NOW), EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, 0, stale - 1), EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, 0, stale), EAS_TICKET_CACHE_NOTHING);
}

static void test_other_key(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *ticket = make_ticket(*state);

    eas_ticket_cache_put(cache, *state, eas_bytes_of_text("kk"), ticket, false, NOW);
    assert_int_equal(find(cache, NULL, 0, NOW), EAS_TICKET_CACHE_NOTHING);
}

static void test_renewal_is_due_for_one_caller(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    apr_time_t renew_at = eas_ticket_renew_at(put(cache, *state, false, NOW));

    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at - 1), EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at), EAS_TICKET_CACHE_RENEWAL_DUE);
    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at), EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at + 29 * SECOND),
                     EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at + 30 * SECOND),
                     EAS_TICKET_CACHE_RENEWAL_DUE);
}

/* A ticket that came near its end, as one can from another gateway. */
static void test_no_renewal_of_a_new_ticket(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *ticket = make_ticket(*state);
    apr_time_t renew_at = eas_ticket_renew_at(ticket);

    eas_ticket_cache_put(cache, *state, eas_bytes_of_text("k"), ticket, false, renew_at);
    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at + 29 * SECOND),
                     EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, APR_INT64_MAX, renew_at + 30 * SECOND),
                     EAS_TICKET_CACHE_RENEWAL_DUE);
}

/* The evidence ends with the ticket; or the caller cannot renew. */
static void test_no_renewal_without_a_later_end(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *ticket = put(cache, *state, false, NOW);
    apr_time_t renew_at = eas_ticket_renew_at(ticket), end = eas_ticket_end(ticket);

    assert_int_equal(find(cache, NULL, 0, renew_at), EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, end, renew_at), EAS_TICKET_CACHE_HIT);
    assert_int_equal(find(cache, NULL, end + 1, renew_at), EAS_TICKET_CACHE_RENEWAL_DUE);
}

static void test_refusal_by_the_kdc(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    const struct eas_ticket_cache_query query = { .key = eas_bytes_of_text("k"),
                                                  .spn = "HTTP/cas1" };
    struct eas_ticket *ticket;
    struct eas_err refusal, err;

    eas_fail(&refusal, EAS_FORBIDDEN, 2030, "this user may not be delegated");
    eas_ticket_cache_put_refusal(cache, eas_bytes_of_text("k"), &refusal, NOW);
    assert_int_equal(eas_ticket_cache_find(cache, &query, NOW, &ticket, &err),
                     EAS_TICKET_CACHE_REFUSED);
    assert_null(ticket);
    assert_int_equal(err.rc, EAS_FORBIDDEN);
    assert_int_equal(err.tag, 2030);
    assert_string_equal(err.text, refusal.text);
    assert_int_equal(find(cache, NULL, 0, NOW + 10 * SECOND - 1), EAS_TICKET_CACHE_REFUSED);
    assert_int_equal(find(cache, NULL, 0, NOW + 10 * SECOND), EAS_TICKET_CACHE_NOTHING);
    assert_int_equal(shared.len, 0);
}

static void test_refusal_replaces_a_ticket(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_err refusal;

    put(cache, *state, false, NOW);
    eas_fail(&refusal, EAS_UNAVAILABLE, 2021, "no KDC answered");
    eas_ticket_cache_put_refusal(cache, eas_bytes_of_text("k"), &refusal, NOW);
    assert_int_equal(find(cache, NULL, 0, NOW), EAS_TICKET_CACHE_REFUSED);
}

/* The ticket that another caller fetched meanwhile is a hit. */
static void test_ticket_that_the_backend_refused(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *refused = put(cache, *state, false, NOW);
    struct eas_ticket *other = make_ticket(*state);

    eas_ticket_creds(other)->ticket.data[0] ^= 1;
    assert_int_equal(find(cache, refused, 0, NOW), EAS_TICKET_CACHE_NOTHING);
    assert_int_equal(find(cache, NULL, 0, NOW), EAS_TICKET_CACHE_HIT);
    eas_ticket_cache_put(cache, *state, eas_bytes_of_text("k"), other, true, NOW);
    assert_int_equal(find(cache, refused, 0, NOW), EAS_TICKET_CACHE_HIT);
}

static void test_replaced_ticket_stays_for_a_minute(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *ticket = put(cache, *state, true, NOW);
    const struct eas_ticket_cache_query query = { .key = eas_bytes_of_text("k"),
                                                  .spn = "HTTP/cas1",
                                                  .refused = ticket };
    struct eas_ticket *found;
    struct eas_err err;

    assert_int_equal(eas_ticket_cache_find(cache, &query, NOW, &found, &err),
                     EAS_TICKET_CACHE_REFUSED);
    assert_int_equal(err.rc, EAS_BACKEND);
    assert_int_equal(err.tag, 2110);
    assert_non_null(strstr(err.text, "HTTP/cas1"));
    assert_int_equal(find(cache, ticket, 0, NOW + 60 * SECOND - 1), EAS_TICKET_CACHE_REFUSED);
    assert_int_equal(find(cache, ticket, 0, NOW + 60 * SECOND), EAS_TICKET_CACHE_NOTHING);
    /* The clock of the gateway that put it was fast. */
    assert_int_equal(find(cache, ticket, 0, NOW - 1), EAS_TICKET_CACHE_NOTHING);
}

static void test_load_from_the_shared_cache(void **state)
{
    struct eas_ticket *ticket = put(make_cache(*state), *state, true, NOW);
    unsigned char record[sizeof(shared.bytes)];
    apr_size_t len = shared.len;
    struct eas_ticket_cache *cache;

    assert_int_equal(shared.expires, eas_ticket_stale_at(ticket));
    memcpy(record, shared.bytes, len);
    cache = make_cache(*state);
    assert_false(eas_ticket_cache_load(cache, *state, eas_bytes_of_text("k"),
                                       EAS_SHARED_CACHE_LOCAL, 0, NOW));
    memcpy(shared.bytes, record, len);
    shared.len = len;
    assert_true(eas_ticket_cache_load(cache, *state, eas_bytes_of_text("k"),
                                      EAS_SHARED_CACHE_REMOTE, 0, NOW));
    assert_int_equal(shared.reach, EAS_SHARED_CACHE_REMOTE);
    assert_int_equal(find(cache, NULL, 0, NOW), EAS_TICKET_CACHE_HIT);
    /* Its replacement of a refused ticket is known here, too. */
    assert_int_equal(find(cache, ticket, 0, NOW), EAS_TICKET_CACHE_REFUSED);
    assert_int_equal(shared.finds, 2);
}

/* No gateway writes that time; a difference to it overflows. */
static void test_load_of_the_earliest_replacement(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    struct eas_ticket *ticket = put(cache, *state, true, NOW);
    const apr_time_t earliest = APR_INT64_MIN;

    memcpy(shared.bytes, &earliest, sizeof(earliest));
    assert_true(eas_ticket_cache_load(cache, *state, eas_bytes_of_text("k"), EAS_SHARED_CACHE_LOCAL,
                                      0, NOW));
    assert_int_equal(find(cache, ticket, 0, NOW), EAS_TICKET_CACHE_NOTHING);
}

static void test_load_of_a_later_ticket_only(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    apr_time_t end = eas_ticket_end(put(cache, *state, false, NOW));

    assert_false(eas_ticket_cache_load(cache, *state, eas_bytes_of_text("k"),
                                       EAS_SHARED_CACHE_REMOTE, end, NOW));
    assert_true(eas_ticket_cache_load(cache, *state, eas_bytes_of_text("k"),
                                      EAS_SHARED_CACHE_REMOTE, end - 1, NOW));
}

static void test_load_of_a_cut_record(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);

    put(cache, *state, false, NOW);
    for (shared.len--; shared.len > 0; shared.len /= 2) {
        assert_false(eas_ticket_cache_load(cache, *state, eas_bytes_of_text("k"),
                                           EAS_SHARED_CACHE_LOCAL, 0, NOW));
    }
}

/* The last reference frees a ticket. */
static void test_references(void **state)
{
    apr_pool_t *pool;
    apr_uint32_t freed;
    struct eas_ticket_cache *cache;

    assert_int_equal(apr_pool_create(&pool, *state), APR_SUCCESS);
    cache = make_cache(*state);
    put(cache, pool, false, NOW);
    freed = tickets_freed;
    apr_pool_destroy(pool);
    assert_int_equal(tickets_freed, freed);
    assert_int_equal(find(cache, NULL, 0, NOW), EAS_TICKET_CACHE_HIT);
    put(cache, *state, false, NOW);
    assert_int_equal(tickets_freed, freed + 1);
}

/* Of all threads, one is to renew. */
struct thread {
    struct eas_ticket_cache *cache;
    apr_time_t now;
    unsigned due;
};

static void *APR_THREAD_FUNC find_many(apr_thread_t *thread, void *data)
{
    struct thread *self = data;
    int i;

    (void)thread;
    for (i = 0; i < 10000; i++) {
        self->due +=
            find(self->cache, NULL, APR_INT64_MAX, self->now) == EAS_TICKET_CACHE_RENEWAL_DUE;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct eas_ticket_cache *cache = make_cache(*state);
    apr_time_t renew_at = eas_ticket_renew_at(put(cache, *state, false, NOW));
    struct thread threads[UNIT_THREADS];
    unsigned due = 0;
    size_t i;

    for (i = 0; i < UNIT_THREADS; i++) {
        threads[i] = (struct thread){ .cache = cache, .now = renew_at };
    }
    unit_run_threads(*state, find_many, threads, sizeof(threads[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        due += threads[i].due;
    }
    assert_int_equal(due, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_hit_until_stale),
        POOL_TEST(test_other_key),
        POOL_TEST(test_renewal_is_due_for_one_caller),
        POOL_TEST(test_no_renewal_of_a_new_ticket),
        POOL_TEST(test_no_renewal_without_a_later_end),
        POOL_TEST(test_refusal_by_the_kdc),
        POOL_TEST(test_refusal_replaces_a_ticket),
        POOL_TEST(test_ticket_that_the_backend_refused),
        POOL_TEST(test_replaced_ticket_stays_for_a_minute),
        POOL_TEST(test_load_from_the_shared_cache),
        POOL_TEST(test_load_of_the_earliest_replacement),
        POOL_TEST(test_load_of_a_later_ticket_only),
        POOL_TEST(test_load_of_a_cut_record),
        POOL_TEST(test_references),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
