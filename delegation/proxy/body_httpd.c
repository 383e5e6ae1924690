/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/body_httpd.c - request body, kept to repeat the request */

#include "delegation/proxy/body_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"

#include <http_protocol.h>
#include <util_filter.h>

/* As mod_proxy's default (ProxyIOBufferSize). */
#define PIECE 8192

/* Long polls are short, and their bodies are kept for up to an hour. */
#define FIRST_PIECE 1024

/*
 * Pieces may be one octet long: a chunk, a TLS record or an HTTP/2 frame of the client's.  So they
 * are copied into blocks of the request's pool, one after the other.
 */
struct block {
    char *bytes;
    apr_size_t len, size;
};

struct eas_body {
    apr_array_header_t *blocks; /* of struct block; all but the last are full */
    apr_off_t len;
    bool whole;
    bool handed_over;
    bool sent;
};

static struct block *block_with_room(request_rec *r, struct eas_body *body)
{
    struct block *blocks = (struct block *)body->blocks->elts;
    int n = body->blocks->nelts;

    apr_size_t size = n > 0 ? PIECE : FIRST_PIECE;

    if (n > 0 && blocks[n - 1].len < blocks[n - 1].size) {
        return &blocks[n - 1];
    }
    blocks = apr_array_push(body->blocks);
    *blocks = (struct block){ .bytes = apr_palloc(r->pool, size), .size = size };
    return blocks;
}

static void append(request_rec *r, struct eas_body *body, const char *data, apr_size_t len)
{
    body->len += (apr_off_t)len;
    while (len > 0) {
        struct block *block = block_with_room(r, body);
        apr_size_t room = block->size - block->len, n = len < room ? len : room;

        memcpy(block->bytes + block->len, data, n);
        block->len += n;
        data += n;
        len -= n;
    }
}

static int keep_piece(request_rec *r, struct eas_body *body, apr_bucket_brigade *piece)
{
    apr_status_t rv =
        ap_get_brigade(r->input_filters, piece, AP_MODE_READBYTES, APR_BLOCK_READ, PIECE);
    const char *data;
    apr_size_t len;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(piece); rv == APR_SUCCESS && b != APR_BRIGADE_SENTINEL(piece);
         b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_EOS(b)) {
            body->whole = true;
        }
        else if (!APR_BUCKET_IS_METADATA(b)) {
            rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
            if (rv == APR_SUCCESS) {
                append(r, body, data, len);
            }
        }
    }
    apr_brigade_cleanup(piece);
    return rv == APR_SUCCESS ? OK : ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
}

int eas_body_keep(request_rec *r, apr_off_t limit, struct eas_body **body_out)
{
    struct eas_body *body = apr_pcalloc(r->pool, sizeof(*body));
    apr_table_t *headers = r->headers_in;
    apr_bucket_brigade *piece;
    int status = OK;

    body->blocks = apr_array_make(r->pool, 1, sizeof(struct block));
    /* mod_proxy_http gives subrequests no body. */
    body->whole = r->main != NULL || !ap_request_has_body(r);
    if (!body->whole) {
        piece = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        /* The first read answers an Expect: the backend's 100 is not passed on.  httpd takes a
         * request with an unanswered Expect for one without a body. */
        while (status == OK && !body->whole && body->len <= limit) {
            status = keep_piece(r, body, piece);
        }
        body->whole = body->whole && body->len <= limit;
        apr_brigade_destroy(piece);
        /* MergeTrailers puts trailers beside headers, after mod_headers has judged those. */
        r->headers_in = headers;
    }
    *body_out = body;
    return status;
}

static apr_bucket_brigade *proxy_input(request_rec *r)
{
    apr_bucket_brigade *input = NULL;

    apr_pool_userdata_get((void **)&input, EAS_MOD_PROXY_INPUT, r->pool);
    if (input == NULL) {
        input = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        apr_pool_userdata_setn(input, EAS_MOD_PROXY_INPUT, NULL, r->pool);
    }
    return input;
}

/* The buckets refer to the blocks, which live as long as the request. */
static void add_blocks(request_rec *r, const struct eas_body *body, apr_bucket_brigade *to)
{
    int i;

    for (i = 0; i < body->blocks->nelts; i++) {
        const struct block *block = &APR_ARRAY_IDX(body->blocks, i, struct block);

        APR_BRIGADE_INSERT_TAIL(
            to, apr_bucket_pool_create(block->bytes, block->len, r->pool, to->bucket_alloc));
    }
}

void eas_body_hand_over(request_rec *r, struct eas_body *body)
{
    bool again = body->handed_over;
    apr_bucket_brigade *input = NULL;

    body->handed_over = true;
    /* The request before an internal redirect has the same pool. */
    apr_pool_userdata_get((void **)&input, EAS_MOD_PROXY_INPUT, r->pool);
    if (input != NULL && (body->whole || !again)) {
        apr_brigade_cleanup(input);
    }
    if (!again && body->len == 0) {
        return; /* mod_proxy_http itself sends a request without a body, once */
    }
    if (body->whole || !again) {
        input = proxy_input(r);
        add_blocks(r, body, input);
    }
    if (body->whole) {
        APR_BRIGADE_INSERT_TAIL(input, apr_bucket_eos_create(input->bucket_alloc));
    }
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
