/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_slots.c - slots for backend connections: leases, owners, limit */

#include "t/unit/unit.h"

#include "delegation/proxy/slots.h"

#include <apr_strings.h>
#include <stdatomic.h>

#define MAX 3
#define T0 apr_time_from_sec(1000000)
#define NO_WAIT 0

/* The result of a take: what the caller finds in the slot. */
enum found { NOTHING, OWN, OTHER, FULL };

static enum found take(struct eas_slots *slots, const char *owner, struct eas_slot **out)
{
    bool close_first = false;

    *out = eas_slots_take(slots, owner, NO_WAIT, &close_first);
    if (*out == NULL) {
        return FULL;
    }
    if (close_first) {
        (*out)->kept = false;
        return OTHER;
    }
    return (*out)->kept ? OWN : NOTHING;
}

/* An exchange that keeps its connection, or does not. */
static enum found use(struct eas_slots *slots, const char *owner, bool keep, apr_time_t now)
{
    struct eas_slot *slot;
    enum found found = take(slots, owner, &slot);

    if (slot != NULL) {
        eas_slots_put(slots, slot, keep, now);
    }
    return found;
}

static void test_an_owner_finds_its_connection(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MAX);

    assert_int_equal(use(slots, "alice", true, T0), NOTHING);
    assert_int_equal(use(slots, "bob", true, T0 + 1), NOTHING);
    assert_int_equal(use(slots, "alice", true, T0 + 2), OWN);
    assert_int_equal(use(slots, "bob", true, T0 + 3), OWN);
}

static void test_what_is_not_kept_is_not_found(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MAX);

    assert_int_equal(use(slots, "alice", false, T0), NOTHING);
    assert_int_equal(use(slots, "alice", true, T0), NOTHING);
    assert_int_equal(use(slots, "alice", false, T0), OWN);
    assert_int_equal(use(slots, "alice", true, T0), NOTHING);
}

/* One owner's requests at once. */
static void test_a_leased_slot_is_nobody_elses(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    struct eas_slot *held[MAX], *none;
    int i, j;

    for (i = 0; i < MAX; i++) {
        assert_int_equal(take(slots, "alice", &held[i]), NOTHING);
        for (j = 0; j < i; j++) {
            assert_ptr_not_equal(held[i], held[j]);
        }
    }
    assert_int_equal(take(slots, "alice", &none), FULL);
    assert_int_equal(take(slots, "bob", &none), FULL);
    for (i = 0; i < MAX; i++) {
        eas_slots_put(slots, held[i], true, T0 + i);
    }
    /* The last used one is the warmest. */
    for (i = MAX; i-- > 0;) {
        assert_int_equal(take(slots, "alice", &none), OWN);
        assert_ptr_equal(none, held[i]);
    }
}

static void test_the_longest_idle_connection_makes_room(void **state)
{
    static const char *const owners[] = { "alice", "bob", "carol" };
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    int i;

    for (i = 0; i < MAX; i++) {
        assert_int_equal(use(slots, owners[i], true, T0 + i), NOTHING);
    }
    assert_int_equal(use(slots, "alice", true, T0 + 10), OWN);
    assert_int_equal(use(slots, "dave", true, T0 + 11), OTHER); /* bob's */
    assert_int_equal(use(slots, "carol", true, T0 + 12), OWN);
    assert_int_equal(use(slots, "alice", true, T0 + 13), OWN);
    assert_int_equal(use(slots, "dave", true, T0 + 14), OWN);
    assert_int_equal(use(slots, "bob", true, T0 + 15), OTHER); /* carol's */
    assert_int_equal(use(slots, "carol", true, T0 + 16), OTHER);
}

/* Empty slots come before idle ones of others. */
static void test_nobody_loses_a_connection_without_need(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    struct eas_slot *a, *b;

    assert_int_equal(use(slots, "alice", true, T0), NOTHING);
    assert_int_equal(take(slots, "bob", &a), NOTHING);
    assert_int_equal(take(slots, "bob", &b), NOTHING);
    eas_slots_put(slots, a, false, T0);
    eas_slots_put(slots, b, false, T0);
    assert_int_equal(use(slots, "carol", true, T0), NOTHING);
    assert_int_equal(use(slots, "alice", true, T0), OWN);
}

