/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/html.c - the snapshot as a page for people */

#include "delegation/status/html.h"
#include "delegation/status/forms.h"
#include "delegation/status/style.h"
#include "delegation/status/writer.h"

#include <apr_strings.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

/* --- words ------------------------------------------------------------------------------------ */

#define MINUTE ((apr_int64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Two units at most. */
static const char *duration(apr_pool_t *pool, apr_interval_time_t time)
{
    apr_int64_t s = apr_time_sec(time);

    return s < 0        ? "0 s"
           : s < MINUTE ? apr_psprintf(pool, "%d s", (int)s)
           : s < HOUR   ? apr_psprintf(pool, "%d min", (int)(s / MINUTE))
           : s < DAY
               ? apr_psprintf(pool, "%d h %d min", (int)(s / HOUR), (int)(s % HOUR / MINUTE))
               : apr_psprintf(pool, "%" APR_INT64_T_FMT " d %d h", s / DAY, (int)(s % DAY / HOUR));
}

static const char *ago(const struct eas_writer *out, const struct eas_snapshot *snapshot,
                       apr_time_t when)
{
    return when == 0
               ? "never"
               : apr_pstrcat(out->pool, duration(out->pool, snapshot->now - when), " ago", NULL);
}

static const char *milliseconds(apr_pool_t *pool, apr_interval_time_t time)
{
    return apr_psprintf(pool, "%.1f ms", (double)time / 1000);
}

static const char *share(apr_pool_t *pool, uint64_t part, uint64_t whole)
{
    return whole == 0 ? "–" : apr_psprintf(pool, "%.1f %%", 100.0 * (double)part / (double)whole);
}

/* --- elements --------------------------------------------------------------------------------- */

static void cell(struct eas_writer *out, const char *class, const char *label, const char *text)
{
    eas_writer_print(out, "<td class=\"%s\" data-label=\"%s\">%s</td>", class, label,
                     eas_writer_html(out->pool, text));
}

static void number(struct eas_writer *out, const char *label, uint64_t n)
{
    eas_writer_print(out, "<td class=\"n\" data-label=\"%s\">%" PRIu64 "</td>", label, n);
}

static void begin_table(struct eas_writer *out, const char *class, const char *const *heads)
{
    eas_writer_print(out, "<table class=\"%s\"><thead><tr>", class);
    for (; *heads != NULL; heads++) {
        /* A head that begins with '#' is that of numbers. */
        eas_writer_print(out, "<th scope=\"col\"%s>%s</th>", **heads == '#' ? " class=\"n\"" : "",
                         **heads == '#' ? *heads + 1 : *heads);
    }
    eas_writer_print(out, "</tr></thead><tbody>\n");
}

static void end_table(struct eas_writer *out)
{
    eas_writer_print(out, "</tbody></table>\n");
}

static void tile(struct eas_writer *out, bool alarm, const char *name, const char *value)
{
    eas_writer_print(out, "<div%s><dt>%s</dt><dd>%s</dd></div>\n", alarm ? " class=\"alarm\"" : "",
                     name, eas_writer_html(out->pool, value));
}

static void number_tile(struct eas_writer *out, bool alarm, const char *name, int64_t n)
{
    tile(out, alarm, name, apr_psprintf(out->pool, "%" APR_INT64_T_FMT, (apr_int64_t)n));
}

/* --- sections --------------------------------------------------------------------------------- */

