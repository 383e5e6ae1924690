/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_shm_table_update.c - atomic updates of records in shared memory */

#include "t/unit/unit.h"

#include "auth/base/shm_table.h"

#include <apr_shm.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEVER APR_INT64_MAX
#define KB 1024

static struct eas_shm_table *make_table(apr_pool_t *pool, apr_size_t size)
{
    apr_shm_t *shm;

    assert_int_equal(apr_shm_create(&shm, size, NULL, pool), APR_SUCCESS);
    eas_shm_table_format(apr_shm_baseaddr_get(shm), size);
    return eas_shm_table_attach(apr_shm_baseaddr_get(shm), size);
}

static void make_key(unsigned char key[EAS_SHM_TABLE_KEY_SIZE], uint64_t id)
{
    uint64_t word = (id + 1) * 0x9e3779b97f4a7c15u;

    memset(key, 0x5a, EAS_SHM_TABLE_KEY_SIZE);
    memcpy(key, &word, sizeof(word));
    memcpy(key + 8, &id, sizeof(id));
}

/* add() counts: the value is a counter, and len bytes of its low octet. */
struct addition {
    uint64_t amount;
    apr_size_t len;
    apr_time_t expires;
    uint64_t result; /* out */
    bool found;      /* out */
    bool torn;       /* out: the bytes do not belong to the counter */
    bool cancel;
};

static bool add(void *data, struct eas_shm_table_value *value)
{
    struct addition *a = data;
    uint64_t count = 0;
    apr_size_t i;

    a->found = value->len > 0;
    if (a->found) {
        memcpy(&count, value->bytes, sizeof(count));
        for (i = sizeof(count); i < value->len; i++) {
            a->torn = a->torn || value->bytes[i] != (unsigned char)count;
        }
    }
    count += a->amount;
    a->result = count;
    memset(value->bytes, (unsigned char)count, sizeof(value->bytes));
    memcpy(value->bytes, &count, sizeof(count));
    value->len = sizeof(count) + a->len;
    value->expires = a->expires;
    return !a->cancel;
}

static struct addition update(struct eas_shm_table *table, uint64_t id, uint64_t amount,
                              apr_size_t len, apr_time_t now, apr_time_t expires)
{
    struct addition a = { .amount = amount, .len = len, .expires = expires };
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    assert_true(eas_shm_table_update(table, key, now, add, &a));
    return a;
}

static void test_update_creates_changes_or_leaves_a_record(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    struct addition a = update(table, 1, 5, 0, 1, NEVER);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t len;

    assert_false(a.found);
    a = update(table, 1, 2, 10, 1, NEVER);
    assert_true(a.found);
    assert_int_equal(a.result, 7);
    a.cancel = true;
    make_key(key, 1);
    assert_true(eas_shm_table_update(table, key, 1, add, &a));
    assert_int_equal(a.result, 9);
    assert_true(eas_shm_table_get(table, *state, key, 1, &value, &len));
    assert_int_equal(len, 18);
    assert_int_equal(value[0], 7);
    assert_false(update(table, 2, 1, 0, 1, NEVER).found);
    eas_shm_table_drop(table, key);
    assert_false(update(table, 1, 1, 0, 1, NEVER).found);
}

static void test_cancelled_update_creates_nothing(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    struct addition a = { .amount = 1, .expires = NEVER, .cancel = true };
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    const unsigned char *value;
    apr_size_t len;

    make_key(key, 1);
    assert_true(eas_shm_table_update(table, key, 1, add, &a));
    assert_false(eas_shm_table_get(table, *state, key, 1, &value, &len));
}

static void test_expiry(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);

    update(table, 1, 1, 0, 10, 20);
    assert_true(update(table, 1, 1, 0, 19, 30).found);
    assert_false(update(table, 1, 1, 0, 30, 40).found);
}

static void test_each_size_grows_and_shrinks(void **state)
{
    struct eas_shm_table *table = make_table(*state, 256 * KB);
    apr_size_t len, max = EAS_SHM_TABLE_UPDATE_MAX - sizeof(uint64_t);
    uint64_t n = 0;

    for (len = 0; len <= max; len++) {
        struct addition a = update(table, 1, 1, len, 1, NEVER);

        assert_int_equal(a.result, ++n);
        assert_false(a.torn);
        a = update(table, 1, 1, max - len, 1, NEVER);
        assert_int_equal(a.result, ++n);
        assert_false(a.torn);
    }
}

