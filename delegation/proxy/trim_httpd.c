/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/trim_httpd.c - free memory of a connection, given back while it waits */

#include "delegation/proxy/trim_httpd.h"

#include <apr_allocator.h>
#include <mpm_common.h>
#include <stdbool.h>

/* A node that APR has mapped anew is empty: then the allocator has no free one. */
#define NODE_SIZE 8192
#define BEGINNING 64
#define ROUNDS_MAX 512

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
