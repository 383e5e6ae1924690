/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/resumption.c - decisions about a TLS session with a backend: resumed, and until when */

#include "delegation/proxy/resumption.h"

#define MAX_AGE apr_time_from_sec(300)
#define BAR apr_time_from_sec(300)
#define REFUSALS_MAX 2

bool eas_resumption_permits(const struct eas_resumption_facts *facts)
{
    return !facts->resumed && facts->resumable && (facts->verified || !facts->verifies)
           && !facts->revocation && (facts->tls13 || facts->extended_secret);
}

bool eas_resumption_begin(struct eas_resumption *session, apr_time_t since, apr_time_t now)
{
    if (since <= session->forgotten || now < session->barred || now - since >= MAX_AGE) {
        return false;
    }
    session->since = since;
    return true;
}

bool eas_resumption_is_current(const struct eas_resumption *session, apr_time_t now)
{
    return session->since != 0 && now - session->since < MAX_AGE;
}

void eas_resumption_fail(struct eas_resumption *session, bool counts, apr_time_t now)
{
    session->since = 0;
    session->forgotten = now;
    if (counts && ++session->refusals >= REFUSALS_MAX) {
        session->refusals = 0;
        session->barred = now + BAR;
    }
}

void eas_resumption_succeed(struct eas_resumption *session)
{
    session->refusals = 0;
}
