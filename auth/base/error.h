/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/error.h - error record */

#ifndef EAS_AUTH_BASE_ERROR_H
#define EAS_AUTH_BASE_ERROR_H

/*
 * A function that can fail returns an eas_rc and describes the failure in the caller's struct
 * eas_err.  Only files *_httpd log: each error once, with its tag (auth/base/log_httpd.h).  They
 * map its class to an HTTP status; every class but EAS_OK refuses the request.
 *
 * Tags are unique and never reused, also when the text changes: 1xxx auth, 2xxx delegation,
 * 3xxx start-up.  Administrators search for tags, and the tests assert them.
 */
enum eas_rc {
    EAS_OK = 0,
    EAS_MALFORMED,     /* the request breaks a protocol */
    EAS_DENIED,        /* credentials missing, wrong or unusable */
    EAS_UNKNOWN,       /* the user does not exist; to the client the same as EAS_DENIED */
    EAS_EXPIRED,       /* right but expired: password must be changed, session timed out */
    EAS_THROTTLED,     /* not verified, because of the gateway's own counting; try again later */
    EAS_FORBIDDEN,     /* the authenticated user may not do this */
    EAS_UNAVAILABLE,   /* the KDC or the gateway cannot do it at present */
    EAS_MISCONFIGURED, /* an administrator must act first */
    EAS_NO_SERVICE,    /* likewise: the KDC issues nobody a ticket for that service */
    EAS_BACKEND        /* the backend broke a protocol */
};

struct eas_err {
    enum eas_rc rc;
    int tag;        /* the nnnn of EASnnnn */
    char text[480]; /* the cause, then the cure if an administrator has one; no secrets */
    int repeats;    /* an outage that has been logged is the cause: of less interest */
};

/* Sets *err and returns rc, so that a caller can `return eas_fail(…)`. */
enum eas_rc eas_fail(struct eas_err *err, enum eas_rc rc, int tag, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