static void write_header(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    const int64_t *gauges = snapshot->counts.sums.gauges;
    unsigned silent = eas_snapshot_silent_kdcs(snapshot);

    eas_writer_print(out, "<header>\n<h1>%s</h1>\n", eas_writer_html(out->pool, snapshot->host));
    eas_writer_print(
        out, "<p class=\"soft\">mod_eas_kcd %s, started %s, counting for %s</p>\n",
        eas_writer_html(out->pool, snapshot->version), ago(out, snapshot, snapshot->started),
        snapshot->notes.since == 0 ? "this process alone"
                                   : duration(out->pool, snapshot->now - snapshot->notes.since));
    if (snapshot->message != NULL) {
        eas_writer_print(out, "<p class=\"message\" role=\"status\">%s</p>\n",
                         eas_writer_html(out->pool, snapshot->message));
    }
    eas_writer_print(out, "<dl class=\"tiles\">\n");
    number_tile(out, silent > 0, "KDCs silent", silent);
    number_tile(out, gauges[EAS_GAUGE_REALMS_SILENT] > 0, "Realms silent",
                gauges[EAS_GAUGE_REALMS_SILENT]);
    number_tile(out, false, "Long polls held", snapshot->long_polls);
    number_tile(out, false, "Long polls parked", gauges[EAS_GAUGE_PARKED_NOW]);
    number_tile(out, false, "Connections busy", gauges[EAS_GAUGE_CONNECTIONS_BUSY]);
    number_tile(out, false, "Connections kept", gauges[EAS_GAUGE_CONNECTIONS_KEPT]);
    number_tile(out, false, "Tickets cached", gauges[EAS_GAUGE_CACHED_TICKETS]);
    number_tile(out, false, "Users cached", gauges[EAS_GAUGE_CACHED_PASSWORDS]);
    number_tile(out, snapshot->accounts_locked > 0, "Users locked", snapshot->accounts_locked);
    number_tile(out, snapshot->addresses_throttled > 0, "Addresses throttled",
                snapshot->addresses_throttled);
    number_tile(out, false, "Processes", snapshot->counts.processes->nelts);
    eas_writer_print(out, "</dl>\n</header>\n");
}

static void write_accounts(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "Account", "Default realm", "Keys", NULL };
    int i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Gateway</h2>\n");
    begin_table(out, "cards", heads);
    for (i = 0; i < snapshot->accounts->nelts; i++) {
        const struct eas_snapshot_account *account =
            &APR_ARRAY_IDX(snapshot->accounts, i, struct eas_snapshot_account);

        eas_writer_print(out, "<tr>");
        cell(out, "", heads[0], account->name);
        cell(out, "", heads[1], account->realm);
        cell(out, "", heads[2], account->keys);
        eas_writer_print(out, "</tr>\n");
    }
    end_table(out);
    eas_writer_print(out, "</section>\n");
}

static void write_kdcs(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "Realm",    "KDC",     "State",       "#Time",
                                         "#Answers", "#Silent", "Last answer", NULL };
    int i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Domain controllers</h2>\n");
    begin_table(out, "cards", heads);
    for (i = 0; i < snapshot->notes.kdcs->nelts; i++) {
        const struct eas_notes_kdc *kdc =
            &APR_ARRAY_IDX(snapshot->notes.kdcs, i, struct eas_notes_kdc);
        bool was_asked = eas_snapshot_kdc_was_asked(kdc), is_up = eas_snapshot_kdc_is_up(kdc);

        eas_writer_print(out, "<tr>");
        cell(out, "", heads[0], kdc->realm);
        cell(out, "", heads[1], kdc->address);
        cell(out, was_asked ? (is_up ? "good" : "bad") : "", heads[2],
             was_asked ? (is_up ? "answers" : "silent") : "not asked yet");
        cell(out, "n", "Time", kdc->answers > 0 ? milliseconds(out->pool, kdc->took) : "");
        number(out, "Answers", kdc->answers);
        number(out, "Silent", kdc->failures);
        cell(out, "", heads[6], ago(out, snapshot, kdc->answered_at));
        eas_writer_print(out, "</tr>\n");
    }
    end_table(out);
    eas_writer_print(out, "</section>\n");
}

static void write_backends(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "Backend", "Service principal name", "Connections", NULL };
    int i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Backends</h2>\n");
    begin_table(out, "cards", heads);
    for (i = 0; i < snapshot->backends->nelts; i++) {
        const struct eas_snapshot_backend *backend =
            &APR_ARRAY_IDX(snapshot->backends, i, struct eas_snapshot_backend);

        eas_writer_print(out, "<tr>");
        cell(out, "", heads[0], backend->url);
        cell(out, "", heads[1], backend->spn);
        cell(out, "", heads[2], backend->reuses ? "kept for their user" : "closed after a request");
        eas_writer_print(out, "</tr>\n");
    }
    end_table(out);
    eas_writer_print(out, "</section>\n");
}

