/* SPDX-License-Identifier: Apache-2.0 */
/* auth/path_httpd.c - refusal of paths that the backend may read differently (EasKcdStrictPath) */

#include "auth/path_httpd.h"
#include "auth/authn_httpd.h"
#include "auth/base/path.h"
#include "auth/config_httpd.h"
#include "auth/request_httpd.h"

#include <http_request.h>
#include <string.h>

static bool is_strict(const request_rec *r)
{
    return eas_auth_is_strict_about_paths(eas_auth_dir_of(r->per_dir_config));
}

static bool is_published(request_rec *r)
{
    return eas_authn_in_effect(r)
           || (r->proxyreq == PROXYREQ_REVERSE
               && eas_auth_serves_login(eas_auth_server_of(r->server)));
}

/* The path of a request target or URL: behind scheme and authority, before the query. */
static const char *path_of(const char *target)
{
    const char *authority = strstr(target, "://");

    if (*target != '/' && authority != NULL) {
        target = authority + 3 + strcspn(authority + 3, "/?");
    }
    return target;
}

static int check(request_rec *r, const char *target)
{
    const char *path = path_of(target),
               *cause = eas_path_ambiguity(r->pool, path, strcspn(path, "?"));
    struct eas_err err;

    if (cause == NULL) {
        return OK;
    }
    eas_fail(&err, EAS_MALFORMED, 1160,
             "the path has %s, which httpd and the backend may read differently "
             "(EasKcdStrictPath)",
             cause);
    eas_request_of(r)->refused = HTTP_BAD_REQUEST;
    return eas_log_refuse(r, &err);
}

/* Internal redirects and subrequests have paths of the server's own making. */
static int hook_post_perdir_config(request_rec *r)
{
    int status;

    if (!ap_is_initial_req(r) || !is_strict(r) || !is_published(r)) {
        return DECLINED;
    }
    status = check(r, r->unparsed_uri);
    return status == OK ? DECLINED : status;
}

int eas_path_check_url(request_rec *r, const char *url)
{
    return is_strict(r) && eas_auth_serves_login(eas_auth_server_of(r->server)) ? check(r, url)
                                                                                : OK;
}

void eas_path_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_perdir_config(hook_post_perdir_config, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