static void test_idle_connections_to_close(void **state)
{
    static const char *const owners[] = { "alice", "bob", "alice" };
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    struct eas_slot *held[MAX], *slot;
    int i;

    assert_null(eas_slots_take_idle(slots, T0 + 100, 0));
    for (i = 0; i < MAX; i++) {
        take(slots, owners[i], &held[i]);
    }
    for (i = 0; i < MAX; i++) {
        eas_slots_put(slots, held[i], true, T0 + i);
    }
    assert_null(eas_slots_take_idle(slots, T0, 0));
    assert_null(eas_slots_take_idle(slots, T0 + 100, MAX));
    assert_ptr_equal(eas_slots_take_idle(slots, T0 + 1, 0), held[0]);
    assert_null(eas_slots_take_idle(slots, T0 + 1, 0));
    assert_null(eas_slots_take_idle(slots, T0 + 100, 2));
    eas_slots_put(slots, held[0], false, 0);
    /* alice's other one is still hers. */
    assert_int_equal(take(slots, "alice", &slot), OWN);
    assert_ptr_equal(slot, held[2]);
}

#define MANY 200

/* So many that some have the same hash, up to the number of slots. */
static void test_many_owners(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MANY);
    const char *owners[2 * MANY];
    int i;

    for (i = 0; i < 2 * MANY; i++) {
        owners[i] = apr_psprintf(*state, "user%d", i);
    }
    for (i = 0; i < MANY; i++) {
        assert_int_equal(use(slots, owners[i], true, T0 + i), NOTHING);
    }
    for (i = MANY - 1; i >= 0; i--) {
        assert_int_equal(use(slots, owners[i], true, T0 + 2 * MANY - i), OWN);
    }
    /* They take the places of the longest idle, of which the last is owners[MANY / 2]. */
    for (i = MANY; i < MANY + MANY / 2; i++) {
        assert_int_equal(use(slots, owners[i], true, T0 + 2 * MANY + i), OTHER);
    }
    for (i = 0; i < MANY + MANY / 2; i++) {
        if (i < MANY / 2 || i >= MANY) {
            assert_int_equal(use(slots, owners[i], true, T0 + 4 * MANY + i), OWN);
        }
    }
}

#define ROUNDS 20000

struct thread {
    struct eas_slots *slots;
    _Atomic unsigned *leases;
    unsigned number;
    unsigned served;
    unsigned clashes;
};

