/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/trim_httpd.c - free memory of a connection, given back while it waits */

#include "delegation/proxy/trim_httpd.h"

#include <apr_allocator.h>
#include <apr_optional_hooks.h>
#include <mod_ssl_openssl.h>
#include <mpm_common.h>
#include <stdbool.h>

/* A node that APR has mapped anew is empty: then the allocator has no free one. */
#define NODE_SIZE 8192
#define BEGINNING 64
#define ROUNDS_MAX 512

/* Of a backend's connection: its SSL. */
#define TLS "eas-kcd:tls"

static bool is_new(const apr_memnode_t *node)
{
    static const char nothing[BEGINNING];

    return memcmp(node->first_avail, nothing, sizeof(nothing)) == 0;
}

/* APR has no call for it: free nodes are taken, and freed while the allocator keeps none. */
void eas_trim_begin(const conn_rec *c)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(c->pool);
    apr_memnode_t *node = NULL;
    int i;

    if (allocator == NULL) {
        return; /* an APR that is built to debug pools */
    }
    apr_allocator_max_free_set(allocator, 1);
    for (i = 0; i < ROUNDS_MAX && (node == NULL || !is_new(node)); i++) {
        if (node != NULL) {
            apr_allocator_free(allocator, node);
        }
        node = apr_allocator_alloc(allocator, NODE_SIZE - APR_MEMNODE_T_SIZE);
    }
    if (node != NULL) {
        apr_allocator_free(allocator, node);
    }
}

void eas_trim_end(const conn_rec *c)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(c->pool);

    if (allocator != NULL) {
        apr_allocator_max_free_set(allocator, ap_max_mem_free);
    }
}

/* mod_ssl frees the SSL as it ends the connection's TLS, after which a read is an error. */
void eas_trim_backend(const conn_rec *c)
{
    void *ssl = NULL;

    apr_pool_userdata_get(&ssl, TLS, c->pool);
    if (ssl != NULL) {
        SSL_free_buffers(ssl);
    }
}

static int hook_proxy_post_handshake(conn_rec *c, SSL *ssl)
{
    apr_pool_userdata_setn(ssl, TLS, NULL, c->pool);
    return OK;
}

void eas_trim_register_hooks(apr_pool_t *pool)
{
    (void)pool;
    APR_OPTIONAL_HOOK(ssl, proxy_post_handshake, hook_proxy_post_handshake, NULL, NULL,
                      APR_HOOK_MIDDLE);
}
