/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/http.h - HTTP/1.1 client for one request, without its body */

#ifndef EAS_DELEGATION_CHECK_HTTP_H
#define EAS_DELEGATION_CHECK_HTTP_H

#include "auth/base/bytes.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <stdbool.h>

struct eas_http_target {
    bool tls;
    const char *host;
    const char *port;
    const char *path; /* with its query */
};

/* False unless the URL is http or https, and names a host. */
bool eas_http_parse(apr_pool_t *pool, const char *url, struct eas_http_target *target_out);

enum eas_http_problem {
    EAS_HTTP_OPEN, /* none */
    EAS_HTTP_DOWN,
    EAS_HTTP_NO_TLS,
    EAS_HTTP_CHAIN, /* of certificates */
    EAS_HTTP_NAME   /* in the certificate */
};

struct eas_http;

/*
 * Connects, and verifies the certificate by the authorities in ca_file (NULL: those of OpenSSL).
 * Without a problem the connection is open until the pool's end.  *detail_out is a fact for people.
 * The timeout is for connection and exchange together, from now on; name servers have their own.
 */
enum eas_http_problem eas_http_open(apr_pool_t *pool, const struct eas_http_target *target,
                                    const char *ca_file, apr_interval_time_t timeout,
                                    struct eas_http **http_out, const char **detail_out);

/* `tls-server-end-point:` and the hash (RFC 5929); len 0 without TLS. */
struct eas_bytes eas_http_binding(const struct eas_http *http);

struct eas_http_response {
    int status;
    apr_table_t *headers; /* a field can be there more than once */
};

/* Sends one request and reads the head of the response.  authorization may be NULL. */
bool eas_http_exchange(struct eas_http *http, const char *authorization,
                       struct eas_http_response *response_out);

/* The head of a response, up to the empty line.  Untrusted; false if it is none. */
bool eas_http_parse_response(apr_pool_t *pool, const char *head,
                             struct eas_http_response *response_out);

#endif
