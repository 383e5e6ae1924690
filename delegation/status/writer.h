/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/writer.h - a text that grows, and its escapes */

#ifndef EAS_DELEGATION_STATUS_WRITER_H
#define EAS_DELEGATION_STATUS_WRITER_H

#include <apr_pools.h>
#include <stddef.h>

struct eas_writer {
    apr_pool_t *pool;
    char *text; /* ends with NUL */
    size_t len;
    size_t room;
};

struct eas_writer eas_writer_make(apr_pool_t *pool);

void eas_writer_print(struct eas_writer *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The text as content of an element or of an attribute in quotes, of a JSON string, or of a label
 * in Prometheus' format.  Octets that are no UTF-8, and control characters, become '?'; in JSON,
 * they are escaped.
 */
const char *eas_writer_html(apr_pool_t *pool, const char *text);
const char *eas_writer_json(apr_pool_t *pool, const char *text);
const char *eas_writer_label(apr_pool_t *pool, const char *text);

#endif
