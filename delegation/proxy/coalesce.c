/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/coalesce.c - data of a brigade in one bucket, for one record of TLS */

#include "delegation/proxy/coalesce.h"

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
