/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/duration.h - reads a duration as an administrator writes it */

#ifndef EAS_AUTH_BASE_DURATION_H
#define EAS_AUTH_BASE_DURATION_H

#include <apr_time.h>
#include <stdbool.h>

/*
 * `30` (seconds), `500ms`, `30s`, `15m` or `15min`, `8h`, `30d`: httpd's units, and m for minutes and
 * d for days.  Decimal digits and one unit, in any letter case, and nothing else; false if it is no
 * duration or longer than ten years.
 */
bool eas_duration_parse(const char *text, apr_interval_time_t *out);

#endif
