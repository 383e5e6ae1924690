/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/error.h - the error that every part of the module speaks in */

#ifndef EAS_AUTH_BASE_ERROR_H
#define EAS_AUTH_BASE_ERROR_H

/*
 * Errors are data: a function that can fail returns an eas_rc and describes the failure in the
 * caller's struct eas_err.  Nothing below the glue logs; the glue logs an error once, with its
 * tag, and translates its class into an HTTP status (whatever is not EAS_OK is a refusal).
 *
 * Tags are unique and never reused, also when the text changes: 1xxx auth, 2xxx delegation,
 * 3xxx start-up.  They are what administrators search for and what the tests assert.
 */
enum eas_rc {
    EAS_OK = 0,
    EAS_MALFORMED,     /* a request that makes no sense */
    EAS_DENIED,        /* credentials missing, wrong or unusable */
    EAS_UNKNOWN,       /* a user whom nobody here knows; from outside as EAS_DENIED */
    EAS_EXPIRED,       /* proved, but over: a password that must be changed, a session timed out */
    EAS_FORBIDDEN,     /* a proved user who may not do this */
    EAS_UNAVAILABLE,   /* the KDC or we ourselves cannot do it just now */
    EAS_MISCONFIGURED, /* it will not work before an administrator has acted */
    EAS_BACKEND        /* the backend answered what it must not */
};

struct eas_err {
    enum eas_rc rc;
    int tag;        /* the nnnn of EASnnnn */
    char text[480]; /* what is wrong and, for an administrator's errors, the cure; no secrets */
};

/* Describes a failure in *err and returns rc, so that callers can `return eas_fail(…)`. */
enum eas_rc eas_fail(struct eas_err *err, enum eas_rc rc, int tag, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
