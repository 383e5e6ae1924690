/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_httpd.h - files of the login page, read at the start */

#ifndef EAS_AUTH_LOGIN_PAGE_HTTPD_H
#define EAS_AUTH_LOGIN_PAGE_HTTPD_H

#include "auth/base/error.h"

#include <httpd.h>

/* Reads the pages and languages of a server, and sets its record's page. */
enum eas_rc eas_page_prepare(apr_pool_t *pconf, server_rec *s, struct eas_err *err);

#endif
