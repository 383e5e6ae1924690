/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/coalesce.c - data of a brigade in one bucket, for one record of TLS */

#include "delegation/proxy/coalesce.h"

#include <string.h>

/* Returns the FLUSH bucket, or NULL if nothing is to be joined. */
static apr_bucket *find_end(const apr_bucket_brigade *bb, apr_size_t *len)
{
    unsigned n = 0;
    apr_bucket *b;

    *len = 0;
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_METADATA(b);
         b = APR_BUCKET_NEXT(b)) {
        if (b->length > EAS_COALESCE_MAX - *len) {
            return NULL; /* the length -1, too: it is unknown */
        }
        *len += b->length;
        n += b->length != 0;
    }
    return n > 1 && b != APR_BRIGADE_SENTINEL(bb) && APR_BUCKET_IS_FLUSH(b) ? b : NULL;
}

void eas_coalesce(apr_bucket_brigade *bb)
{
    apr_size_t len, copied;
    apr_bucket *end = find_end(bb, &len), *joined;
    char *data;

    if (end == NULL) {
        return;
    }
    data = apr_bucket_alloc(len, bb->bucket_alloc);
    copied = len;
    if (apr_brigade_flatten(bb, data, &copied) != APR_SUCCESS || copied != len) {
        apr_bucket_free(data);
        return;
    }
    while (APR_BRIGADE_FIRST(bb) != end) {
        apr_bucket_delete(APR_BRIGADE_FIRST(bb));
    }
    joined = apr_bucket_heap_create(data, len, apr_bucket_free, bb->bucket_alloc);
    APR_BUCKET_INSERT_BEFORE(end, joined);
}

/* Appends the data of one bucket, or a part of them, and deletes what it has appended. */
static apr_status_t append(struct eas_coalesce_held *held, apr_bucket *b)
{
    apr_size_t room = EAS_COALESCE_MAX - held->len, len;
    const char *data;
    apr_status_t rv = APR_SUCCESS;

    if (b->length > room) {
        rv = apr_bucket_split(b, room);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (len > room) {
        return APR_EGENERAL;
    }
    memcpy(held->data + held->len, data, len);
    held->len += len;
    apr_bucket_delete(b);
    return APR_SUCCESS;
}

/* Whether mod_ssl would leave the brigade alone. */
static bool is_fine(const apr_bucket_brigade *bb)
{
    const apr_bucket *first = APR_BRIGADE_FIRST(bb), *next;

    if (first == APR_BRIGADE_SENTINEL(bb) || APR_BUCKET_IS_METADATA(first)
        || first->length >= EAS_COALESCE_MAX) {
        return true;
    }
    next = APR_BUCKET_NEXT(first);
    return next != APR_BRIGADE_SENTINEL(bb) && APR_BUCKET_IS_METADATA(next);
}

void eas_coalesce_release(struct eas_coalesce_held *held, apr_bucket_brigade *bb)
{
    apr_bucket *b;

    if (held->len > 0) {
        b = apr_bucket_heap_create(held->data, held->len, apr_bucket_free, bb->bucket_alloc);
        APR_BRIGADE_INSERT_HEAD(bb, b);
        *held = (struct eas_coalesce_held){ NULL, 0 };
    }
}

bool eas_coalesce_stream(struct eas_coalesce_held *held, apr_bucket_brigade *bb)
{
    apr_bucket *b;

    if (held->len == 0 && is_fine(bb)) {
        return true;
    }
    if (held->data == NULL) {
        held->data = apr_bucket_alloc(EAS_COALESCE_MAX, bb->bucket_alloc);
    }
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_METADATA(b)
                                    && b->length != (apr_size_t)-1 && held->len < EAS_COALESCE_MAX;
         b = APR_BRIGADE_FIRST(bb)) {
        if (append(held, b) != APR_SUCCESS) {
            break;
        }
    }
    if (APR_BRIGADE_EMPTY(bb) && held->len < EAS_COALESCE_MAX) {
        return false;
    }
    eas_coalesce_release(held, bb);
    return true;
}
