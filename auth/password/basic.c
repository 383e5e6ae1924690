/* SPDX-License-Identifier: Apache-2.0 */
/* auth/password/basic.c - Parser of Basic credentials (RFC 7617) */

#include "auth/password/basic.h"
#include "auth/base/utf8.h"

#include <apr_cstr.h>
#include <apr_encode.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/* The base64 part of a Basic header; NULL for another scheme, and if nothing follows. */
static const char *basic_value(const char *header)
{
    static const char scheme[] = "Basic";
    const apr_size_t len = sizeof(scheme) - 1;

    if (header == NULL || apr_cstr_casecmpn(header, scheme, len) != 0) {
        return NULL;
    }
    header += len;
    if (*header != ' ' && *header != '\t') {
        return NULL;
    }
    while (*header == ' ' || *header == '\t') {
        header++;
    }
    return *header ? header : NULL;
}

/* The secret narrows to the password. */
static enum eas_rc split(apr_pool_t *pool, struct eas_secret *plain, struct eas_credentials **out,
                         struct eas_err *err)
{
    char *colon = memchr(plain->bytes, ':', plain->len);
    struct eas_credentials *cred;

    if (colon == NULL) {
        return eas_fail(err, EAS_DENIED, 1011, "the Basic credentials have no colon");
    }
    cred = apr_palloc(pool, sizeof(*cred));
    cred->name_len = (apr_size_t)(colon - plain->bytes);
    cred->name = apr_pstrmemdup(pool, plain->bytes, cred->name_len);
    eas_secret_narrow(plain, colon + 1, plain->len - cred->name_len - 1);
    cred->password = plain;
    if (cred->password->len == 0 || memchr(cred->password->bytes, '\0', cred->password->len)) {
        return eas_fail(err, EAS_DENIED, 1012, "the password is empty or holds a NUL");
    }
    *out = cred;
    return EAS_OK;
}

enum eas_rc eas_basic_parse(apr_pool_t *pool, const char *header, struct eas_credentials **out,
                            struct eas_err *err)
{
    const char *value = basic_value(header);
    struct eas_secret *plain, *windows;
    apr_size_t value_len, len;
    enum eas_rc rc;

    *out = NULL;
    if (value == NULL) {
        return EAS_OK;
    }
    value_len = strlen(value);
    while (value_len > 0 && apr_isspace(value[value_len - 1])) {
        value_len--;
    }
    /* apr_decode_base64_binary() writes at most three bytes for four. */
    plain = eas_secret_room(pool, value_len);
    if (apr_decode_base64_binary((unsigned char *)plain->bytes, value, (apr_ssize_t)value_len,
                                 APR_ENCODE_NONE, &len)
        != APR_SUCCESS) {
        eas_secret_wipe(plain);
        return eas_fail(err, EAS_DENIED, 1010, "the Basic credentials are not valid base64");
    }
    eas_secret_narrow(plain, plain->bytes, len);
    if (!eas_utf8_is_valid(plain->bytes, len)) {
        windows = plain;
        plain = eas_secret_room(pool, 3 * len);
        eas_secret_narrow(plain, plain->bytes,
                          eas_utf8_from_windows(windows->bytes, len, plain->bytes));
        eas_secret_wipe(windows);
    }
    rc = split(pool, plain, out, err);
    if (rc != EAS_OK) {
        eas_secret_wipe(plain);
    }
    return rc;
}
