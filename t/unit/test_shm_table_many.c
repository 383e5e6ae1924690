/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_shm_table_many.c - records in memory that many use at once, and some die inside */

#include "t/unit/stores.h"

/* --- many at once --- */

#define PROCESSES 8
#define THREADS 4
#define TOTAL_OPS 200000
#define COMMON_KEYS 40
#define OWN_KEYS 4

/* Between the processes. */
struct board {
    atomic_ulong ops[PROCESSES];
    atomic_ulong hits;
    atomic_ulong wrong;
    atomic_bool stop;
};

static struct board *make_board(apr_pool_t *pool)
{
    apr_shm_t *shm;

    assert_int_equal(apr_shm_create(&shm, sizeof(struct board), NULL, pool), APR_SUCCESS);
    return memset(apr_shm_baseaddr_get(shm), 0, sizeof(struct board));
}

struct worker {
    struct eas_shm_table *store;
    struct board *board;
    unsigned process, thread;
    uint64_t ops; /* 0: until the board says stop */
};

/* In the children, nothing may be asserted: a failure would go on in the parent's code. */
static void work(const struct worker *w)
{
    uint64_t own = 1000 + (w->process * THREADS + w->thread) * OWN_KEYS, seed = own << 32;
    uint64_t versions[OWN_KEYS] = { 0 }, version, i;
    apr_size_t lens[OWN_KEYS] = { 0 };
    apr_pool_t *pool;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        atomic_fetch_add(&w->board->wrong, 1);
        return;
    }
    for (i = 1; (w->ops == 0 || i <= w->ops) && !atomic_load(&w->board->stop); i++) {
        uint64_t id = below(&seed, COMMON_KEYS), what = below(&seed, 100);
        apr_size_t len = VALUE_MIN + below(&seed, VALUE_MAX - VALUE_MIN);
        unsigned n = (unsigned)below(&seed, OWN_KEYS);
        enum seen seen = NOTHING;

        if (what < 30) {
            seen = put(w->store, id, mix(seed), len, NEVER) ? NOTHING : OTHER;
        }
        else if (what < 60) {
            seen = look(w->store, pool, id, &version);
        }
        else if (what < 65) {
            drop(w->store, id);
        }
        else if (what < 75) {
            versions[n] = i;
            lens[n] = len;
            seen = put(w->store, own + n, i, len, NEVER) ? NOTHING : OTHER;
        }
        else if (what < 97) {
            seen = see(w->store, pool, own + n, versions[n], lens[n], 1);
            if (versions[n] == 0 && seen != NOTHING) {
                seen = OTHER;
            }
        }
        else {
            versions[n] = 0;
            drop(w->store, own + n);
        }
        apr_pool_clear(pool);
        atomic_fetch_add(&w->board->ops[w->process], 1);
        atomic_fetch_add(&w->board->hits, seen == WHOLE);
        atomic_fetch_add(&w->board->wrong, seen == OTHER);
    }
    apr_pool_destroy(pool);
}

static void *APR_THREAD_FUNC run_worker(apr_thread_t *thread, void *data)
{
    (void)thread;
    work(data);
    return NULL;
}

static void run_process(struct eas_shm_table *store, struct board *board, unsigned process)
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
        struct worker w = { store, board, process, i, TOTAL_OPS / PROCESSES / THREADS };

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
    struct eas_shm_table *store = make_store(*state, 128 * KB);
    struct board *board = make_board(*state);
    pid_t pids[PROCESSES];
    unsigned long ops = 0;
    int status, i;

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            run_process(store, board, (unsigned)i);
        }
        assert_true(pids[i] > 0);
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
        ops += atomic_load(&board->ops[i]);
    }
    assert_int_equal(ops, TOTAL_OPS);
    assert_int_equal(atomic_load(&board->wrong), 0);
    assert_true(atomic_load(&board->hits) > TOTAL_OPS / 10);
    assert_guard(store, 128 * KB);
}

/* --- those that die inside --- */

#define DEATHS 200

static void sleep_us(unsigned us)
{
    poll(NULL, 0, (int)(us / 1000));
    usleep(us % 1000);
}

/* True if the process ends by itself, and well, in time; it is gone in any case. */
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

static int inside_fd;

/* Says that it is inside, and stays there. */
static void stay_inside(int signum)
{
    (void)signum;
    if (write(inside_fd, "", 1) == 1) {
        for (;;) {
            pause();
        }
    }
    _exit(1);
}

/* A value of which one page, behind a file's end, cannot be read: who puts it halts in the middle. */
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

static void put_trap(struct eas_shm_table *store, uint64_t id, uint64_t version, unsigned page)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], *value = make_trap(id, version, page);

    make_key(key, id);
    signal(SIGBUS, stay_inside);
    if (value != NULL) {
        eas_shm_table_put(store, key, value, PAGES * PAGE, NEVER);
    }
    _exit(1);
}

#define KEPT 16

