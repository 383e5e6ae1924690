/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/secret_file_httpd.h - the keyring of the files of EasKcdSecretFile */

#ifndef EAS_AUTH_SHARED_SECRET_FILE_HTTPD_H
#define EAS_AUTH_SHARED_SECRET_FILE_HTTPD_H

#include "auth/base/seal.h"

#include <apr_tables.h>

/*
 * A keyring of these files, of which the first seals.  The array is of const char *.  EAS_OK, or
 * EAS_MISCONFIGURED, or EAS_UNAVAILABLE if OpenSSL lacks an algorithm.
 */
enum eas_rc eas_secret_file_keyring(apr_pool_t *pconf, const apr_array_header_t *files,
                                    struct eas_keyring **out, struct eas_err *err);

#endif
