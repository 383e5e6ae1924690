/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/queries.h - assertions on parsed ActiveSync queries for test_query and test_query_base64 */

#ifndef EAS_T_UNIT_QUERIES_H
#define EAS_T_UNIT_QUERIES_H

#include "t/unit/unit.h"

#include "auth/activesync/query.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *query;
    struct eas_query expected;
};

/* The block has exactly the size of the query, so that valgrind finds a read behind its end. */
static inline enum eas_rc parse(apr_pool_t *pool, const char *query, size_t len,
                                struct eas_query **out, struct eas_err *err)
{
    char *exact = malloc(len + (len == 0));
    enum eas_rc rc;

    assert_non_null(exact);
    memcpy(exact, query, len);
    rc = eas_query_parse(pool, exact, len, out, err);
    free(exact);
    return rc;
}

static inline void assert_text(const char *query, const char *field, const char *is,
                               const char *expected)
{
    if ((is == NULL) != (expected == NULL) || (is != NULL && strcmp(is, expected) != 0)) {
        fail_msg("\"%s\": %s is %s, not %s", query, field, is ? is : "(none)",
                 expected ? expected : "(none)");
    }
}

static inline void assert_query(apr_pool_t *pool, const char *query, size_t len,
                                const struct eas_query *expected)
{
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_query *out = NULL;

    if (parse(pool, query, len, &out, &err) != EAS_OK) {
        fail_msg("\"%s\": EAS%d %s", query, err.tag, err.text);
    }
    assert_text(query, "the command", out->command, expected->command);
    assert_text(query, "the user", out->user, expected->user);
    assert_text(query, "the device id", out->device_id, expected->device_id);
    assert_text(query, "the device type", out->device_type, expected->device_type);
    assert_text(query, "the version", out->protocol_version, expected->protocol_version);
    assert_text(query, "the policy key", out->policy_key, expected->policy_key);
}

static inline void assert_rows(apr_pool_t *pool, const struct row *rows, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        assert_query(pool, rows[i].query, strlen(rows[i].query), &rows[i].expected);
    }
}

static inline void assert_malformed(apr_pool_t *pool, const char *query, size_t len, int tag)
{
    struct eas_err err = { EAS_OK, 0, "" };
    struct eas_query *out = NULL;
    enum eas_rc rc = parse(pool, query, len, &out, &err);

    if (rc != EAS_MALFORMED || err.rc != rc || err.tag != tag || out != NULL) {
        fail_msg("\"%s\": rc %d, EAS%d %s", query, rc, err.tag, err.text);
    }
}

#endif