/* One that has to wait for the lock until its holder is dead. */
static void wait_and_use(struct eas_shm_table *store, uint64_t version)
{
    apr_pool_t *pool;
    bool good = apr_pool_create(&pool, NULL) == APR_SUCCESS
                && see(store, pool, 0, version, 100, 1) == WHOLE
                && put(store, KEPT, version, 300, NEVER)
                && see(store, pool, KEPT, version, 300, 1) == WHOLE;

    _exit(good ? 0 : 1);
}

static void die_inside(struct eas_shm_table *store, apr_pool_t *pool, uint64_t round)
{
    /* It replaces a key or brings a new one. */
    uint64_t id = round % 2 ? round % KEPT : 1000 + round, n;
    struct pollfd inside = { -1, POLLIN, 0 };
    pid_t victim, waiter;
    int fds[2], status;
    bool well;

    for (n = 0; n <= KEPT; n++) {
        assert_true(put(store, n, round, 100, NEVER));
    }
    assert_int_equal(pipe(fds), 0);
    victim = fork();
    if (victim == 0) {
        inside_fd = fds[1];
        put_trap(store, id, round + 1, (unsigned)(round % PAGES));
    }
    assert_true(victim > 0);
    close(fds[1]);
    inside.fd = fds[0];
    assert_int_equal(poll(&inside, 1, 2 * PATIENCE_MS), 1);
    assert_true(inside.revents & POLLIN);
    waiter = fork();
    if (waiter == 0) {
        wait_and_use(store, round);
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
        enum seen seen = see(store, pool, n, round, 100, 1);

        assert_int_not_equal(seen, OTHER);
        assert_true(seen == WHOLE || n == id);
    }
    assert_int_not_equal(see(store, pool, id, round, 100, 1), OTHER);
    assert_true(put(store, id, round, 50, NEVER));
    assert_int_equal(see(store, pool, id, round, 50, 1), WHOLE);
}

static void test_those_who_die_inside_harm_nobody(void **state)
{
    struct eas_shm_table *store = make_store(*state, 256 * KB);
    uint64_t round;

    for (round = 1; round <= DEATHS; round++) {
        apr_pool_t *pool = make_subpool(*state);

        die_inside(store, pool, round);
        apr_pool_destroy(pool);
    }
    assert_guard(store, 256 * KB);
}

#define SURVIVORS 4
#define BIG (20 * KB)

/* Puts and gets: long values so as to be inside most of the time, short ones to go in and out. */
static void live_dangerously(struct eas_shm_table *store, struct board *board, uint64_t seed,
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
        eas_shm_table_put(store, key, values[i], len, NEVER);
        make_key(key, below(&seed, COMMON_KEYS));
        eas_shm_table_get(store, pool, key, 1, &value, &found);
        apr_pool_clear(pool);
        atomic_fetch_add(&board->ops[SURVIVORS], 1);
    }
}

/* Waits until each survivor has done something more; false if it takes too long. */
static bool go_on(struct board *board)
{
    apr_time_t deadline = apr_time_now() + PATIENCE_MS * 1000;
    unsigned long ops[SURVIVORS];
    unsigned i;

    for (i = 0; i < SURVIVORS; i++) {
        ops[i] = atomic_load(&board->ops[i]);
    }
    for (i = 0; i < SURVIVORS; i++) {
        while (atomic_load(&board->ops[i]) < ops[i] + 2) {
            if (apr_time_now() > deadline) {
                return false;
            }
            sleep_us(100);
        }
    }
    return true;
}

/* True if the victim got going, was killed, and the others went on. */
static bool kill_one(struct eas_shm_table *store, struct board *board, uint64_t round)
{
    unsigned long before = atomic_load(&board->ops[SURVIVORS]);
    apr_time_t deadline = apr_time_now() + 2 * PATIENCE_MS * 1000;
    uint64_t seed = round;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        live_dangerously(store, board, round << 32, round % 2 ? BIG : VALUE_MIN);
    }
    while (atomic_load(&board->ops[SURVIVORS]) == before && apr_time_now() < deadline) {
        sleep_us(50);
    }
    sleep_us((unsigned)below(&seed, 1500));
    return kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)
           && atomic_load(&board->ops[SURVIVORS]) != before && go_on(board);
}

static void test_those_who_are_killed_harm_nobody(void **state)
{
    struct eas_shm_table *store = make_store(*state, 128 * KB);
    struct board *board = make_board(*state);
    bool good = true;
    pid_t pids[SURVIVORS];
    uint64_t round;
    unsigned i;

    for (i = 0; i < SURVIVORS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct worker w = { store, board, i, 0, 0 };

            work(&w);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (round = 1; good && round <= DEATHS; round++) {
        good = kill_one(store, board, round);
    }
    atomic_store(&board->stop, true);
    for (i = 0; i < SURVIVORS; i++) {
        good = ends_well(pids[i]) && good;
    }
    assert_true(good);
    assert_int_equal(atomic_load(&board->wrong), 0);
    assert_true(atomic_load(&board->hits) > 0);
    assert_guard(store, 128 * KB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_many_processes_and_threads),
        POOL_TEST(test_those_who_die_inside_harm_nobody),
        POOL_TEST(test_those_who_are_killed_harm_nobody),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
