/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/coalesce.h - data of a brigade in one bucket, for one record of TLS */

#ifndef EAS_DELEGATION_PROXY_COALESCE_H
#define EAS_DELEGATION_PROXY_COALESCE_H

#include <apr_buckets.h>
#include <stdbool.h>

/* The most data; as mod_ssl's buffer. */
#define EAS_COALESCE_MAX 8192

/*
 * Joins the data buckets up to a FLUSH bucket into one.  mod_ssl would join them in a buffer that it
 * makes then, and keeps as long as the connection.  A brigade stays as it is if it begins otherwise,
 * or its data are more or of unknown length.
 */
void eas_coalesce(apr_bucket_brigade *bb);

/* Data of earlier brigades; all 0: none. */
struct eas_coalesce_held {
    char *data; /* of the brigades' bucket allocator, with EAS_COALESCE_MAX bytes of room */
    apr_size_t len;
};

/*
 * Likewise, where the data of a head and a body come in several brigades.  They are held until
 * metadata follow, or as many as EAS_COALESCE_MAX have come.  Then the first bucket has them, and
 * mod_ssl finds nothing to join.  False: all is held, and the brigade is empty.  Data of unknown length
 * follow those that are held.
 */
bool eas_coalesce_stream(struct eas_coalesce_held *held, apr_bucket_brigade *bb);

/* Puts what is held before the brigade. */
void eas_coalesce_release(struct eas_coalesce_held *held, apr_bucket_brigade *bb);

#endif
