/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/counters.c - numbers of the gateway, in memory that its processes share */

#include "auth/base/counters.h"
#include "auth/base/fnv.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* More than the processes of a usual httpd; only what is used becomes memory. */
#define SLOTS 1024

const apr_interval_time_t eas_counters_bounds[EAS_COUNTERS_BOUNDS] = {
    1000,   2500,   5000,    10000,   25000,   50000,   100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000
};

const struct eas_counters_family_row eas_counters_families[EAS_FAMILIES] = {
#define EAS_FAMILY(id, type, name, help) { type, name, help },
#include "auth/base/counters.def"
};

const struct eas_counters_row eas_counters_rows[EAS_COUNTERS] = {
#define EAS_COUNTER(id, family, labels) { EAS_FAMILY_##family, labels },
#include "auth/base/counters.def"
};

const struct eas_counters_row eas_counters_gauges[EAS_GAUGES] = {
#define EAS_GAUGE(id, family, labels) { EAS_FAMILY_##family, labels },
#include "auth/base/counters.def"
};

const struct eas_counters_row eas_counters_histograms[EAS_HISTOGRAMS] = {
#define EAS_HISTOGRAM(id, family, labels) { EAS_FAMILY_##family, labels },
#include "auth/base/counters.def"
};

#define CACHE_LINE 64

struct times {
    _Atomic uint64_t buckets[EAS_COUNTERS_BOUNDS + 1];
    _Atomic uint64_t sum;
};

struct numbers {
    _Atomic uint64_t counters[EAS_COUNTERS];
    _Atomic int64_t gauges[EAS_GAUGES];
    struct times histograms[EAS_HISTOGRAMS];
};

struct slot {
    _Alignas(CACHE_LINE) _Atomic int pid; /* 0: free */
    _Atomic int64_t since;
    struct numbers numbers;
    struct numbers before; /* at since: of the processes that had the slot earlier */
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "atomic integers work in shared memory");

/* alone: for a process without a slot. */
static struct {
    struct slot *slots; /* NULL: no shared memory */
    struct slot *_Atomic own;
    struct slot alone;
} counted = { .own = &counted.alone };

static struct numbers *own(void)
{
    return &atomic_load_explicit(&counted.own, memory_order_relaxed)->numbers;
}

/* --- counting --------------------------------------------------------------------------------- */

void eas_counters_add(enum eas_counter which)
{
    atomic_fetch_add_explicit(&own()->counters[which], 1, memory_order_relaxed);
}

void eas_counters_adjust(enum eas_gauge which, int by)
{
    atomic_fetch_add_explicit(&own()->gauges[which], by, memory_order_relaxed);
}

void eas_counters_set(enum eas_gauge which, int64_t value)
{
    atomic_store_explicit(&own()->gauges[which], value, memory_order_relaxed);
}

void eas_counters_observe(enum eas_histogram which, apr_interval_time_t took)
{
    struct times *times = &own()->histograms[which];
    unsigned i = 0;

    while (i < EAS_COUNTERS_BOUNDS && took > eas_counters_bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&times->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&times->sum, (uint64_t)(took > 0 ? took : 0), memory_order_relaxed);
}

/* In the order of counters.def. */
enum outcome { ACCEPTED, REFUSED, EXPIRED, THROTTLED, FORBIDDEN, UNAVAILABLE };

static enum outcome outcome_of(enum eas_rc rc)
{
    switch (rc) {
    case EAS_OK:
        return ACCEPTED;
    case EAS_MALFORMED:
    case EAS_DENIED:
    case EAS_UNKNOWN:
        return REFUSED;
    case EAS_EXPIRED:
        return EXPIRED;
    case EAS_THROTTLED:
        return THROTTLED;
    case EAS_FORBIDDEN:
        return FORBIDDEN;
    case EAS_UNAVAILABLE:
    case EAS_MISCONFIGURED:
    case EAS_NO_SERVICE:
    case EAS_BACKEND:
        break;
    }
    return UNAVAILABLE;
}

void eas_counters_log_on(enum eas_counters_way by, enum eas_rc rc)
{
    eas_counters_add((enum eas_counter)((unsigned)by + (unsigned)outcome_of(rc)));
}

/* --- memory ----------------------------------------------------------------------------------- */

size_t eas_counters_size(void)
{
    return SLOTS * sizeof(struct slot) + CACHE_LINE;
}

/* With the NUL. */
static uint64_t hash(uint64_t value, const char *text)
{
    return eas_fnv(value, text, strlen(text) + 1);
}

static uint64_t hash_rows(uint64_t value, const struct eas_counters_row *rows, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        value = hash(value, eas_counters_families[rows[i].family].name);
        value = hash(value, rows[i].labels);
    }
    return value;
}

uint32_t eas_counters_layout(void)
{
    uint64_t value = EAS_FNV_FIRST ^ eas_counters_size();

    value = hash_rows(value, eas_counters_rows, EAS_COUNTERS);
    value = hash_rows(value, eas_counters_gauges, EAS_GAUGES);
    value = hash_rows(value, eas_counters_histograms, EAS_HISTOGRAMS);
    return (uint32_t)(value ^ (value >> 32));
}

