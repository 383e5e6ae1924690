/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/report.c - steps of eas-kcd-check, printed as text or JSON */

#include "delegation/check/report.h"
#include "auth/base/clock.h"
#include "auth/base/json.h"
#include "auth/base/utf8.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <langinfo.h>
#include <string.h>

struct eas_report {
    apr_pool_t *pool;
    FILE *progress;
    apr_array_header_t *steps; /* of struct eas_report_step */
    struct eas_report_step current;
    apr_time_t began;
};

struct eas_report *eas_report_create(apr_pool_t *pool, FILE *progress)
{
    struct eas_report *report = apr_pcalloc(pool, sizeof(*report));

    report->pool = pool;
    report->progress = progress;
    report->steps = apr_array_make(pool, 16, sizeof(struct eas_report_step));
    return report;
}

static const char *mark_of(enum eas_report_verdict verdict)
{
    static const char *const utf8[] = { "\xe2\x9c\x93", "!", "\xe2\x9c\x97", "-" };
    static const char *const ascii[] = { "ok  ", "warn", "FAIL", "skip" };

    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? utf8[verdict] : ascii[verdict];
}

/* The octets of the printable character at p: 0 for a control character, and for no UTF-8. */
static size_t character_at(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t len = 1;

    if (u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && u[1] < 0xa0)) {
        return 0;
    }
    while (u[0] >= 0x80 && len < 4 && (u[len] & 0xc0) == 0x80) {
        len++;
    }
    return eas_utf8_is_valid(p, len) ? len : 0;
}

/* Replies of servers and names go to a terminal and into JSON. */
static const char *printable(apr_pool_t *pool, const char *text)
{
    char *copy = apr_pstrdup(pool, text), *p = copy;

    while (*p != '\0') {
        size_t len = character_at(p);

        if (len == 0) {
            *p = '?';
        }
        p += len > 0 ? len : 1;
    }
    return copy;
}

static void print_line(FILE *out, const char *label, const char *text)
{
    if (*text != '\0') {
        fprintf(out, "      %s%s\n", label, text);
    }
}

static void print_step(const struct eas_report_step *step, FILE *out)
{
    fprintf(out, "%s %s%s%s (%.1f ms)%s%s\n", mark_of(step->verdict), step->name,
            *step->subject != '\0' ? " " : "", step->subject, (double)step->took / 1000,
            *step->detail != '\0' ? ": " : "", step->detail);
    if (step->finding != EAS_FINDING_NONE) {
        fprintf(out, "      [%s] %s\n", step->text.name, step->text.meaning);
        print_line(out, "PowerShell: ", step->text.powershell);
        print_line(out, "Samba: ", step->text.samba);
    }
    fflush(out);
}

void eas_report_begin(struct eas_report *report, const char *name, const char *subject)
{
    report->current = (struct eas_report_step){ .name = name,
                                                .subject = printable(report->pool, subject),
                                                .detail = "" };
    report->began = eas_clock_now();
}

void eas_report_add(struct eas_report *report, const struct eas_report_step *step)
{
    APR_ARRAY_PUSH(report->steps, struct eas_report_step) = *step;
    if (report->progress != NULL) {
        print_step(step, report->progress);
    }
}

static void end(struct eas_report *report, enum eas_report_verdict verdict, const char *detail)
{
    report->current.verdict = verdict;
    report->current.took = eas_clock_now() - report->began;
    report->current.detail = printable(report->pool, detail);
    eas_report_add(report, &report->current);
}

void eas_report_pass(struct eas_report *report, const char *detail)
{
    end(report, EAS_REPORT_PASSED, detail);
}

void eas_report_skip(struct eas_report *report, const char *detail)
{
    end(report, EAS_REPORT_SKIPPED, detail);
}

void eas_report_find(struct eas_report *report, enum eas_finding finding,
                     const struct eas_finding_names *names, const char *detail)
{
    struct eas_finding_text text = eas_finding_text(report->pool, finding, names);

    text.meaning = printable(report->pool, text.meaning);
    text.powershell = printable(report->pool, text.powershell);
    text.samba = printable(report->pool, text.samba);
    report->current.finding = finding;
    report->current.text = text;
    end(report, text.weight == EAS_FINDING_FAULT ? EAS_REPORT_FAILED : EAS_REPORT_WARNED, detail);
}

bool eas_report_last_passed(const struct eas_report *report)
{
    const struct eas_report_step *steps = (const struct eas_report_step *)report->steps->elts;

    return report->steps->nelts == 0
           || steps[report->steps->nelts - 1].verdict <= EAS_REPORT_WARNED;
}

static int count(const struct eas_report *report, enum eas_report_verdict verdict)
{
    int i, found = 0;

    for (i = 0; i < report->steps->nelts; i++) {
        found += APR_ARRAY_IDX(report->steps, i, struct eas_report_step).verdict == verdict;
    }
    return found;
}

bool eas_report_has(const struct eas_report *report, const char *name)
{
    int i;

    for (i = 0; i < report->steps->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(report->steps, i, struct eas_report_step).name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool eas_report_passed(const struct eas_report *report)
{
    return count(report, EAS_REPORT_FAILED) + count(report, EAS_REPORT_SKIPPED) == 0;
}

void eas_report_print_sum(const struct eas_report *report, FILE *out)
{
    fprintf(out, "%d passed, %d with a warning, %d failed, %d skipped\n",
            count(report, EAS_REPORT_PASSED), count(report, EAS_REPORT_WARNED),
            count(report, EAS_REPORT_FAILED), count(report, EAS_REPORT_SKIPPED));
}

static void print_string(FILE *out, const struct eas_report *report, const char *name,
                         const char *value, const char *end_with)
{
    size_t size = EAS_JSON_ESCAPE_MAX * strlen(value) + 1;
    char *escaped = apr_palloc(report->pool, size);

    eas_json_escape(value, escaped, size);
    fprintf(out, "\"%s\": \"%s\"%s", name, escaped, end_with);
}

static void print_json_step(const struct eas_report *report, const struct eas_report_step *step,
                            FILE *out)
{
    static const char *const verdicts[] = { "passed", "warning", "failed", "skipped" };

    fputs("    {", out);
    print_string(out, report, "step", step->name, ", ");
    print_string(out, report, "subject", step->subject, ", ");
    print_string(out, report, "verdict", verdicts[step->verdict], ", ");
    fprintf(out, "\"microseconds\": %" APR_TIME_T_FMT ", ", step->took);
    print_string(out, report, "detail", step->detail, "");
    if (step->finding != EAS_FINDING_NONE) {
        fputs(", ", out);
        print_string(out, report, "finding", step->text.name, ", ");
        print_string(out, report, "meaning", step->text.meaning, ", ");
        print_string(out, report, "powershell", step->text.powershell, ", ");
        print_string(out, report, "samba", step->text.samba, "");
    }
    fputc('}', out);
}

void eas_report_print_json(const struct eas_report *report, FILE *out)
{
    int i;

    fputs("{\n  ", out);
    print_string(out, report, "version", EAS_KCD_VERSION, ",\n  ");
    fprintf(out, "\"passed\": %s,\n  \"steps\": [", eas_report_passed(report) ? "true" : "false");
    for (i = 0; i < report->steps->nelts; i++) {
        fputs(i == 0 ? "\n" : ",\n", out);
        print_json_step(report, &APR_ARRAY_IDX(report->steps, i, struct eas_report_step), out);
    }
    fputs("\n  ]\n}\n", out);
}
