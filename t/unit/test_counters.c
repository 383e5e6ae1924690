/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_counters.c - numbers of the gateway, in memory that its processes share */

#include "t/unit/unit.h"

#include "auth/base/counters.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNTER EAS_COUNTER_BASIC_ACCEPTED
#define GAUGE EAS_GAUGE_CONNECTIONS_BUSY
#define MANY 100000

/* As apr_shm_create() returns it. */
#define MISALIGNED 8

static void *make_memory(void)
{
    void *memory = mmap(NULL, MISALIGNED + eas_counters_size(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    eas_counters_attach((char *)memory + MISALIGNED);
    return memory;
}

static void drop_memory(void *memory)
{
    eas_counters_attach(NULL);
    munmap(memory, MISALIGNED + eas_counters_size());
}

/* Runs a process with a slot.  If it crashes, the slot is not given back. */
static int run(void (*work)(void), bool crashes)
{
    int pid = fork(), status;

    if (pid == 0) {
        eas_counters_begin((int)getpid(), 1000);
        work();
        if (!crashes) {
            eas_counters_end();
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return pid;
}

static void count(void)
{
    eas_counters_add(COUNTER);
    eas_counters_adjust(GAUGE, 5);
    eas_counters_observe(EAS_HISTOGRAM_KDC, 1500);
}

static void test_process_without_memory(void **state)
{
    uint64_t before = eas_counters_read(*state).sums.counters[COUNTER];
    struct eas_counters_view view;

    eas_counters_begin((int)getpid(), 1);
    count();
    view = eas_counters_read(*state);
    assert_int_equal(view.sums.counters[COUNTER], before + 1);
    assert_int_equal(view.processes->nelts, 0);
}

static void test_counts_outlive_processes(void **state)
{
    void *memory = make_memory();
    struct eas_counters_view view;
    int i;

    for (i = 0; i < 4; i++) {
        run(count, i % 2 == 1);
        view = eas_counters_read(*state);
        assert_int_equal(view.sums.counters[COUNTER], i + 1);
        assert_int_equal(view.sums.histograms[EAS_HISTOGRAM_KDC].sum, 1500 * (i + 1));
        assert_int_equal(view.sums.gauges[GAUGE], 0);
        assert_int_equal(view.processes->nelts, 0);
    }
    drop_memory(memory);
}

static void test_process_counts_from_its_begin(void **state)
{
    void *memory = make_memory();
    const struct eas_counters_process *process;
    struct eas_counters_view view;

    run(count, true);
    eas_counters_begin((int)getpid(), 77);
    eas_counters_add(COUNTER);
    eas_counters_add(COUNTER);
    eas_counters_adjust(GAUGE, 1);
    view = eas_counters_read(*state);
    assert_int_equal(view.sums.counters[COUNTER], 3);
    assert_int_equal(view.sums.gauges[GAUGE], 1);
    assert_int_equal(view.processes->nelts, 1);
    process = &APR_ARRAY_IDX(view.processes, 0, struct eas_counters_process);
    assert_int_equal(process->pid, getpid());
    assert_int_equal(process->since, 77);
    assert_int_equal(process->numbers.counters[COUNTER], 2);
    assert_int_equal(process->numbers.histograms[EAS_HISTOGRAM_KDC].sum, 0);
    eas_counters_end();
    drop_memory(memory);
}

/* A child has crashed, and its number is that of another process by now. */
static void test_ended_child(void **state)
{
    void *memory = make_memory();
    int pid = (int)getpid();

    eas_counters_begin(pid, 77);
    eas_counters_add(COUNTER);
    eas_counters_adjust(GAUGE, 1);
    eas_counters_ended(pid + 1);
    assert_int_equal(eas_counters_read(*state).processes->nelts, 1);
    eas_counters_ended(pid);
    assert_int_equal(eas_counters_read(*state).processes->nelts, 0);
    assert_int_equal(eas_counters_read(*state).sums.gauges[GAUGE], 0);
    assert_int_equal(eas_counters_read(*state).sums.counters[COUNTER], 1);
    eas_counters_attach(NULL);
    eas_counters_ended(pid);
    drop_memory(memory);
}

static void count_many(void)
{
    int i;

    for (i = 0; i < MANY; i++) {
        eas_counters_add(COUNTER);
    }
}

static void *APR_THREAD_FUNC count_in_thread(apr_thread_t *thread, void *data)
{
    (void)thread, (void)data;
    count_many();
    return NULL;
}

/* Two processes at once, and eight threads in this one. */
static void test_nothing_is_lost(void **state)
{
    void *memory = make_memory();
    char data[UNIT_THREADS];
    int pids[2], status, i;

    eas_counters_begin((int)getpid(), 1);
    for (i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            eas_counters_begin((int)getpid(), 1);
            count_many();
            _exit(0);
        }
    }
    unit_run_threads(*state, count_in_thread, data, 1);
    for (i = 0; i < 2; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    }
    assert_int_equal(eas_counters_read(*state).sums.counters[COUNTER],
                     (uint64_t)MANY * (UNIT_THREADS + 2));
    eas_counters_end();
    drop_memory(memory);
}

#define READINGS 20000

/* Takes the slot, counts and gives the slot back, until the parent kills it. */
static void come_and_go(void)
{
    for (;;) {
        eas_counters_begin((int)getpid(), 1);
        eas_counters_add(COUNTER);
        eas_counters_end();
    }
}

static void test_reading_beside_takeovers(void **state)
{
    void *memory = make_memory();
    int pid = fork(), status, i, j, wrong = 0;

    if (pid == 0) {
        come_and_go();
    }
    for (i = 0; i < READINGS; i++) {
        struct eas_counters_view view = eas_counters_read(*state);

        for (j = 0; j < view.processes->nelts; j++) {
            wrong += APR_ARRAY_IDX(view.processes, j, struct eas_counters_process)
                         .numbers.counters[COUNTER]
                     > view.sums.counters[COUNTER];
        }
        apr_pool_clear(*state);
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(wrong, 0);
    drop_memory(memory);
}

static void test_buckets(void **state)
{
    void *memory = make_memory();
    const struct eas_counters_times *times;
    struct eas_counters_view view;

    eas_counters_begin((int)getpid(), 1);
    eas_counters_observe(EAS_HISTOGRAM_LOG_ON, -5);
    eas_counters_observe(EAS_HISTOGRAM_LOG_ON, 1000);
    eas_counters_observe(EAS_HISTOGRAM_LOG_ON, 1001);
    eas_counters_observe(EAS_HISTOGRAM_LOG_ON, 10000001);
    view = eas_counters_read(*state);
    times = &view.sums.histograms[EAS_HISTOGRAM_LOG_ON];
    assert_int_equal(times->buckets[0], 2);
    assert_int_equal(times->buckets[1], 1);
    assert_int_equal(times->buckets[EAS_COUNTERS_BOUNDS], 1);
    assert_int_equal(eas_counters_times_count(times), 4);
    assert_int_equal(times->sum, 1000 + 1001 + 10000001);
    eas_counters_end();
    drop_memory(memory);
}

static const struct {
    enum eas_rc rc;
    const char *outcome;
} outcomes[] = {
    { EAS_OK, "accepted" },
    { EAS_MALFORMED, "refused" },
    { EAS_DENIED, "refused" },
    { EAS_UNKNOWN, "refused" },
    { EAS_EXPIRED, "expired" },
    { EAS_THROTTLED, "throttled" },
    { EAS_FORBIDDEN, "forbidden" },
    { EAS_UNAVAILABLE, "unavailable" },
    { EAS_BACKEND, "unavailable" },
    { EAS_MISCONFIGURED, "unavailable" },
    { EAS_NO_SERVICE, "unavailable" },
};

static void assert_log_on(apr_pool_t *pool, enum eas_counters_way way, const char *by, size_t which)
{
    void *memory = make_memory();
    struct eas_counters_view view;
    unsigned i, found = 0;

    eas_counters_begin((int)getpid(), 1);
    eas_counters_log_on(way, outcomes[which].rc);
    view = eas_counters_read(pool);
    for (i = 0; i < EAS_COUNTERS; i++) {
        if (view.sums.counters[i] > 0) {
            found++;
            assert_non_null(strstr(eas_counters_rows[i].labels, by));
            assert_non_null(strstr(eas_counters_rows[i].labels, outcomes[which].outcome));
        }
    }
    assert_int_equal(found, 1);
    eas_counters_end();
    drop_memory(memory);
}

static void test_log_ons(void **state)
{
    size_t i;

    for (i = 0; i < COUNT_OF(outcomes); i++) {
        assert_log_on(*state, EAS_COUNTERS_BY_FORM, "form", i);
        assert_log_on(*state, EAS_COUNTERS_BY_BASIC, "basic", i);
    }
}

/* More than there are slots: the rest share the last one. */
static void test_more_processes_than_slots(void **state)
{
    void *memory = make_memory();
    int i;

    for (i = 0; i < 1100; i++) {
        eas_counters_begin((int)getpid(), 1); /* without an end in between */
        eas_counters_add(COUNTER);
    }
    assert_int_equal(eas_counters_read(*state).sums.counters[COUNTER], 1100);
    drop_memory(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_process_without_memory),
        POOL_TEST(test_counts_outlive_processes),
        POOL_TEST(test_process_counts_from_its_begin),
        POOL_TEST(test_ended_child),
        POOL_TEST(test_nothing_is_lost),
        POOL_TEST(test_reading_beside_takeovers),
        POOL_TEST(test_buckets),
        POOL_TEST(test_log_ons),
        POOL_TEST(test_more_processes_than_slots),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
