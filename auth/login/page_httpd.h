/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_httpd.h - files of the login page, read at the start; headers of pages */

#ifndef EAS_AUTH_LOGIN_PAGE_HTTPD_H
#define EAS_AUTH_LOGIN_PAGE_HTTPD_H

#include "auth/base/error.h"
#include "auth/login/page.h"

#include <httpd.h>
#include <http_config.h>

/* The last segment of the logo's URL. */
#define EAS_PAGE_LOGO "logo"

/* That of the form for changes of passwords. */
#define EAS_PAGE_CHANGE_PATH "password"

/* Reads pages, languages and logo of a server, and completes its record's page and site. */
enum eas_rc eas_page_prepare(apr_pool_t *pconf, server_rec *s, struct eas_err *err);

/* EasKcdLoginInfo.  Returns NULL, or what is wrong. */
const char *eas_page_set_info(cmd_parms *cmd, const char *kind, const char *value);

/* A page with title and site, in the language that the request prefers. */
struct eas_page eas_page_begin(request_rec *r, enum eas_page_reason reason);

/* Sets the security headers of each response below the login path, and of refusals. */
void eas_page_set_headers(request_rec *r);

/* Sets type and language of the response. */
void eas_page_set_type(request_rec *r, const struct eas_page *page);

/* Sends the site's logo, or returns 404. */
int eas_page_send_logo(request_rec *r);

#endif
