/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/duration.h - parser for durations in directives */

#ifndef EAS_AUTH_BASE_DURATION_H
#define EAS_AUTH_BASE_DURATION_H

#include <apr_time.h>
#include <stdbool.h>

/*
 * Reads `30` (seconds), `500ms`, `30s`, `15m` or `15min`, `8h`, `30d`: httpd's units, and m for
 * minutes and d for days.  A duration is decimal digits and one unit, in any letter case, and
 * nothing else.  False if it is malformed or longer than ten years.
 */
bool eas_duration_parse(const char *text, apr_interval_time_t *out);

#endif
