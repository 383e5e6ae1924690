/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/wipe_httpd.c - httpd's copies of a client's credentials, cleansed after use */

#include "auth/base/wipe_httpd.h"

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_ssl_openssl.h>
#include <openssl/crypto.h>
#include <string.h>

static apr_status_t wipe_text(void *text)
{
    OPENSSL_cleanse(text, strlen(text));
    return APR_SUCCESS;
}

/* The value lies in the request's pool, where subrequests and mod_proxy's tables refer to it. */
static int wipe_at_end(void *pool, const char *name, const char *value)
{
    (void)name;
    apr_pool_pre_cleanup_register(pool, value, wipe_text);
    return 1;
}

/* Before another module sets a value of its own, which may be a constant. */
static int hook_post_read_request(request_rec *r)
{
    apr_table_do(wipe_at_end, r->pool, r->headers_in, "Authorization", "Proxy-Authorization", NULL);
    return DECLINED;
}

/* OpenSSL keeps what it has decrypted until the next record, or after the connection's end. */
static int hook_ssl_init_server(server_rec *s, apr_pool_t *pool, int is_proxy, SSL_CTX *ctx)
{
    (void)s;
    (void)pool;
    if (!is_proxy) {
        SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    }
    return OK;
}

void eas_wipe_buckets(const apr_bucket_brigade *bb)
{
    const char *data;
    apr_size_t len;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if ((APR_BUCKET_IS_HEAP(b) || APR_BUCKET_IS_TRANSIENT(b) || APR_BUCKET_IS_POOL(b))
            && apr_bucket_read(b, &data, &len, APR_BLOCK_READ) == APR_SUCCESS) {
            OPENSSL_cleanse((void *)data, len);
        }
    }
}

void eas_wipe_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_read_request(hook_post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    APR_OPTIONAL_HOOK(ssl, init_server, hook_ssl_init_server, NULL, NULL, APR_HOOK_MIDDLE);
}