static void write_log_ons(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "Outcome", "#Form", "#HTTP Basic", NULL };
    static const char *const outcomes[] = { "accepted",  "refused",   "password expired",
                                            "throttled", "forbidden", "no answer of a KDC" };
    const uint64_t *counters = snapshot->counts.sums.counters;
    unsigned i;

    eas_writer_print(out, "<section><h2>Log-ons</h2>\n");
    begin_table(out, "", heads);
    for (i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        eas_writer_print(out, "<tr>");
        cell(out, "", "Outcome", outcomes[i]);
        number(out, "Form", counters[EAS_COUNTER_FORM_ACCEPTED + i]);
        number(out, "HTTP Basic", counters[EAS_COUNTER_BASIC_ACCEPTED + i]);
        eas_writer_print(out, "</tr>\n");
    }
    end_table(out);
    eas_writer_print(out,
                     "<p class=\"soft\">Requests with a session: %" PRIu64 " accepted, %" PRIu64
                     " over. Sessions: %" PRIu64 " begun, %" PRIu64 " signed out.</p></section>\n",
                     counters[EAS_COUNTER_SESSION_ACCEPTED], counters[EAS_COUNTER_SESSION_OVER],
                     counters[EAS_COUNTER_SESSION_BEGUN], counters[EAS_COUNTER_SESSION_SIGNED_OUT]);
}

static void write_hits(struct eas_writer *out, const char *name, const uint64_t n[3])
{
    uint64_t all = n[0] + n[1] + n[2];

    eas_writer_print(out, "<tr>");
    cell(out, "", "Search for", name);
    cell(out, "n", "This process", share(out->pool, n[0], all));
    cell(out, "n", "Shared", share(out->pool, n[1], all));
    cell(out, "n", "KDC", share(out->pool, n[2], all));
    number(out, "Searches", all);
    eas_writer_print(out, "</tr>\n");
}

static void write_caches(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "Search for", "#This process", "#Shared",
                                         "#KDC",       "#Searches",     NULL };
    const uint64_t *counters = snapshot->counts.sums.counters;

    eas_writer_print(out, "<section><h2>Caches</h2>\n");
    begin_table(out, "cards", heads);
    write_hits(out, "passwords", &counters[EAS_COUNTER_PASSWORD_PROCESS]);
    write_hits(out, "service tickets", &counters[EAS_COUNTER_TICKET_PROCESS]);
    end_table(out);
    eas_writer_print(
        out,
        "<p class=\"soft\">Tickets renewed before their end: %" PRIu64 ", failed: %" PRIu64
        ". Backend connections of requests: %s kept.</p></section>\n",
        counters[EAS_COUNTER_RENEWAL_DONE], counters[EAS_COUNTER_RENEWAL_FAILED],
        share(out->pool, counters[EAS_COUNTER_EXCHANGE_KEPT],
              counters[EAS_COUNTER_EXCHANGE_KEPT] + counters[EAS_COUNTER_EXCHANGE_NEW]));
}

/* The bound below which a share of the times lie. */
static const char *percentile(apr_pool_t *pool, const struct eas_counters_times *times,
                              unsigned percent)
{
    uint64_t all = eas_counters_times_count(times), below = 0;
    unsigned i;

    for (i = 0; i < EAS_COUNTERS_BOUNDS; i++) {
        below += times->buckets[i];
        if (all > 0 && below * 100 >= all * percent) {
            return apr_psprintf(pool, "≤ %g ms", (double)eas_counters_bounds[i] / 1000);
        }
    }
    return all == 0 ? "–" : "> 10 s";
}

static void write_times(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = {
        "Interval", "#Count", "#Mean", "#Half of", "#95 % of", NULL
    };
    unsigned i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Times</h2>\n");
    begin_table(out, "cards", heads);
    for (i = 0; i < EAS_HISTOGRAMS; i++) {
        const struct eas_counters_times *times = &snapshot->counts.sums.histograms[i];
        uint64_t count = eas_counters_times_count(times);

        eas_writer_print(out, "<tr>");
        cell(out, "", "Interval", eas_counters_families[eas_counters_histograms[i].family].help);
        number(out, "Count", count);
        cell(out, "n", "Mean",
             count > 0 ? milliseconds(out->pool, (apr_interval_time_t)(times->sum / count)) : "–");
        cell(out, "n", "Half of", percentile(out->pool, times, 50));
        cell(out, "n", "95 % of", percentile(out->pool, times, 95));
        eas_writer_print(out, "</tr>\n");
    }
    end_table(out);
    eas_writer_print(out, "</section>\n");
}

