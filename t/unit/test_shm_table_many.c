/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_shm_table_many.c - shared memory table under load, and with processes killed */

#include "t/unit/shm_tables.h"

/* --- concurrent use --- */

#define PROCESSES 8
#define THREADS 4
#define TOTAL_OPS 200000
#define COMMON_KEYS 40
#define OWN_KEYS 4

/* Shared by the processes. */
struct counters {
    atomic_ulong ops[PROCESSES];
    atomic_ulong hits;
    atomic_ulong wrong;
    atomic_bool stop;
};

static struct counters *make_counters(apr_pool_t *pool)
{
    apr_shm_t *shm;

    assert_int_equal(apr_shm_create(&shm, sizeof(struct counters), NULL, pool), APR_SUCCESS);
    return memset(apr_shm_baseaddr_get(shm), 0, sizeof(struct counters));
}

struct worker {
    struct eas_shm_table *table;
    struct counters *counters;
    unsigned process, thread;
    uint64_t ops; /* 0: until counters->stop */
};

/* A child must not assert: after a failure it would go on with the parent's code. */
static void work(const struct worker *w)
{
    uint64_t own = 1000 + (w->process * THREADS + w->thread) * OWN_KEYS, seed = own << 32;
    uint64_t versions[OWN_KEYS] = { 0 }, version, i;
    apr_size_t lens[OWN_KEYS] = { 0 };
    apr_pool_t *pool;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        atomic_fetch_add(&w->counters->wrong, 1);
        return;
    }
    for (i = 1; (w->ops == 0 || i <= w->ops) && !atomic_load(&w->counters->stop); i++) {
        uint64_t id = below(&seed, COMMON_KEYS), what = below(&seed, 100);
        apr_size_t len = VALUE_MIN + below(&seed, VALUE_MAX - VALUE_MIN);
        unsigned n = (unsigned)below(&seed, OWN_KEYS);
        enum seen seen = NOTHING;

        if (what < 30) {
            seen = put(w->table, id, mix(seed), len, NEVER) ? NOTHING : OTHER;
        }
        else if (what < 60) {
            seen = look(w->table, pool, id, &version);
        }
        else if (what < 65) {
            drop(w->table, id);
        }
        else if (what < 75) {
            versions[n] = i;
            lens[n] = len;
            seen = put(w->table, own + n, i, len, NEVER) ? NOTHING : OTHER;
        }
        else if (what < 97) {
            seen = see(w->table, pool, own + n, versions[n], lens[n], 1);
            if (versions[n] == 0 && seen != NOTHING) {
                seen = OTHER;
            }
        }
        else {
            versions[n] = 0;
            drop(w->table, own + n);
        }
        apr_pool_clear(pool);
        atomic_fetch_add(&w->counters->ops[w->process], 1);
        atomic_fetch_add(&w->counters->hits, seen == WHOLE);
        atomic_fetch_add(&w->counters->wrong, seen == OTHER);
    }
    apr_pool_destroy(pool);
}

static void *APR_THREAD_FUNC run_worker(apr_thread_t *thread, void *data)
{
    (void)thread;
    work(data);
    return NULL;
}

static void run_process(struct eas_shm_table *table, struct counters *counters, unsigned process)
{
    struct worker workers[THREADS];
    apr_thread_t *threads[THREADS];
    apr_status_t status;
    apr_pool_t *pool;
    unsigned i;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        _exit(1);
    }
    for (i = 0; i < THREADS; i++) {
        struct worker w = { table, counters, process, i, TOTAL_OPS / PROCESSES / THREADS };

        workers[i] = w;
        if (apr_thread_create(&threads[i], NULL, run_worker, &workers[i], pool) != APR_SUCCESS) {
            _exit(1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&status, threads[i]);
    }
    apr_pool_destroy(pool);
    _exit(0);
}

