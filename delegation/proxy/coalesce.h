/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/coalesce.h - data of a brigade in one bucket, for one record of TLS */

#ifndef EAS_DELEGATION_PROXY_COALESCE_H
#define EAS_DELEGATION_PROXY_COALESCE_H

#include <apr_buckets.h>

/* The most data; as mod_ssl's buffer. */
#define EAS_COALESCE_MAX 8192

/*
 * Joins the data buckets up to a FLUSH bucket into one.  mod_ssl would join them in a buffer that it
 * makes then, and keeps as long as the connection.  A brigade stays as it is if it begins otherwise,
 * or its data are more or of unknown length.
 */
void eas_coalesce(apr_bucket_brigade *bb);

#endif
