/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/case_check_httpd.h - start-up warning about sections that match the letter case */

#ifndef EAS_DELEGATION_PROXY_CASE_CHECK_HTTPD_H
#define EAS_DELEGATION_PROXY_CASE_CHECK_HTTPD_H

#include <httpd.h>

/*
 * IIS ignores the letter case of paths, a <Location> does not: a path in another letter case escapes
 * the section, and reaches Exchange where a ProxyPass covers it.  Warns about each such section with
 * EasKcdDelegate On (EAS3052).  Static, so `httpd -t` runs it too.
 */
void eas_case_check(const server_rec *main_server);

#endif