/* Many updates of one record evict no other: a client could otherwise make the gateway forget. */
static void test_updates_evict_no_other_record(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    int i;

    for (i = 0; i < 50; i++) {
        update(table, (uint64_t)i, 1, 100, 1, NEVER);
    }
    for (i = 0; i < 100000; i++) {
        update(table, 50, 1, (apr_size_t)i % 1000, 1, NEVER);
    }
    for (i = 0; i < 50; i++) {
        assert_int_equal(update(table, (uint64_t)i, 1, 100, 1, NEVER).result, 2);
    }
    assert_int_equal(update(table, 50, 0, 0, 1, NEVER).result, 100000);
}

/* A record that is read from time to time survives any number of new ones. */
static void test_records_in_use_are_not_evicted(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    struct addition a = { .amount = 0, .expires = NEVER, .cancel = true };
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    uint64_t i;

    update(table, 1, 7, 0, 1, NEVER);
    make_key(key, 1);
    for (i = 0; i < 20000; i++) {
        update(table, 100 + i, 1, 0, 1, NEVER);
        if (i % 50 == 0) {
            assert_true(eas_shm_table_update(table, key, 1, add, &a));
            assert_true(a.found);
            assert_int_equal(a.result, 7);
        }
    }
    assert_false(update(table, 100, 1, 0, 1, NEVER).found);
}

/* --- several processes --- */

#define PROCESSES 6
#define KEYS 3
#define ROUNDS 20000

/* A child must not assert: after a failure it would go on with the parent's code. */
static void hammer(struct eas_shm_table *table, uint64_t seed, atomic_bool *torn)
{
    unsigned i;

    for (i = 0; i < ROUNDS; i++) {
        struct addition a = { .amount = 1, .expires = NEVER };
        unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

        a.len = (seed * 31 + i * 7) % 600;
        make_key(key, i % KEYS);
        if (!eas_shm_table_update(table, key, 1, add, &a) || a.torn) {
            atomic_store(torn, true);
        }
    }
}

static void *share(apr_size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static void test_processes_lose_no_update(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    atomic_bool *torn = share(sizeof(*torn));
    uint64_t total = 0, id;
    pid_t pids[PROCESSES];
    int status, i;

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            hammer(table, (uint64_t)i, torn);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (id = 0; id < KEYS; id++) {
        total += update(table, id, 0, 0, 1, NEVER).result;
    }
    assert_int_equal(total, PROCESSES * ROUNDS);
    assert_false(atomic_load(torn));
}

/* A process killed in an update leaves the old value or the new one, and no waiting process. */
static void test_killed_processes_leave_whole_values(void **state)
{
    struct eas_shm_table *table = make_table(*state, 64 * KB);
    atomic_bool *torn = share(sizeof(*torn));
    atomic_ulong *done = share(sizeof(*done));
    unsigned round;
    int status;

    for (round = 0; round < 300; round++) {
        unsigned long before = atomic_load(done);
        struct addition a;
        pid_t pid = fork();

        if (pid == 0) {
            for (;;) {
                struct addition one = { .amount = 1, .len = 500, .expires = NEVER };
                unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

                make_key(key, 1);
                eas_shm_table_update(table, key, 1, add, &one);
                atomic_fetch_add(done, 1);
            }
        }
        while (atomic_load(done) < before + 3) {
            usleep(20);
        }
        usleep(round % 97);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        a = update(table, 1, 0, 500, 1, NEVER);
        assert_true(a.found);
        assert_false(a.torn);
        /* Each update was counted, but for one in each round: made, and then not counted. */
        assert_true(a.result >= atomic_load(done) && a.result <= atomic_load(done) + round + 1);
    }
    assert_false(atomic_load(torn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_update_creates_changes_or_leaves_a_record),
        POOL_TEST(test_cancelled_update_creates_nothing),
        POOL_TEST(test_expiry),
        POOL_TEST(test_each_size_grows_and_shrinks),
        POOL_TEST(test_updates_evict_no_other_record),
        POOL_TEST(test_records_in_use_are_not_evicted),
        POOL_TEST(test_processes_lose_no_update),
        POOL_TEST(test_killed_processes_leave_whole_values),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
