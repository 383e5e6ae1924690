/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_answer.c - fuzz target of delegation/check: answers of backends */

#include "t/fuzz/fuzz.h"

#include "delegation/check/answer.h"

#include <apr_strings.h>

static bool is_offer(enum eas_finding finding)
{
    return finding == EAS_FINDING_NONE
           || (finding >= EAS_FINDING_OFFERS_BASIC && finding <= EAS_FINDING_OFFERS_NOTHING);
}

/* A further challenge of Negotiate is found in any 401, and in nothing else. */
static void check_head(apr_pool_t *pool, struct eas_bytes input)
{
    const char *head = apr_pstrmemdup(pool, (const char *)input.at, input.len);
    struct eas_http_response response;

    if (!eas_http_parse_response(pool, head, &response)) {
        return;
    }
    check(response.status >= 0 && response.status <= 999);
    check(is_offer(eas_answer_offer(&response)));
    apr_table_add(response.headers, "WWW-Authenticate", "Basic realm=\"x\", Negotiate");
    check((eas_answer_offer(&response) == EAS_FINDING_NONE) == (response.status == 401));
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    check_head(pool, input);
}
