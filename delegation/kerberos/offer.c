/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/offer.c - schemes and forms by which a backend asks for a user */

#include "delegation/kerberos/offer.h"
#include "auth/kerberos/spnego.h"

#include <apr_cstr.h>
#include <string.h>

static bool has_scheme(struct eas_bytes element, const char *scheme)
{
    const char *at = (const char *)element.at;
    size_t len = strlen(scheme);

    return element.len >= len && apr_cstr_casecmpn(at, scheme, len) == 0
           && (element.len == len || at[len] == ' ');
}

static int note_scheme(void *data, const char *name, const char *value)
{
    enum eas_offer *best = data, offer;
    struct eas_bytes element;

    (void)name;
    while (eas_spnego_next_element(&value, &element)) {
        offer = has_scheme(element, "Negotiate") ? EAS_OFFER_NEGOTIATE
                : has_scheme(element, "NTLM")    ? EAS_OFFER_NTLM
                : has_scheme(element, "Basic")   ? EAS_OFFER_BASIC
                                                 : EAS_OFFER_NOTHING;
        *best = offer > *best ? offer : *best;
    }
    return 1;
}

static bool is_form(int status, const apr_table_t *headers)
{
    const char *location = apr_table_get(headers, "Location");

    return status == 440
           || (status / 100 == 3 && location != NULL
               && (strstr(location, "logon") != NULL || strstr(location, "login") != NULL
                   || strstr(location, "auth") != NULL));
}

enum eas_offer eas_offer_of(int status, const apr_table_t *headers)
{
    enum eas_offer offer = EAS_OFFER_NOTHING;

    if (status == 401) {
        apr_table_do(note_scheme, &offer, headers, "WWW-Authenticate", NULL);
    }
    else if (is_form(status, headers)) {
        offer = EAS_OFFER_FORM;
    }
    return offer;
}
