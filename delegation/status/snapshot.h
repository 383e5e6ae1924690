/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/snapshot.h - the state that the status page, JSON and Prometheus show */

#ifndef EAS_DELEGATION_STATUS_SNAPSHOT_H
#define EAS_DELEGATION_STATUS_SNAPSHOT_H

#include "auth/base/counters.h"
#include "auth/base/notes.h"

/* A keytab, of one or more virtual hosts. */
struct eas_snapshot_account {
    const char *name;
    const char *realm;
    const char *keys;
};

struct eas_snapshot_backend {
    const char *url;
    const char *spn;
    bool reuses; /* EasKcdBackendReuse */
};

struct eas_snapshot {
    const char *version;
    const char *host;
    apr_time_t now;
    apr_time_t started;           /* of the configuration that is in use */
    apr_array_header_t *accounts; /* of struct eas_snapshot_account */
    apr_array_header_t *backends; /* of struct eas_snapshot_backend */
    struct eas_counters_view counts;
    struct eas_notes_view notes;
    unsigned long_polls;      /* held */
    unsigned accounts_locked; /* by the gateway's own count */
    unsigned addresses_throttled;

    /* For an administrator; NULL: the request has none, and the snapshot names no user. */
    const char *user;
    const char *token;   /* for forms */
    const char *message; /* the result of a form; or NULL */
};

/* Sets the numbers of throttled users and addresses. */
void eas_snapshot_count(struct eas_snapshot *snapshot);

/* Removes the texts and names that may be those of users. */
void eas_snapshot_redact(struct eas_snapshot *snapshot);

/* Whether a KDC's last message had an answer; false if there was none. */
bool eas_snapshot_kdc_is_up(const struct eas_notes_kdc *kdc);
bool eas_snapshot_kdc_was_asked(const struct eas_notes_kdc *kdc);

/* The KDCs whose last message had no answer. */
unsigned eas_snapshot_silent_kdcs(const struct eas_snapshot *snapshot);

#endif
