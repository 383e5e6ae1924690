/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/answer.c - what the answers of a backend mean */

#include "delegation/check/answer.h"

#include <apr_cstr.h>
#include <string.h>

/* httpd's limit for a field is about this, and that of http.sys twice as much. */
#define LONG_HEADER 8000

struct offers {
    bool negotiate, ntlm, basic;
};

static bool has_scheme(const char *value, const char *scheme)
{
    size_t len = strlen(scheme);

    for (; *value != '\0'; value += strcspn(value, ",")) {
        value += strspn(value, ", \t");
        if (apr_cstr_casecmpn(value, scheme, len) == 0
            && (value[len] == '\0' || value[len] == ' ' || value[len] == ',')) {
            return true;
        }
    }
    return false;
}

static int note_offers(void *data, const char *name, const char *value)
{
    struct offers *offers = data;

    (void)name;
    offers->negotiate |= has_scheme(value, "Negotiate");
    offers->ntlm |= has_scheme(value, "NTLM");
    offers->basic |= has_scheme(value, "Basic");
    return 1;
}

/* A redirect to a log-on page, or OWA's own status for a session that is over. */
static bool is_form(const struct eas_http_response *response)
{
    const char *location = apr_table_get(response->headers, "Location");

    return response->status == 440
           || (response->status / 100 == 3 && location != NULL
               && (strstr(location, "logon") != NULL || strstr(location, "login") != NULL
                   || strstr(location, "auth") != NULL));
}

enum eas_finding eas_answer_offer(const struct eas_http_response *response)
{
    struct offers offers = { false, false, false };

    apr_table_do(note_offers, &offers, response->headers, "WWW-Authenticate", NULL);
    if (response->status != 401) {
        return is_form(response) ? EAS_FINDING_OFFERS_FORM : EAS_FINDING_OFFERS_NOTHING;
    }
    return offers.negotiate ? EAS_FINDING_NONE
           : offers.ntlm    ? EAS_FINDING_OFFERS_NTLM
           : offers.basic   ? EAS_FINDING_OFFERS_BASIC
                            : EAS_FINDING_OFFERS_NOTHING;
}

enum eas_finding eas_answer_token(int status, enum eas_answer_reply reply, size_t header_len)
{
    bool right = reply == EAS_ANSWER_RIGHT_REPLY;

    if (status == 431 || ((status == 400 || status == 413) && !right && header_len > LONG_HEADER)) {
        return EAS_FINDING_HEADER_TOO_LONG;
    }
    if (status == 401 || status == 403) {
        return right ? EAS_FINDING_USER_REFUSED_BY_BACKEND : EAS_FINDING_TOKEN_REFUSED;
    }
    return right                             ? EAS_FINDING_NONE
           : reply == EAS_ANSWER_WRONG_REPLY ? EAS_FINDING_AP_REP_WRONG
                                             : EAS_FINDING_NO_AP_REP;
}