static void test_many_processes_and_threads(void **state)
{
    struct eas_shm_table *table = make_table(*state, 128 * KB);
    struct counters *counters = make_counters(*state);
    pid_t pids[PROCESSES];
    unsigned long ops = 0;
    int status, i;

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            run_process(table, counters, (unsigned)i);
        }
        assert_true(pids[i] > 0);
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
        ops += atomic_load(&counters->ops[i]);
    }
    assert_int_equal(ops, TOTAL_OPS);
    assert_int_equal(atomic_load(&counters->wrong), 0);
    assert_true(atomic_load(&counters->hits) > TOTAL_OPS / 10);
    assert_margin(table, 128 * KB);
}

/* --- processes killed with the lock --- */

#define DEATHS 200

static void sleep_us(unsigned us)
{
    poll(NULL, 0, (int)(us / 1000));
    usleep(us % 1000);
}

/* True if the process exits with 0 in time; kills it otherwise. */
static bool ends_well(pid_t pid)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_MS * 1000;
    int status;

    do {
        pid_t rv = waitpid(pid, &status, WNOHANG);

        if (rv != 0) {
            return rv == pid && status == 0;
        }
        sleep_us(200);
    } while (apr_time_now() < deadline);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return false;
}

#define PAGE 4096
#define PAGES 8

static int locked_fd;

/* Reports that the process holds the lock, and keeps it. */
static void hold_lock(int signum)
{
    (void)signum;
    if (write(locked_fd, "", 1) == 1) {
        for (;;) {
            pause();
        }
    }
    _exit(1);
}

/* A value with one page behind a file's end: a put of it stops there with SIGBUS. */
static unsigned char *make_trap(uint64_t id, uint64_t version, unsigned page)
{
    unsigned char *value =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FILE *empty = tmpfile();

    if (value == MAP_FAILED || empty == NULL) {
        return NULL;
    }
    fill(value, PAGES * PAGE, id, version);
    return mmap(value + page * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fileno(empty), 0)
                   == MAP_FAILED
               ? NULL
               : value;
}

static void put_trap(struct eas_shm_table *table, uint64_t id, uint64_t version, unsigned page)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], *value = make_trap(id, version, page);

    make_key(key, id);
    signal(SIGBUS, hold_lock);
    if (value != NULL) {
        eas_shm_table_put(table, key, value, PAGES * PAGE, NEVER);
    }
    _exit(1);
}

#define KEPT 16

/* Waits for the lock until its owner is dead. */
static void wait_and_use(struct eas_shm_table *table, uint64_t version)
{
    apr_pool_t *pool;
    bool good = apr_pool_create(&pool, NULL) == APR_SUCCESS
                && see(table, pool, 0, version, 100, 1) == WHOLE
                && put(table, KEPT, version, 300, NEVER)
                && see(table, pool, KEPT, version, 300, 1) == WHOLE;

    _exit(good ? 0 : 1);
}

static void kill_owner(struct eas_shm_table *table, apr_pool_t *pool, uint64_t round)
{
    /* The victim replaces a key or adds one. */
    uint64_t id = round % 2 ? round % KEPT : 1000 + round, n;
    struct pollfd locked = { -1, POLLIN, 0 };
    pid_t victim, waiter;
    int fds[2], status;
    bool well;

    for (n = 0; n <= KEPT; n++) {
        assert_true(put(table, n, round, 100, NEVER));
    }
    assert_int_equal(pipe(fds), 0);
    victim = fork();
    if (victim == 0) {
        locked_fd = fds[1];
        put_trap(table, id, round + 1, (unsigned)(round % PAGES));
    }
    assert_true(victim > 0);
    close(fds[1]);
    locked.fd = fds[0];
    assert_int_equal(poll(&locked, 1, 2 * PATIENCE_MS), 1);
    assert_true(locked.revents & POLLIN);
    waiter = fork();
    if (waiter == 0) {
        wait_and_use(table, round);
    }
    assert_true(waiter > 0);
    if (round % 4 < 2) {
        sleep_us(1000);
        assert_int_equal(waitpid(waiter, &status, WNOHANG), 0);
    }
    kill(victim, SIGKILL);
    well = ends_well(waiter);
    assert_int_equal(waitpid(victim, &status, 0), victim);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(well);
    close(fds[0]);
    for (n = 0; n < KEPT; n++) {
        enum seen seen = see(table, pool, n, round, 100, 1);

        assert_int_not_equal(seen, OTHER);
        assert_true(seen == WHOLE || n == id);
    }
    assert_int_not_equal(see(table, pool, id, round, 100, 1), OTHER);
    assert_true(put(table, id, round, 50, NEVER));
    assert_int_equal(see(table, pool, id, round, 50, 1), WHOLE);
}

