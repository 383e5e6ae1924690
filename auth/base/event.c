/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/event.c - one line of the event log */

#include "auth/base/event.h"
#include "auth/base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define END "}\n"

static void add(struct eas_event *event, const char *field, int len)
{
    if (len > 0 && event->len + (size_t)len + sizeof(END) - 1 <= EAS_EVENT_MAX) {
        memcpy(event->text + event->len, field, (size_t)len);
        event->len += (size_t)len;
    }
}

void eas_event_begin(struct eas_event *event, const char *name, apr_time_t time)
{
    char field[128];
    apr_time_exp_t t;

    event->len = 0;
    apr_time_exp_gmt(&t, time);
    add(event, field,
        snprintf(field, sizeof(field),
                 "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\",\"event\":\"%.32s\"",
                 t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                 (int)t.tm_usec, name));
}

void eas_event_text(struct eas_event *event, const char *name, const char *value)
{
    char escaped[EAS_EVENT_VALUE_MAX + 1], field[EAS_EVENT_VALUE_MAX + 64];

    if (value != NULL && *value != '\0') {
        eas_json_escape(value, escaped, sizeof(escaped));
        add(event, field, snprintf(field, sizeof(field), ",\"%.32s\":\"%s\"", name, escaped));
    }
}

void eas_event_number(struct eas_event *event, const char *name, long value)
{
    char field[64];

    add(event, field, snprintf(field, sizeof(field), ",\"%.32s\":%ld", name, value));
}

void eas_event_end(struct eas_event *event)
{
    memcpy(event->text + event->len, END, sizeof(END));
    event->len += sizeof(END) - 1;
}

int eas_event_write(const struct eas_event *event, int fd, atomic_int *is_torn)
{
    char end_of_line = '\n';
    struct iovec parts[] = { { &end_of_line, 1 }, { (void *)event->text, event->len } };
    int was_torn = atomic_exchange(is_torn, 0);
    ssize_t written = writev(fd, parts + !was_torn, 1 + was_torn);
    int error = written < 0 ? errno : written < (ssize_t)event->len + was_torn ? ENOSPC : 0;

    if (error != 0) {
        atomic_store(is_torn, written <= 0 ? was_torn : written > was_torn);
    }
    return error;
}
