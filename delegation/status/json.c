/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/json.c - the snapshot as JSON */

#include "delegation/status/json.h"
#include "delegation/status/writer.h"

#include <apr_strings.h>
#include <inttypes.h>
#include <string.h>

static void write_text(struct eas_writer *out, const char *key, const char *text)
{
    eas_writer_print(out, "\"%s\":\"%s\"", key, eas_writer_json(out->pool, text));
}

static void write_time(struct eas_writer *out, const char *key, apr_time_t time)
{
    if (time == 0) {
        eas_writer_print(out, "\"%s\":null", key);
    }
    else {
        eas_writer_print(out, "\"%s\":%" APR_TIME_T_FMT ".%06d", key, apr_time_sec(time),
                         (int)apr_time_usec(time));
    }
}

static const char *comma(int i)
{
    return i > 0 ? "," : "";
}

/* key="value",… of counters.def as "key":"value",… */
static void write_labels(struct eas_writer *out, const char *labels)
{
    eas_writer_print(out, "\"labels\":{");
    while (*labels != '\0') {
        size_t key = strcspn(labels, "="), value = strcspn(labels + key + 2, "\"");

        eas_writer_print(out, "\"%.*s\":\"%.*s\"", (int)key, labels, (int)value, labels + key + 2);
        labels += key + 2 + value + 1;
        if (*labels == ',') {
            eas_writer_print(out, ",");
            labels++;
        }
    }
    eas_writer_print(out, "}");
}

/* Begins a row of a family; the family, too, with its first row. */
static void begin_row(struct eas_writer *out, const struct eas_counters_row *rows, unsigned i)
{
    bool is_first = i == 0 || rows[i].family != rows[i - 1].family;

    if (is_first) {
        eas_writer_print(out, "%s\"%s\":[", i > 0 ? "]," : "",
                         eas_counters_families[rows[i].family].name);
    }
    eas_writer_print(out, "%s{", is_first ? "" : ",");
    write_labels(out, rows[i].labels);
}

static void write_times(struct eas_writer *out, const struct eas_counters_times *times)
{
    unsigned i;

    eas_writer_print(out, ",\"count\":%" PRIu64 ",\"microseconds\":%" PRIu64 ",\"buckets\":[",
                     eas_counters_times_count(times), times->sum);
    for (i = 0; i <= EAS_COUNTERS_BOUNDS; i++) {
        eas_writer_print(out, "%s%" PRIu64, comma((int)i), times->buckets[i]);
    }
    eas_writer_print(out, "]}");
}

static void write_numbers(struct eas_writer *out, const struct eas_counters_numbers *numbers)
{
    unsigned i;

    eas_writer_print(out, "\"counters\":{");
    for (i = 0; i < EAS_COUNTERS; i++) {
        begin_row(out, eas_counters_rows, i);
        eas_writer_print(out, ",\"value\":%" PRIu64 "}", numbers->counters[i]);
    }
    eas_writer_print(out, "]},\"gauges\":{");
    for (i = 0; i < EAS_GAUGES; i++) {
        begin_row(out, eas_counters_gauges, i);
        eas_writer_print(out, ",\"value\":%" PRId64 "}", numbers->gauges[i]);
    }
    eas_writer_print(out, "]},\"histograms\":{");
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        begin_row(out, eas_counters_histograms, i);
        write_times(out, &numbers->histograms[i]);
    }
    eas_writer_print(out, "]}");
}

static void write_accounts(struct eas_writer *out, const apr_array_header_t *accounts)
{
    int i;

    eas_writer_print(out, ",\"accounts\":[");
    for (i = 0; i < accounts->nelts; i++) {
        const struct eas_snapshot_account *account =
            &APR_ARRAY_IDX(accounts, i, struct eas_snapshot_account);

        eas_writer_print(out, "%s{", comma(i));
        write_text(out, "name", account->name);
        eas_writer_print(out, ",");
        write_text(out, "realm", account->realm);
        eas_writer_print(out, ",");
        write_text(out, "keys", account->keys);
        eas_writer_print(out, "}");
    }
    eas_writer_print(out, "]");
}

static void write_backends(struct eas_writer *out, const apr_array_header_t *backends)
{
    int i;

    eas_writer_print(out, ",\"backends\":[");
    for (i = 0; i < backends->nelts; i++) {
        const struct eas_snapshot_backend *backend =
            &APR_ARRAY_IDX(backends, i, struct eas_snapshot_backend);

        eas_writer_print(out, "%s{", comma(i));
        write_text(out, "url", backend->url);
        eas_writer_print(out, ",");
        write_text(out, "spn", backend->spn);
        eas_writer_print(out, ",\"reuses_connections\":%s}", backend->reuses ? "true" : "false");
    }
    eas_writer_print(out, "]");
}

