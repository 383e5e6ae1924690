/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/error.c - error record */

#include "auth/base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum eas_rc eas_fail(struct eas_err *err, enum eas_rc rc, int tag, const char *fmt, ...)
{
    va_list ap;

    err->rc = rc;
    err->tag = tag;
    err->repeats = 0;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return rc;
}
