/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/notes.h - the latest errors, KDCs and throttled names, in memory of all processes */

#ifndef EAS_AUTH_BASE_NOTES_H
#define EAS_AUTH_BASE_NOTES_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * For the status page.  Only errors, messages to KDCs and lockouts write here, under a robust mutex;
 * requests that succeed do not.  The text of an error is written once in a second.  Texts are cut to
 * their room.  Without memory nothing is noted.
 */

#define EAS_NOTES_KEY_SIZE 32

size_t eas_notes_size(void);

/* A number that differs where the layout does, for the name of the memory. */
uint32_t eas_notes_layout(void);

/* Makes an empty table, by one process before others attach. */
void eas_notes_format(void *memory, apr_time_t now);

/* Uses the memory in this process and its children; NULL: none.  False if it has another layout. */
bool eas_notes_attach(void *memory);

/* An error with a log tag. */
struct eas_notes_error {
    int tag;
    uint64_t count;
    apr_time_t first, last;
    char text[480]; /* of the last second's first; may name users */
};

void eas_notes_error(int tag, const char *text, apr_time_t now);

/* An address of a KDC, for each realm that it serves. */
struct eas_notes_kdc {
    char address[56];
    char realm[72];
    uint64_t answers, failures;
    apr_time_t answered_at, failed_at; /* 0: never */
    apr_interval_time_t took;          /* smoothed */
    apr_time_t named_at;               /* krb5.conf or DNS had it for the realm */
};

/*
 * A message to the realm begins, and the address is one of its KDCs'.  Those that it has no longer
 * named for an hour are not read, and for a day where no message goes to the realm.
 */
void eas_notes_kdc(const char *address, const char *realm, apr_time_t now);
void eas_notes_kdc_answered(const char *address, const char *realm, apr_interval_time_t took,
                            apr_time_t now);
void eas_notes_kdc_failed(const char *address, const char *realm, apr_time_t now);

/* A user or a client address that the throttle refuses. */
struct eas_notes_throttled {
    char user[256];   /* empty: an address */
    char address[64]; /* of the last failure */
    apr_time_t since, until;
    unsigned char key[EAS_NOTES_KEY_SIZE]; /* of the lockout record, or of the address's bucket */
};

/*
 * Replaces the note about the same user or bucket, else the one that ends first.  A note that goes on
 * keeps its beginning.
 */
void eas_notes_throttle(const struct eas_notes_throttled *throttled);

/* Finds a user whose time is not over, without letter case. */
bool eas_notes_find(const char *user, apr_time_t now, struct eas_notes_throttled *out);
void eas_notes_drop(const char *user);

struct eas_notes_view {
    apr_time_t since;              /* when the memory was made; 0: there is none */
    apr_array_header_t *errors;    /* of struct eas_notes_error, by tag */
    apr_array_header_t *kdcs;      /* of struct eas_notes_kdc */
    apr_array_header_t *throttled; /* of struct eas_notes_throttled, until now */
};

/* A copy, in pool. */
struct eas_notes_view eas_notes_read(apr_pool_t *pool, apr_time_t now);

#endif