static void write_errors(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "Tag", "#Count", "First", "Last", "Last message", NULL };
    int i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Refusals and errors</h2>\n");
    begin_table(out, "cards", heads);
    for (i = 0; i < snapshot->notes.errors->nelts; i++) {
        const struct eas_notes_error *error =
            &APR_ARRAY_IDX(snapshot->notes.errors, i, struct eas_notes_error);

        eas_writer_print(out, "<tr>");
        cell(out, "", heads[0], apr_psprintf(out->pool, "EAS%04d", error->tag));
        number(out, "Count", error->count);
        cell(out, "", heads[2], ago(out, snapshot, error->first));
        cell(out, "", heads[3], ago(out, snapshot, error->last));
        cell(out, "text", heads[4], error->text);
        eas_writer_print(out, "</tr>\n");
    }
    end_table(out);
    eas_writer_print(out,
                     "<p class=\"soft\">eas-kcd-messages(7) explains each tag.%s</p></section>\n",
                     snapshot->user == NULL ? " Messages and names of users are for administrators "
                                              "who are logged on."
                                            : "");
}

static void write_process(struct eas_writer *out, const struct eas_snapshot *snapshot,
                          const struct eas_counters_process *process)
{
    const struct eas_counters_numbers *numbers = &process->numbers;

    eas_writer_print(out, "<tr>");
    number(out, "Process", (uint64_t)process->pid);
    cell(out, "", "Since", ago(out, snapshot, process->since));
    number(out, "Exchanges",
           numbers->counters[EAS_COUNTER_EXCHANGE_KEPT]
               + numbers->counters[EAS_COUNTER_EXCHANGE_NEW]);
    number(out, "Long polls", numbers->counters[EAS_COUNTER_LONG_POLLS]);
    number(out, "Busy", (uint64_t)numbers->gauges[EAS_GAUGE_CONNECTIONS_BUSY]);
    number(out, "Kept", (uint64_t)numbers->gauges[EAS_GAUGE_CONNECTIONS_KEPT]);
    number(out, "Tickets", (uint64_t)numbers->gauges[EAS_GAUGE_CACHED_TICKETS]);
    number(out, "Users", (uint64_t)numbers->gauges[EAS_GAUGE_CACHED_PASSWORDS]);
    eas_writer_print(out, "</tr>\n");
}

static void write_processes(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    static const char *const heads[] = { "#Process",    "Since",  "#Exchanges",
                                         "#Long polls", "#Busy",  "#Kept",
                                         "#Tickets",    "#Users", NULL };
    int i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Processes</h2>\n");
    begin_table(out, "cards", heads);
    for (i = 0; i < snapshot->counts.processes->nelts; i++) {
        write_process(out, snapshot,
                      &APR_ARRAY_IDX(snapshot->counts.processes, i, struct eas_counters_process));
    }
    end_table(out);
    eas_writer_print(out, "</section>\n");
}

const char *eas_html_write(apr_pool_t *pool, const struct eas_snapshot *snapshot)
{
    struct eas_writer out = eas_writer_make(pool);

    eas_writer_print(&out,
                     "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"robots\" content=\"noindex\">\n<style>%s</style>\n"
                     "<title>Gateway - %s</title>\n</head>\n<body>\n<main>\n",
                     eas_style, eas_writer_html(pool, snapshot->host));
    write_header(&out, snapshot);
    write_kdcs(&out, snapshot);
    write_errors(&out, snapshot);
    eas_forms_write(&out, snapshot);
    write_log_ons(&out, snapshot);
    write_caches(&out, snapshot);
    write_accounts(&out, snapshot);
    write_backends(&out, snapshot);
    write_times(&out, snapshot);
    write_processes(&out, snapshot);
    eas_writer_print(&out, "</main>\n</body>\n</html>\n");
    return out.text;
}

const char *eas_html_csp(apr_pool_t *pool)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char text[2 * EVP_MAX_MD_SIZE];
    unsigned len;

    if (EVP_Digest(eas_style, strlen(eas_style), digest, &len, EVP_sha256(), NULL) != 1) {
        return NULL;
    }
    EVP_EncodeBlock(text, digest, (int)len);
    return apr_psprintf(pool,
                        "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; "
                        "frame-ancestors 'none'; base-uri 'none'",
                        (const char *)text);
}
