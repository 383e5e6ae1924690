/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/report.h - steps of eas-kcd-check, printed as text or JSON */

#ifndef EAS_DELEGATION_CHECK_REPORT_H
#define EAS_DELEGATION_CHECK_REPORT_H

#include "delegation/check/finding.h"

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>
#include <stdio.h>

enum eas_report_verdict {
    EAS_REPORT_PASSED,
    EAS_REPORT_WARNED, /* passed, with a finding of the weight warning */
    EAS_REPORT_FAILED,
    EAS_REPORT_SKIPPED /* an earlier step has failed, or the step does not apply */
};

struct eas_report_step {
    const char *name;
    const char *subject; /* user, SPN, address, …; "" */
    enum eas_report_verdict verdict;
    apr_interval_time_t took;
    const char *detail;       /* the fact, on one line; "" */
    enum eas_finding finding; /* NONE: passed or skipped */
    struct eas_finding_text text;
};

struct eas_report;

/* With progress, each step is printed as text to it when it ends; NULL: none. */
struct eas_report *eas_report_create(apr_pool_t *pool, FILE *progress);

/* Begins a step, whose time runs from now. */
void eas_report_begin(struct eas_report *report, const char *name, const char *subject);

/* Ends the step.  detail is printed as it is: no secrets. */
void eas_report_pass(struct eas_report *report, const char *detail);
void eas_report_find(struct eas_report *report, enum eas_finding finding,
                     const struct eas_finding_names *names, const char *detail);
void eas_report_skip(struct eas_report *report, const char *detail);

/* A step that ran elsewhere. */
void eas_report_add(struct eas_report *report, const struct eas_report_step *step);

/* Whether no step has failed or was skipped. */
bool eas_report_passed(const struct eas_report *report);

/* Whether the latest step has not failed. */
bool eas_report_last_passed(const struct eas_report *report);

/* Whether there is a step of that name. */
bool eas_report_has(const struct eas_report *report, const char *name);

/* The last line of the text, or all steps as one JSON object. */
void eas_report_print_sum(const struct eas_report *report, FILE *out);
void eas_report_print_json(const struct eas_report *report, FILE *out);

#endif