static void write_kdcs(struct eas_writer *out, const apr_array_header_t *kdcs)
{
    int i;

    eas_writer_print(out, ",\"kdcs\":[");
    for (i = 0; i < kdcs->nelts; i++) {
        const struct eas_notes_kdc *kdc = &APR_ARRAY_IDX(kdcs, i, struct eas_notes_kdc);

        eas_writer_print(out, "%s{", comma(i));
        write_text(out, "realm", kdc->realm);
        eas_writer_print(out, ",");
        write_text(out, "address", kdc->address);
        eas_writer_print(out, ",\"up\":%s,\"answers\":%" PRIu64 ",\"failures\":%" PRIu64 ",",
                         !eas_snapshot_kdc_was_asked(kdc) ? "null"
                         : eas_snapshot_kdc_is_up(kdc)    ? "true"
                                                          : "false",
                         kdc->answers, kdc->failures);
        write_time(out, "answered", kdc->answered_at);
        eas_writer_print(out, ",");
        write_time(out, "failed", kdc->failed_at);
        eas_writer_print(out, ",\"microseconds\":%" APR_TIME_T_FMT "}", kdc->took);
    }
    eas_writer_print(out, "]");
}

static void write_errors(struct eas_writer *out, const apr_array_header_t *errors)
{
    int i;

    eas_writer_print(out, ",\"errors\":[");
    for (i = 0; i < errors->nelts; i++) {
        const struct eas_notes_error *error = &APR_ARRAY_IDX(errors, i, struct eas_notes_error);

        eas_writer_print(out, "%s{\"tag\":\"EAS%04d\",\"count\":%" PRIu64 ",", comma(i), error->tag,
                         error->count);
        write_time(out, "first", error->first);
        eas_writer_print(out, ",");
        write_time(out, "last", error->last);
        if (error->text[0] != '\0') {
            eas_writer_print(out, ",");
            write_text(out, "text", error->text);
        }
        eas_writer_print(out, "}");
    }
    eas_writer_print(out, "]");
}

static void write_throttled(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    const apr_array_header_t *throttled = snapshot->notes.throttled;
    int i;

    eas_writer_print(out, ",\"accounts_locked\":%u,\"addresses_throttled\":%u,\"throttled\":[",
                     snapshot->accounts_locked, snapshot->addresses_throttled);
    for (i = 0; i < throttled->nelts; i++) {
        const struct eas_notes_throttled *row =
            &APR_ARRAY_IDX(throttled, i, struct eas_notes_throttled);

        eas_writer_print(out, "%s{", comma(i));
        if (row->user[0] != '\0') {
            write_text(out, "user", row->user);
            eas_writer_print(out, ",");
        }
        write_text(out, "address", row->address);
        eas_writer_print(out, ",");
        write_time(out, "since", row->since);
        eas_writer_print(out, ",");
        write_time(out, "until", row->until);
        eas_writer_print(out, "}");
    }
    eas_writer_print(out, "]");
}

static void write_processes(struct eas_writer *out, const apr_array_header_t *processes)
{
    int i;

    eas_writer_print(out, ",\"processes\":[");
    for (i = 0; i < processes->nelts; i++) {
        const struct eas_counters_process *process =
            &APR_ARRAY_IDX(processes, i, struct eas_counters_process);

        eas_writer_print(out, "%s{\"pid\":%d,", comma(i), process->pid);
        write_time(out, "since", process->since);
        eas_writer_print(out, ",");
        write_numbers(out, &process->numbers);
        eas_writer_print(out, "}");
    }
    eas_writer_print(out, "]");
}

const char *eas_json_write(apr_pool_t *pool, const struct eas_snapshot *snapshot)
{
    struct eas_writer out = eas_writer_make(pool);

    eas_writer_print(&out, "{");
    write_text(&out, "version", snapshot->version);
    eas_writer_print(&out, ",");
    write_text(&out, "host", snapshot->host);
    eas_writer_print(&out, ",");
    write_time(&out, "now", snapshot->now);
    eas_writer_print(&out, ",");
    write_time(&out, "started", snapshot->started);
    eas_writer_print(&out, ",");
    write_time(&out, "counting_since", snapshot->notes.since);
    if (snapshot->user != NULL) {
        eas_writer_print(&out, ",");
        write_text(&out, "user", snapshot->user);
        eas_writer_print(&out, ",");
        write_text(&out, "token", snapshot->token);
    }
    if (snapshot->message != NULL) {
        eas_writer_print(&out, ",");
        write_text(&out, "message", snapshot->message);
    }
    eas_writer_print(&out, ",\"long_polls_held\":%u,", snapshot->long_polls);
    write_numbers(&out, &snapshot->counts.sums);
    write_accounts(&out, snapshot->accounts);
    write_backends(&out, snapshot->backends);
    write_kdcs(&out, snapshot->notes.kdcs);
    write_errors(&out, snapshot->notes.errors);
    write_throttled(&out, snapshot);
    write_processes(&out, snapshot->counts.processes);
    eas_writer_print(&out, "}\n");
    return out.text;
}