/* apr_shm_create() puts 8 bytes of its own before the memory. */
void eas_counters_attach(void *memory)
{
    uintptr_t aligned = ((uintptr_t)memory + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

    counted.slots = (struct slot *)aligned;
    atomic_store(&counted.own, &counted.alone);
}

static bool is_running(int pid)
{
    return pid != 0 && (kill(pid, 0) == 0 || errno != ESRCH);
}

/* A process that crashed has not given its slot back. */
static bool take(struct slot *slot, int pid)
{
    int owner = atomic_load(&slot->pid);

    return !is_running(owner) && atomic_compare_exchange_strong(&slot->pid, &owner, pid);
}

/* With release in note_before(): a copy in before is never ahead of numbers that are loaded later. */
static void load(const struct numbers *from, struct eas_counters_numbers *to)
{
    unsigned i, j;

    for (i = 0; i < EAS_COUNTERS; i++) {
        to->counters[i] = atomic_load_explicit(&from->counters[i], memory_order_acquire);
    }
    for (i = 0; i < EAS_GAUGES; i++) {
        to->gauges[i] = atomic_load_explicit(&from->gauges[i], memory_order_acquire);
    }
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        const struct times *times = &from->histograms[i];

        for (j = 0; j <= EAS_COUNTERS_BOUNDS; j++) {
            to->histograms[i].buckets[j] =
                atomic_load_explicit(&times->buckets[j], memory_order_acquire);
        }
        to->histograms[i].sum = atomic_load_explicit(&times->sum, memory_order_acquire);
    }
}

/* Of gauges nothing: they are of the process alone. */
static void note_before(struct slot *slot)
{
    struct eas_counters_numbers numbers;
    unsigned i, j;

    load(&slot->numbers, &numbers);
    for (i = 0; i < EAS_COUNTERS; i++) {
        atomic_store_explicit(&slot->before.counters[i], numbers.counters[i], memory_order_release);
    }
    for (i = 0; i < EAS_GAUGES; i++) {
        atomic_store_explicit(&slot->numbers.gauges[i], 0, memory_order_relaxed);
    }
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        struct times *times = &slot->before.histograms[i];

        for (j = 0; j <= EAS_COUNTERS_BOUNDS; j++) {
            atomic_store_explicit(&times->buckets[j], numbers.histograms[i].buckets[j],
                                  memory_order_release);
        }
        atomic_store_explicit(&times->sum, numbers.histograms[i].sum, memory_order_release);
    }
}

void eas_counters_begin(int pid, apr_time_t now)
{
    unsigned i = 0;

    if (counted.slots == NULL) {
        return;
    }
    while (i < SLOTS - 1 && !take(&counted.slots[i], pid)) {
        i++;
    }
    if (i < SLOTS - 1) {
        note_before(&counted.slots[i]);
    }
    atomic_store(&counted.slots[i].since, now);
    atomic_store(&counted.own, &counted.slots[i]);
}

/* A thread that ends later counts alone, and changes no gauge of the slot's next process. */
void eas_counters_end(void)
{
    struct slot *slot = atomic_exchange(&counted.own, &counted.alone);

    atomic_store(&slot->pid, 0);
}

void eas_counters_ended(int pid)
{
    unsigned i;

    for (i = 0; counted.slots != NULL && i < SLOTS; i++) {
        int owner = pid;

        if (atomic_load(&counted.slots[i].since) != 0) {
            atomic_compare_exchange_strong(&counted.slots[i].pid, &owner, 0);
        }
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void add_times(struct eas_counters_times *to, const struct eas_counters_times *from)
{
    unsigned i;

    for (i = 0; i <= EAS_COUNTERS_BOUNDS; i++) {
        to->buckets[i] += from->buckets[i];
    }
    to->sum += from->sum;
}

static void add(struct eas_counters_numbers *to, const struct eas_counters_numbers *from)
{
    unsigned i;

    for (i = 0; i < EAS_COUNTERS; i++) {
        to->counters[i] += from->counters[i];
    }
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        add_times(&to->histograms[i], &from->histograms[i]);
    }
}

static void subtract(struct eas_counters_numbers *to, const struct eas_counters_numbers *before)
{
    unsigned i, j;

    for (i = 0; i < EAS_COUNTERS; i++) {
        to->counters[i] -= before->counters[i];
    }
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        for (j = 0; j <= EAS_COUNTERS_BOUNDS; j++) {
            to->histograms[i].buckets[j] -= before->histograms[i].buckets[j];
        }
        to->histograms[i].sum -= before->histograms[i].sum;
    }
}

/* A slot that no process has had keeps its memory unused. */
static void read_slot(const struct slot *slot, struct eas_counters_view *view)
{
    struct eas_counters_process *process;
    struct eas_counters_numbers numbers, before;
    int pid = atomic_load(&slot->pid);
    unsigned i;

    load(&slot->before, &before); /* first: another process may take the slot meanwhile */
    load(&slot->numbers, &numbers);
    add(&view->sums, &numbers);
    if (!is_running(pid)) {
        return;
    }
    for (i = 0; i < EAS_GAUGES; i++) {
        view->sums.gauges[i] += numbers.gauges[i];
    }
    subtract(&numbers, &before);
    process = apr_array_push(view->processes);
    process->pid = pid;
    process->since = atomic_load(&slot->since);
    process->numbers = numbers;
}

struct eas_counters_view eas_counters_read(apr_pool_t *pool)
{
    struct eas_counters_view view = {
        .processes = apr_array_make(pool, 16, sizeof(struct eas_counters_process)),
    };
    unsigned i;

    if (counted.slots == NULL) {
        load(&counted.alone.numbers, &view.sums);
    }
    for (i = 0; counted.slots != NULL && i < SLOTS; i++) {
        if (atomic_load(&counted.slots[i].since) != 0) {
            read_slot(&counted.slots[i], &view);
        }
    }
    return view;
}

uint64_t eas_counters_times_count(const struct eas_counters_times *times)
{
    uint64_t count = 0;
    unsigned i;

    for (i = 0; i <= EAS_COUNTERS_BOUNDS; i++) {
        count += times->buckets[i];
    }
    return count;
}
