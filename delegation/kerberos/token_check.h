/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/token_check.h - an exchange with GSSAPI's acceptor, for the start of httpd */

#ifndef EAS_DELEGATION_KERBEROS_TOKEN_CHECK_H
#define EAS_DELEGATION_KERBEROS_TOKEN_CHECK_H

#include "delegation/kerberos/token.h"

/*
 * Makes up a ticket, makes its token, has MIT's GSSAPI read that, and verifies the reply; then
 * refuses a damaged reply.  For each AES enctype that krb5.conf permits; without any, the first
 * log-on says so (EAS1046).  A few milliseconds, without a KDC, a file or the network.
 *
 * A broken or strange library of cryptography shows here, instead of as a backend's 401.
 * NULL, or the reason for a failure, in pool.
 */
const char *eas_token_check(apr_pool_t *pool, enum eas_token_by by);

#endif
