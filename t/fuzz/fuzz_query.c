/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_query.c - fuzz target of auth/activesync: query, wbxml, timeouts */

#include "t/fuzz/fuzz.h"

#include "auth/activesync/query.h"
#include "auth/activesync/timeouts.h"
#include "auth/activesync/wbxml.h"

/* A text for logs and comparisons: not empty, without control characters; or NULL. */
static void check_text(const char *text)
{
    check(text == NULL || *text != '\0');
    for (; text != NULL && *text != '\0'; text++) {
        check(!fuzz_is_control(*text));
    }
}

/* A header of six octets, tags with content, the status as a text, two ends. */
static void check_status(apr_pool_t *pool, const char *command)
{
    static const char head[] = "\x03\x01\x6a\x00", tail[] = "\x03"
                                                            "129\0\x01\x01";
    apr_size_t len = 0;
    const char *body = eas_wbxml_status(pool, command, EAS_STATUS_DEVICE_BLOCKED, &len);

    if (body != NULL) {
        check(len == 8 + sizeof(tail) - 1 && memcmp(body, head, 4) == 0
              && memcmp(body + 8, tail, sizeof(tail) - 1) == 0);
    }
}

static void check_timeouts(apr_pool_t *pool, const char *command)
{
    struct eas_timeout own = { command, 4711 }, others = { "*", 1234 };
    apr_array_header_t *list = eas_timeouts_set(pool, NULL, others);

    check(eas_timeouts_find(NULL, command) > 0);
    check(eas_timeouts_find(list, command) > 0);
    list = eas_timeouts_merge(pool, list, eas_timeouts_set(pool, NULL, own));
    check(eas_timeouts_find(list, command) == 4711);
}

static void check_query(apr_pool_t *pool, const struct eas_query *query)
{
    check(query->command != NULL);
    check_text(query->command);
    check_text(query->user);
    check_text(query->device_id);
    check_text(query->device_type);
    check_text(query->protocol_version);
    check_text(query->policy_key);
    check_status(pool, query->command);
    check_timeouts(pool, query->command);
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    struct eas_query *query = NULL;
    struct eas_err err = { EAS_OK, 0, "" };
    char *copy = calloc(1, input.len + 1);
    enum eas_rc rc;

    check(copy != NULL);
    memcpy(copy, input.at, input.len);
    rc = eas_query_parse(pool, copy, input.len, &query, &err);
    free(copy); /* results must not refer to it */
    if (rc == EAS_OK) {
        check(query != NULL);
        check_query(pool, query);
    }
    else {
        check(rc == EAS_MALFORMED && err.rc == rc && err.tag >= 1200 && err.tag <= 1207
              && query == NULL);
    }
}
