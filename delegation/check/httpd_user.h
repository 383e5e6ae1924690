/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/httpd_user.h - what httpd's children can read and reach */

#ifndef EAS_DELEGATION_CHECK_HTTPD_USER_H
#define EAS_DELEGATION_CHECK_HTTPD_USER_H

#include "delegation/check/check.h"

/*
 * httpd reads the keytab as root, and all else as its own user: krb5.conf, names, KDCs.  As root,
 * adds one step, in a child process of that user.  Needs the keytab.
 */
void eas_httpd_user_check(struct eas_check *check);

#endif
