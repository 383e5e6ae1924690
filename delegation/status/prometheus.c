/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/prometheus.c - the numbers in Prometheus' text format 0.0.4 */

#include "delegation/status/prometheus.h"
#include "delegation/status/writer.h"

#include <apr_strings.h>
#include <inttypes.h>

#define PREFIX "eas_kcd_"

static double seconds(apr_interval_time_t microseconds)
{
    return (double)microseconds / APR_USEC_PER_SEC;
}

static void write_head(struct eas_writer *out, const char *name, const char *type, const char *help)
{
    eas_writer_print(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name,
                     type);
}

static void write_family(struct eas_writer *out, enum eas_counters_family id)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    static const char *const suffixes[] = { "_total", "", "_seconds" };
    const struct eas_counters_family_row *family = &eas_counters_families[id];

    write_head(out, apr_pstrcat(out->pool, family->name, suffixes[family->type], NULL),
               types[family->type], family->help);
}

static const char *braced(apr_pool_t *pool, const char *labels)
{
    return *labels != '\0' ? apr_pstrcat(pool, "{", labels, "}", NULL) : "";
}

/* A family's head stands before its first row. */
static void write_row_head(struct eas_writer *out, const struct eas_counters_row *rows, unsigned i)
{
    if (i == 0 || rows[i].family != rows[i - 1].family) {
        write_family(out, rows[i].family);
    }
}

static void write_counters(struct eas_writer *out, const struct eas_counters_numbers *sums)
{
    unsigned i;

    for (i = 0; i < EAS_COUNTERS; i++) {
        write_row_head(out, eas_counters_rows, i);
        eas_writer_print(out, PREFIX "%s_total%s %" PRIu64 "\n",
                         eas_counters_families[eas_counters_rows[i].family].name,
                         braced(out->pool, eas_counters_rows[i].labels), sums->counters[i]);
    }
    for (i = 0; i < EAS_GAUGES; i++) {
        write_row_head(out, eas_counters_gauges, i);
        eas_writer_print(out, PREFIX "%s%s %" PRId64 "\n",
                         eas_counters_families[eas_counters_gauges[i].family].name,
                         braced(out->pool, eas_counters_gauges[i].labels), sums->gauges[i]);
    }
}

static void write_histogram(struct eas_writer *out, unsigned which,
                            const struct eas_counters_times *times)
{
    const char *name = eas_counters_families[eas_counters_histograms[which].family].name;
    uint64_t count = 0;
    unsigned i;

    write_row_head(out, eas_counters_histograms, which);
    for (i = 0; i < EAS_COUNTERS_BOUNDS; i++) {
        count += times->buckets[i];
        eas_writer_print(out, PREFIX "%s_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                         seconds(eas_counters_bounds[i]), count);
    }
    count += times->buckets[EAS_COUNTERS_BOUNDS];
    eas_writer_print(out,
                     PREFIX "%s_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n" PREFIX
                            "%s_seconds_sum %.6f\n" PREFIX "%s_seconds_count %" PRIu64 "\n",
                     name, count, name, seconds((apr_interval_time_t)times->sum), name, count);
}

static void write_errors(struct eas_writer *out, const apr_array_header_t *errors)
{
    int i;

    write_head(out, "errors_total", "counter", "Refusals and errors, by log tag");
    for (i = 0; i < errors->nelts; i++) {
        const struct eas_notes_error *error = &APR_ARRAY_IDX(errors, i, struct eas_notes_error);

        eas_writer_print(out, PREFIX "errors_total{tag=\"EAS%04d\"} %" PRIu64 "\n", error->tag,
                         error->count);
    }
}

enum kdc_value { UP, ANSWERS, FAILURES, TOOK, KDC_VALUES };

static double value_of(const struct eas_notes_kdc *kdc, enum kdc_value which)
{
    switch (which) {
    case UP:
        return eas_snapshot_kdc_is_up(kdc);
    case ANSWERS:
        return (double)kdc->answers;
    case FAILURES:
        return (double)kdc->failures;
    default:
        return seconds(kdc->took);
    }
}

static void write_kdcs(struct eas_writer *out, const apr_array_header_t *kdcs)
{
    static const struct {
        const char *name, *type, *help;
    } families[KDC_VALUES] = {
        [UP] = { "kdc_up", "gauge", "1 if the last message to the KDC had an answer, else 0" },
        [ANSWERS] = { "kdc_answers_total", "counter", "Answers of the KDC" },
        [FAILURES] = { "kdc_failures_total", "counter", "Messages that the KDC did not answer" },
        [TOOK] = { "kdc_round_trip_seconds", "gauge", "Time to the KDC's answer, smoothed" },
    };
    unsigned which;
    int i;

    for (which = 0; which < KDC_VALUES; which++) {
        write_head(out, families[which].name, families[which].type, families[which].help);
        for (i = 0; i < kdcs->nelts; i++) {
            const struct eas_notes_kdc *kdc = &APR_ARRAY_IDX(kdcs, i, struct eas_notes_kdc);

            if (eas_snapshot_kdc_was_asked(kdc)) {
                eas_writer_print(out, PREFIX "%s{realm=\"%s\",kdc=\"%s\"} %.9g\n",
                                 families[which].name, eas_writer_label(out->pool, kdc->realm),
                                 eas_writer_label(out->pool, kdc->address),
                                 value_of(kdc, (enum kdc_value)which));
            }
        }
    }
}

static void write_gauge(struct eas_writer *out, const char *name, const char *help, double value)
{
    write_head(out, name, "gauge", help);
    eas_writer_print(out, PREFIX "%s %.16g\n", name, value);
}

const char *eas_prometheus_write(apr_pool_t *pool, const struct eas_snapshot *snapshot)
{
    struct eas_writer out = eas_writer_make(pool);
    unsigned i;

    write_head(&out, "build_info", "gauge", "The version of the module");
    eas_writer_print(&out, PREFIX "build_info{version=\"%s\"} 1\n",
                     eas_writer_label(pool, snapshot->version));
    write_gauge(&out, "start_time_seconds", "Time of the last start, or graceful restart",
                seconds(snapshot->started));
    write_gauge(&out, "processes", "Processes that serve requests",
                snapshot->counts.processes->nelts);
    write_counters(&out, &snapshot->counts.sums);
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        write_histogram(&out, i, &snapshot->counts.sums.histograms[i]);
    }
    write_gauge(&out, "long_polls_held", "Long polls that are held now", snapshot->long_polls);
    write_gauge(&out, "accounts_locked", "Users whom EasKcdLockout refuses now",
                snapshot->accounts_locked);
    write_gauge(&out, "addresses_throttled", "Addresses that have used up their failed log-ons",
                snapshot->addresses_throttled);
    write_errors(&out, snapshot->notes.errors);
    write_kdcs(&out, snapshot->notes.kdcs);
    return out.text;
}
