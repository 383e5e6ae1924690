/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/form_httpd.c - body of a form, which has a password */

#include "auth/login/form_httpd.h"
#include "auth/base/wipe_httpd.h"

#include <http_protocol.h>
#include <openssl/crypto.h>

/* Copies the data of the buckets and cleanses it there.  Returns whether the body goes on. */
static bool take_buckets(apr_bucket_brigade *bb, struct eas_secret *body, apr_size_t *have,
                         bool *failed)
{
    apr_size_t len = body->len - *have;

    *failed = apr_brigade_flatten(bb, body->bytes + *have, &len) != APR_SUCCESS;
    *have += len;
    eas_wipe_buckets(bb);
    return !*failed && *have < body->len && !APR_BRIGADE_EMPTY(bb)
           && !APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
}

/* The body is a secret because it holds the password. */
static enum eas_rc read_body(request_rec *r, struct eas_secret **body_out, struct eas_err *err)
{
    struct eas_secret *body = eas_secret_room(r->pool, EAS_FORM_MAX + 1);
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_size_t have = 0;
    /* A longer body is not requested by `100 Continue`. */
    bool failed =
        ap_setup_client_block(r, REQUEST_CHUNKED_DECHUNK) != OK || r->remaining > EAS_FORM_MAX;
    bool more = !failed;

    while (more) {
        failed = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                                (apr_off_t)(body->len - have))
                 != APR_SUCCESS;
        more = !failed && take_buckets(bb, body, &have, &failed);
        apr_brigade_cleanup(bb);
    }
    if (failed || have > EAS_FORM_MAX) {
        return eas_fail(err, EAS_MALFORMED, 1092, "the form is too long, or its body broke off");
    }
    OPENSSL_cleanse(body->bytes + have, body->len - have);
    body->len = have;
    *body_out = body;
    return EAS_OK;
}

enum eas_rc eas_form_read(request_rec *r, struct eas_form **form_out, struct eas_err *err)
{
    struct eas_secret *body = NULL;
    enum eas_rc rc = read_body(r, &body, err);

    if (rc == EAS_OK) {
        rc = eas_form_parse(r->pool, apr_table_get(r->headers_in, "Content-Type"), body->bytes,
                            body->len, form_out, err);
        eas_secret_wipe(body);
    }
    return rc;
}