/* Five owners and eight threads meet in three slots.  A slot's handle counts its leases. */
static void *APR_THREAD_FUNC compete(apr_thread_t *thread, void *data)
{
    static const char *const owners[] = { "a", "b", "c", "d", "e" };
    static _Atomic unsigned handles;
    struct thread *t = data;
    bool close_first;
    int i;

    (void)thread;
    for (i = 0; i < ROUNDS; i++) {
        const char *owner = owners[(i + (int)t->number) % 5];
        struct eas_slot *slot =
            eas_slots_take(t->slots, owner, apr_time_from_sec(10), &close_first);

        if (slot == NULL) {
            continue;
        }
        if (slot->handle == NULL) {
            slot->handle = &t->leases[atomic_fetch_add(&handles, 1)];
        }
        t->served++;
        t->clashes += atomic_fetch_add((_Atomic unsigned *)slot->handle, 1) != 0;
        t->clashes += strcmp(slot->owner, owner) != 0;
        atomic_fetch_sub((_Atomic unsigned *)slot->handle, 1);
        eas_slots_put(t->slots, slot, i % 7 != 0, i);
        if (i % 100 == 0 && (slot = eas_slots_take_idle(t->slots, ROUNDS, 0)) != NULL) {
            eas_slots_put(t->slots, slot, false, 0);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct thread threads[UNIT_THREADS];
    _Atomic unsigned leases[MAX] = { 0 };
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    unsigned i;

    for (i = 0; i < UNIT_THREADS; i++) {
        threads[i] = (struct thread){ .slots = slots, .leases = leases, .number = i };
    }
    unit_run_threads(*state, compete, threads, sizeof(threads[0]));
    for (i = 0; i < UNIT_THREADS; i++) {
        assert_int_equal(threads[i].clashes, 0);
        assert_int_equal(threads[i].served, ROUNDS);
    }
}

static void test_closing_one_that_is_aside_makes_no_room(void **state)
{
    static const char *const others[MAX] = { "bob", "carol", "dave" };
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    struct eas_slot *held[MAX], *slot;
    int i;

    for (i = 0; i < MAX; i++) {
        assert_int_equal(take(slots, "alice", &held[i]), NOTHING);
        eas_slots_set_aside(slots, held[i]);
    }
    for (i = 0; i < MAX; i++) {
        eas_slots_put(slots, held[i], true, T0 + i);
    }
    for (i = 0; i < MAX; i++) {
        assert_int_equal(use(slots, others[i], true, T0 + 10 + i), NOTHING);
    }
    assert_int_equal(take(slots, "alice", &slot), OWN); /* one too many from now on */
    slot = eas_slots_take_idle(slots, T0, 2 * MAX);
    assert_string_equal(slot->owner, "bob");
    eas_slots_put(slots, slot, false, T0);
    assert_null(eas_slots_take_idle(slots, T0, 2 * MAX));
}

static void test_any_limit_can_be_set(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, 999999999);
    struct eas_slot *slot;

    assert_int_equal(take(slots, "alice", &slot), NOTHING);
    eas_slots_put(slots, slot, true, T0);
    assert_int_equal(use(slots, "alice", true, T0), OWN);
}

static void test_a_lease_that_is_set_aside_does_not_count(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    struct eas_slot *held[MAX], *more, *none;
    int i;

    for (i = 0; i < MAX; i++) {
        assert_int_equal(take(slots, "alice", &held[i]), NOTHING);
    }
    assert_int_equal(take(slots, "bob", &none), FULL);
    eas_slots_set_aside(slots, held[0]);
    assert_int_equal(take(slots, "bob", &more), NOTHING);
    assert_int_equal(take(slots, "carol", &none), FULL);
    eas_slots_set_aside(slots, held[0]);
    assert_int_equal(take(slots, "carol", &none), FULL);
    eas_slots_put(slots, held[0], false, T0);
    assert_int_equal(take(slots, "carol", &none), FULL);
}

static void test_its_idle_slot_does_not_count_until_the_next_lease(void **state)
{
    struct eas_slots *slots = eas_slots_create(*state, MAX);
    struct eas_slot *held[MAX], *more, *idle;
    int i;

    for (i = 0; i < MAX; i++) {
        assert_int_equal(take(slots, "alice", &held[i]), NOTHING);
    }
    eas_slots_set_aside(slots, held[0]);
    assert_int_equal(take(slots, "bob", &more), NOTHING);
    eas_slots_put(slots, held[0], true, T0);
    assert_null(eas_slots_take_idle(slots, T0, MAX + 1));
    assert_int_equal(use(slots, "alice", true, T0 + 1), OWN);
    /* They are one too many. */
    idle = eas_slots_take_idle(slots, T0, MAX + 1);
    assert_ptr_equal(idle, held[0]);
    eas_slots_put(slots, idle, false, T0);
    assert_null(eas_slots_take_idle(slots, T0 + 2, 0));
    assert_int_equal(take(slots, "carol", &idle), FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_an_owner_finds_its_connection),
        POOL_TEST(test_what_is_not_kept_is_not_found),
        POOL_TEST(test_a_leased_slot_is_nobody_elses),
        POOL_TEST(test_the_longest_idle_connection_makes_room),
        POOL_TEST(test_nobody_loses_a_connection_without_need),
        POOL_TEST(test_idle_connections_to_close),
        POOL_TEST(test_a_lease_that_is_set_aside_does_not_count),
        POOL_TEST(test_closing_one_that_is_aside_makes_no_room),
        POOL_TEST(test_any_limit_can_be_set),
        POOL_TEST(test_its_idle_slot_does_not_count_until_the_next_lease),
        POOL_TEST(test_many_owners),
        POOL_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
