/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/duration.c - parser for durations in directives */

#include "auth/base/duration.h"

#include <apr_cstr.h>
#include <apr_lib.h>

#define DURATION_MAX apr_time_from_sec(APR_INT64_C(3650) * 86400)

bool eas_duration_parse(const char *text, apr_interval_time_t *out)
{
    static const struct {
        const char *name;
        apr_interval_time_t microseconds;
    } units[] = { { "", apr_time_from_sec(1) },     { "ms", 1000 },
                  { "s", apr_time_from_sec(1) },    { "m", apr_time_from_sec(60) },
                  { "min", apr_time_from_sec(60) }, { "h", apr_time_from_sec(3600) },
                  { "d", apr_time_from_sec(86400) } };
    apr_int64_t number = 0;
    apr_size_t i;

    if (!apr_isdigit(*text)) {
        return false;
    }
    for (; apr_isdigit(*text); text++) {
        number = number * 10 + (*text - '0');
        if (number > DURATION_MAX) {
            return false;
        }
    }
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (apr_cstr_casecmp(text, units[i].name) == 0) {
            if (number > DURATION_MAX / units[i].microseconds) {
                return false;
            }
            *out = number * units[i].microseconds;
            return true;
        }
    }
    return false;
}
