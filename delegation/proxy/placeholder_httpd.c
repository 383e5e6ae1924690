/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/placeholder_httpd.c - the text that stands in a head where the token will be */

#include "delegation/proxy/placeholder_httpd.h"
#include "auth/base/module_httpd.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <httpd.h>
#include <openssl/rand.h>

struct eas_placeholder {
    char text[sizeof("Negotiate ") + 32]; /* random, so that no client can send it */
};

const char *eas_placeholder(void)
{
    return eas_module_process()->placeholder->text;
}

/* memmem() looks at each octet, and memchr() at many at a time: few heads have a second N. */
static const char *find_text(const char *data, apr_size_t len, const char *text, apr_size_t want)
{
    const char *end = data + len, *found = data;

    while ((apr_size_t)(end - found) >= want
           && (found = memchr(found, *text, (apr_size_t)(end - found) - want + 1)) != NULL) {
        if (memcmp(found, text, want) == 0) {
            return found;
        }
        found++;
    }
    return NULL;
}

/* A head lies in memory.  A body in a file follows it, and would be read whole into memory here. */
apr_bucket *eas_placeholder_split_off(apr_bucket_brigade *bb)
{
    const char *placeholder = eas_placeholder(), *data, *found;
    apr_size_t want = strlen(placeholder), len;
    apr_bucket *b;

    if (want == 0) {
        return NULL; /* RAND_bytes() failed in eas_placeholder_child_init() */
    }
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_FILE(b);
         b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_METADATA(b) || b->length == (apr_size_t)-1 || b->length < want
            || apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ) != APR_SUCCESS) {
            continue;
        }
        found = find_text(data, len, placeholder, want);
        if (found != NULL) {
            if (found != data) {
                apr_bucket_split(b, (apr_size_t)(found - data));
                b = APR_BUCKET_NEXT(b);
            }
            if (b->length > want) {
                apr_bucket_split(b, want);
            }
            return b;
        }
    }
    return NULL;
}

void eas_placeholder_child_init(apr_pool_t *pchild)
{
    struct eas_placeholder *child = apr_pcalloc(pchild, sizeof(*child));
    unsigned char random[16];

    eas_module_process()->placeholder = child;
    /* A placeholder that is not random stays empty, and no request gets a token. */
    if (RAND_bytes(random, sizeof(random)) == 1) {
        apr_cpystrn(child->text, "Negotiate ", sizeof(child->text));
        apr_escape_hex(child->text + strlen("Negotiate "), random, sizeof(random), 0, NULL);
    }
}
