/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/event.h - one line of the event log */

#ifndef EAS_AUTH_BASE_EVENT_H
#define EAS_AUTH_BASE_EVENT_H

#include <apr_time.h>
#include <stdatomic.h>
#include <stddef.h>

/* A write of so many octets to a pipe is atomic (PIPE_BUF of Linux). */
#define EAS_EVENT_MAX 4096

/* The longest value, escaped; a longer one is cut. */
#define EAS_EVENT_VALUE_MAX 256

/*
 * A JSON object and the end of the line, made field by field.  A field that has no room is left
 * out, so the line is complete in any case.
 */
struct eas_event {
    size_t len;
    char text[EAS_EVENT_MAX + 1];
};

/* Begins the line with time, in UTC, and event. */
void eas_event_begin(struct eas_event *event, const char *name, apr_time_t time);

/* Adds a text; NULL and "" are left out. */
void eas_event_text(struct eas_event *event, const char *name, const char *value);

void eas_event_number(struct eas_event *event, const char *name, long value);

void eas_event_end(struct eas_event *event);

/*
 * Writes the line at once: no line of another process comes between.  A file system without room
 * may take a part of a line.  The processes share `is_torn` for that, and the next line begins after
 * an end of line.  Returns 0 or errno.
 */
int eas_event_write(const struct eas_event *event, int fd, atomic_int *is_torn);

#endif
