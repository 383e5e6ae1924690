/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/activesync_httpd.h - what an ActiveSync request is about: read once, shown, timed */

#ifndef EAS_AUTH_ACTIVESYNC_ACTIVESYNC_HTTPD_H
#define EAS_AUTH_ACTIVESYNC_ACTIVESYNC_HTTPD_H

#include "auth/activesync/query.h"

#include <httpd.h>
#include <http_config.h>
#include <stdbool.h>

struct eas_auth_dir;

/* EasKcdParseEas. */
enum eas_parse { EAS_PARSE_AUTO, EAS_PARSE_ON, EAS_PARSE_OFF };

/* Where Exchange has ActiveSync; in any letter case, since IIS does not tell cases apart. */
#define EAS_ACTIVESYNC_PATH "/Microsoft-Server-ActiveSync"

/* Is this path that directory, or below it? */
bool eas_activesync_is_path(const char *path);

/* Is the request one of ActiveSync's (EasKcdParseEas)? */
bool eas_activesync_applies(const request_rec *r);

/*
 * What its query says, with version and policy key wherever they were sent; NULL where the request
 * is none of ActiveSync's or has no query, as OPTIONS has none.  From when the request's
 * configuration is known, before anybody is asked for credentials.
 */
const struct eas_query *eas_activesync_query(const request_rec *r);

/*
 * How long the backend may be silent before or while it answers this request (EasKcdCommandTimeout);
 * 0 where that is not ours to say, because the request is none of ActiveSync's.
 */
apr_interval_time_t eas_activesync_timeout(request_rec *r);

/* The same for a command under a configuration; NULL is one that is not known. */
apr_interval_time_t eas_timeouts_find(const struct eas_auth_dir *conf, const char *command);

/* The lists of two EasKcdCommandTimeout, the inner's first. */
apr_array_header_t *eas_timeouts_merge(apr_pool_t *pool, const apr_array_header_t *base,
                                       const apr_array_header_t *add);

/* Handlers of auth/directives.def. */
const char *eas_auth_set_parse_eas(cmd_parms *cmd, void *dir, const char *arg);
const char *eas_auth_set_command_timeout(cmd_parms *cmd, void *dir, const char *command,
                                         const char *duration);

void eas_activesync_register_hooks(apr_pool_t *pool);

#endif
