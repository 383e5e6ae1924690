/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/verdict.c - decision on a backend's response */

#include "delegation/proxy/verdict.h"

enum eas_verdict eas_verdict_on(const struct eas_verdict_facts *facts)
{
    if (facts->status == 401 && facts->hides_401) {
        return facts->token && facts->reply == EAS_REPLY_RIGHT ? EAS_VERDICT_FORBIDDEN
                                                               : EAS_VERDICT_UNAUTHORIZED;
    }
    if (!facts->token || facts->reply == EAS_REPLY_RIGHT) {
        return EAS_VERDICT_PASS;
    }
    if (facts->reply == EAS_REPLY_WRONG) {
        return EAS_VERDICT_REFUSE;
    }
    if (facts->connection_authenticated || !facts->mutual_required) {
        return EAS_VERDICT_PASS;
    }
    return facts->status >= 400 ? EAS_VERDICT_STATUS_ONLY : EAS_VERDICT_REFUSE;
}

/* The least limit of a server that is in use is 4 KB for a header field. */
#define LONG_TOKEN 4000

bool eas_verdict_finds_head_long(int status, size_t token_len)
{
    return status == 431 || (status == 400 && token_len >= LONG_TOKEN);
}

bool eas_verdict_blames_worker(const struct eas_verdict_end *end)
{
    if (end->from_backend || end->status == 503 || !end->resolved) {
        return true;
    }
    if (!end->in_effect) { /* the request of another Location, for a member that both use */
        return end->status != 500 || end->connected || end->written;
    }
    return end->status == 500 && end->connected && !end->written;
}
