/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_query.c - fuzz target of auth/activesync/query */

#include "t/fuzz/fuzz.h"

#include "auth/activesync/query.h"

#include <apr_general.h>
#include <apr_lib.h>
#include <stdlib.h>
#include <string.h>

const char fuzz_corpus[] = "query";

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

/* A text for logs and comparisons: not empty, without control characters; or NULL. */
static void check_text(const char *text)
{
    check(text == NULL || *text != '\0');
    for (; text != NULL && *text != '\0'; text++) {
        check(!apr_iscntrl(*text));
    }
}

static void check_query(const struct eas_query *query)
{
    check(query->command != NULL);
    check_text(query->command);
    check_text(query->user);
    check_text(query->device_id);
    check_text(query->device_type);
    check_text(query->protocol_version);
    check_text(query->policy_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    char *exact = malloc(size > 0 ? size : 1); /* so that a sanitizer finds a read behind its end */
    struct eas_query *query = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    enum eas_rc rc;

    check(exact != NULL);
    if (pool == NULL) {
        check(apr_initialize() == APR_SUCCESS && apr_pool_create(&pool, NULL) == APR_SUCCESS);
    }
    memcpy(exact, data, size);
    rc = eas_query_parse(pool, exact, size, &query, &err);
    free(exact); /* results must not refer to it */
    if (rc == EAS_OK) {
        check(query != NULL);
        check_query(query);
    }
    else {
        check(rc == EAS_MALFORMED && err.rc == rc && err.tag >= 1200 && err.tag <= 1207
              && query == NULL);
    }
    apr_pool_clear(pool);
    return 0;
}
