/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/body_httpd.c - request body, kept to repeat the request */

#include "delegation/proxy/body_httpd.h"

#include <http_protocol.h>
#include <util_filter.h>

/* The userdata key of what mod_proxy_http has read ahead (ap_proxy_http_handler()). */
#define PROXY_INPUT "proxy-req-input"

/* As mod_proxy's default (ProxyIOBufferSize). */
#define PIECE 8192

struct eas_body {
    apr_bucket_brigade *kept; /* without the EOS */
    bool whole;
    bool handed_over;
    bool sent;
};

static int keep_piece(request_rec *r, struct eas_body *body, apr_bucket_brigade *piece)
{
    apr_status_t rv =
        ap_get_brigade(r->input_filters, piece, AP_MODE_READBYTES, APR_BLOCK_READ, PIECE);

    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(piece)
        && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(piece))) {
        body->whole = true;
        apr_bucket_delete(APR_BRIGADE_LAST(piece));
    }
    /* Sets transient buckets aside. */
    if (rv == APR_SUCCESS) {
        rv = ap_save_brigade(NULL, &body->kept, &piece, r->pool);
    }
    return rv == APR_SUCCESS ? OK : ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
}

int eas_body_keep(request_rec *r, apr_off_t limit, struct eas_body **body_out)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    struct eas_body *body = apr_pcalloc(r->pool, sizeof(*body));
    apr_bucket_brigade *piece;
    apr_off_t len = 0;
    int status = OK;

    body->kept = apr_brigade_create(r->pool, alloc);
    /* mod_proxy_http gives subrequests no body. */
    body->whole = r->main != NULL || !ap_request_has_body(r);
    if (!body->whole) {
        piece = apr_brigade_create(r->pool, alloc);
        /* The first read answers an Expect: the backend's 100 is not passed on.  httpd takes a
         * request with an unanswered Expect for one without a body. */
        while (status == OK && !body->whole && len <= limit) {
            status = keep_piece(r, body, piece);
            apr_brigade_length(body->kept, 0, &len);
        }
        body->whole = body->whole && len <= limit;
        apr_brigade_destroy(piece);
    }
    *body_out = body;
    return status;
}

static apr_bucket_brigade *proxy_input(request_rec *r)
{
    apr_bucket_brigade *input = NULL;

    apr_pool_userdata_get((void **)&input, PROXY_INPUT, r->pool);
    if (input == NULL) {
        input = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        apr_pool_userdata_setn(input, PROXY_INPUT, NULL, r->pool);
    }
    return input;
}

static void copy(apr_bucket_brigade *to, const apr_bucket_brigade *from)
{
    apr_bucket *b, *twin;

    for (b = APR_BRIGADE_FIRST(from); b != APR_BRIGADE_SENTINEL(from); b = APR_BUCKET_NEXT(b)) {
        if (apr_bucket_copy(b, &twin) == APR_SUCCESS) {
            APR_BRIGADE_INSERT_TAIL(to, twin);
        }
    }
}

void eas_body_hand_over(request_rec *r, struct eas_body *body)
{
    bool again = body->handed_over;
    apr_bucket_brigade *input = NULL;

    body->handed_over = true;
    /* The request before an internal redirect has the same pool. */
    apr_pool_userdata_get((void **)&input, PROXY_INPUT, r->pool);
    if (!again && input != NULL) {
        apr_brigade_cleanup(input);
    }
    if (!body->whole) {
        if (!again && !APR_BRIGADE_EMPTY(body->kept)) {
            APR_BRIGADE_CONCAT(proxy_input(r), body->kept);
        }
        return;
    }
    if (!again && APR_BRIGADE_EMPTY(body->kept)) {
        return; /* mod_proxy_http itself sends a request without a body, once */
    }
    input = proxy_input(r);
    apr_brigade_cleanup(input);
    copy(input, body->kept);
    APR_BRIGADE_INSERT_TAIL(input, apr_bucket_eos_create(input->bucket_alloc));
}

bool eas_body_is_whole(const struct eas_body *body)
{
    return body->whole;
}

void eas_body_note_sent(struct eas_body *body)
{
    body->sent = true;
}

bool eas_body_is_exhausted(const struct eas_body *body)
{
    return body->sent && !body->whole;
}
