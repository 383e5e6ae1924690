/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/targets_httpd.h - backends of a server that get tokens, as it is configured */

#ifndef EAS_DELEGATION_PROXY_TARGETS_HTTPD_H
#define EAS_DELEGATION_PROXY_TARGETS_HTTPD_H

#include "delegation/config_httpd.h"

#include <apr_tables.h>
#include <httpd.h>

struct eas_target {
    const char *url;
    const char *spn;
    const struct eas_delegation_dir *conf; /* of its section */
};

/*
 * An array of struct eas_target, in pool: the server's own section, then each <Location>.  A
 * backend of several sections is in it several times.  Only where mod_proxy is loaded.
 */
apr_array_header_t *eas_targets_of(apr_pool_t *pool, const server_rec *s);

#endif
