/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/counters.h - numbers of the gateway, in memory that its processes share */

#ifndef EAS_AUTH_BASE_COUNTERS_H
#define EAS_AUTH_BASE_COUNTERS_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Each process counts in a slot of its own, by atomic additions without a lock; no two processes
 * write to one cache line.  The counts of a process that has ended stay in its slot, and the next
 * process with that slot adds to them.  So a sum over the slots never goes back, and outlives
 * graceful restarts.  Gauges begin at zero with each process.
 *
 * Before eas_counters_begin(), and without shared memory, a process counts for itself alone.
 */

enum eas_counters_type { EAS_COUNTERS_COUNTER, EAS_COUNTERS_GAUGE, EAS_COUNTERS_HISTOGRAM };

enum eas_counters_family {
#define EAS_FAMILY(id, type, name, help) EAS_FAMILY_##id,
#include "auth/base/counters.def"
    EAS_FAMILIES
};

enum eas_counter {
#define EAS_COUNTER(id, family, labels) EAS_COUNTER_##id,
#include "auth/base/counters.def"
    EAS_COUNTERS
};

enum eas_gauge {
#define EAS_GAUGE(id, family, labels) EAS_GAUGE_##id,
#include "auth/base/counters.def"
    EAS_GAUGES
};

enum eas_histogram {
#define EAS_HISTOGRAM(id, family, labels) EAS_HISTOGRAM_##id,
#include "auth/base/counters.def"
    EAS_HISTOGRAMS
};

/* Upper bounds of the buckets, in microseconds; one more bucket has the rest. */
#define EAS_COUNTERS_BOUNDS 13
extern const apr_interval_time_t eas_counters_bounds[EAS_COUNTERS_BOUNDS];

/* --- counting --------------------------------------------------------------------------------- */

void eas_counters_add(enum eas_counter which);
void eas_counters_adjust(enum eas_gauge which, int by);
void eas_counters_set(enum eas_gauge which, int64_t value);
void eas_counters_observe(enum eas_histogram which, apr_interval_time_t took);

/* The way of a log-on: the first of its counters. */
enum eas_counters_way {
    EAS_COUNTERS_BY_FORM = EAS_COUNTER_FORM_ACCEPTED,
    EAS_COUNTERS_BY_BASIC = EAS_COUNTER_BASIC_ACCEPTED,
    EAS_COUNTERS_BY_NEGOTIATE = EAS_COUNTER_NEGOTIATE_ACCEPTED
};

/* Counts a log-on with the result rc. */
void eas_counters_log_on(enum eas_counters_way by, enum eas_rc rc);

/* --- memory ----------------------------------------------------------------------------------- */

size_t eas_counters_size(void);

/* A number that differs where the layout does, for the name of the memory. */
uint32_t eas_counters_layout(void);

/* Uses memory of that size, all zero at first, for this process and its children; NULL: none. */
void eas_counters_attach(void *memory);

/* Takes a slot for this process, or shares the last one if none is free. */
void eas_counters_begin(int pid, apr_time_t now);

/* Gives it back. */
void eas_counters_end(void);

/* A child has ended, perhaps without that; its number may become that of another process. */
void eas_counters_ended(int pid);

/* --- reading ---------------------------------------------------------------------------------- */

struct eas_counters_times {
    uint64_t buckets[EAS_COUNTERS_BOUNDS + 1];
    uint64_t sum; /* of microseconds */
};

struct eas_counters_numbers {
    uint64_t counters[EAS_COUNTERS];
    int64_t gauges[EAS_GAUGES];
    struct eas_counters_times histograms[EAS_HISTOGRAMS];
};

/* A process that runs. */
struct eas_counters_process {
    int pid;
    apr_time_t since;
    struct eas_counters_numbers numbers; /* since then */
};

struct eas_counters_view {
    struct eas_counters_numbers sums; /* of all processes, and of those before them */
    apr_array_header_t *processes;    /* of struct eas_counters_process */
};

/* A copy, in pool. */
struct eas_counters_view eas_counters_read(apr_pool_t *pool);

uint64_t eas_counters_times_count(const struct eas_counters_times *times);

/* A row of counters.def. */
struct eas_counters_row {
    enum eas_counters_family family;
    const char *labels;
};

struct eas_counters_family_row {
    enum eas_counters_type type;
    const char *name;
    const char *help;
};

extern const struct eas_counters_family_row eas_counters_families[EAS_FAMILIES];
extern const struct eas_counters_row eas_counters_rows[EAS_COUNTERS];
extern const struct eas_counters_row eas_counters_gauges[EAS_GAUGES];
extern const struct eas_counters_row eas_counters_histograms[EAS_HISTOGRAMS];

#endif
