/* SPDX-License-Identifier: Apache-2.0 */
/* auth/shared/secret_file_httpd.c - the keyring of the files of EasKcdSecretFile */

#include "auth/shared/secret_file_httpd.h"
#include "auth/base/secret.h"

#include <apr_file_io.h>
#include <httpd.h>
#include <openssl/crypto.h>

static enum eas_rc read_secret(apr_pool_t *pool, const char *path, struct eas_secret **out,
                               struct eas_err *err)
{
    char buffer[4096], reason[120];
    apr_size_t len = sizeof(buffer);
    apr_file_t *file;
    apr_finfo_t finfo;
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&finfo, APR_FINFO_PROT, file);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, buffer, sizeof(buffer), &len);
    }
    if (rv != APR_EOF) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3020,
            "EasKcdSecretFile %s cannot be read or is over 4 KB: %s; make it with "
            "`openssl rand -out %s 48`",
            path, rv != APR_SUCCESS ? apr_strerror(rv, reason, sizeof(reason)) : "too large", path);
    }
    apr_file_close(file);
    if (eas_secret_is_exposed(finfo.protection)) {
        return eas_fail(
            err, EAS_MISCONFIGURED, 3021,
            "EasKcdSecretFile %s is readable by all users or writable by other users; chmod 600",
            path);
    }
    *out = eas_secret_make(pool, buffer, len);
    OPENSSL_cleanse(buffer, sizeof(buffer));
    return EAS_OK;
}

enum eas_rc eas_secret_file_keyring(apr_pool_t *pconf, const apr_array_header_t *files,
                                    struct eas_keyring **out, struct eas_err *err)
{
    const struct eas_secret **secrets =
        apr_pcalloc(pconf, (apr_size_t)files->nelts * sizeof(struct eas_secret *));
    enum eas_rc rc = EAS_OK;
    int i;

    for (i = 0; rc == EAS_OK && i < files->nelts; i++) {
        struct eas_secret *secret = NULL;

        rc = read_secret(pconf, APR_ARRAY_IDX(files, i, const char *), &secret, err);
        secrets[i] = secret;
    }
    return rc == EAS_OK ? eas_seal_keyring_create(pconf, secrets, files->nelts, out, err) : rc;
}