static void test_table_survives_a_killed_lock_owner(void **state)
{
    struct eas_shm_table *table = make_table(*state, 256 * KB);
    uint64_t round;

    for (round = 1; round <= DEATHS; round++) {
        apr_pool_t *pool = make_subpool(*state);

        kill_owner(table, pool, round);
        apr_pool_destroy(pool);
    }
    assert_margin(table, 256 * KB);
}

#define SURVIVORS 4
#define BIG (20 * KB)

/* Puts and gets: long values hold the lock most of the time, short ones lock and unlock often. */
static void work_until_killed(struct eas_shm_table *table, struct counters *counters, uint64_t seed,
                              apr_size_t len)
{
    static unsigned char values[4][BIG];
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];
    apr_pool_t *pool;
    unsigned i;

    for (i = 0; i < 4; i++) {
        fill(values[i], len, i, seed);
    }
    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        _exit(1);
    }
    for (;;) {
        const unsigned char *value;
        apr_size_t found;

        i = (unsigned)below(&seed, 4);
        make_key(key, i);
        eas_shm_table_put(table, key, values[i], len, NEVER);
        make_key(key, below(&seed, COMMON_KEYS));
        eas_shm_table_get(table, pool, key, 1, &value, &found);
        apr_pool_clear(pool);
        atomic_fetch_add(&counters->ops[SURVIVORS], 1);
    }
}

/* Waits for more operations of each survivor; false if it takes too long. */
static bool go_on(struct counters *counters)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_MS * 1000;
    unsigned long ops[SURVIVORS];
    unsigned i;

    for (i = 0; i < SURVIVORS; i++) {
        ops[i] = atomic_load(&counters->ops[i]);
    }
    for (i = 0; i < SURVIVORS; i++) {
        while (atomic_load(&counters->ops[i]) < ops[i] + 2) {
            if (apr_time_now() > deadline) {
                return false;
            }
            sleep_us(100);
        }
    }
    return true;
}

/* True if the victim worked and was killed, and the others went on. */
static bool kill_one(struct eas_shm_table *table, struct counters *counters, uint64_t round)
{
    unsigned long before = atomic_load(&counters->ops[SURVIVORS]);
    apr_time_t deadline = apr_time_now() + 2 * PATIENCE_MS * 1000;
    uint64_t seed = round;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        work_until_killed(table, counters, round << 32, round % 2 ? BIG : VALUE_MIN);
    }
    while (atomic_load(&counters->ops[SURVIVORS]) == before && apr_time_now() < deadline) {
        sleep_us(50);
    }
    sleep_us((unsigned)below(&seed, 1500));
    return kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)
           && atomic_load(&counters->ops[SURVIVORS]) != before && go_on(counters);
}

static void test_processes_survive_killed_ones(void **state)
{
    struct eas_shm_table *table = make_table(*state, 128 * KB);
    struct counters *counters = make_counters(*state);
    bool good = true;
    pid_t pids[SURVIVORS];
    uint64_t round;
    unsigned i;

    for (i = 0; i < SURVIVORS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct worker w = { table, counters, i, 0, 0 };

            work(&w);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (round = 1; good && round <= DEATHS; round++) {
        good = kill_one(table, counters, round);
    }
    atomic_store(&counters->stop, true);
    for (i = 0; i < SURVIVORS; i++) {
        good = ends_well(pids[i]) && good;
    }
    assert_true(good);
    assert_int_equal(atomic_load(&counters->wrong), 0);
    assert_true(atomic_load(&counters->hits) > 0);
    assert_margin(table, 128 * KB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_many_processes_and_threads),
        POOL_TEST(test_table_survives_a_killed_lock_owner),
        POOL_TEST(test_processes_survive_killed_ones),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
