/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/negotiate_httpd.c - EasKcdNegotiate: the Kerberos ticket of a client of the domain */

#include "auth/login/negotiate_httpd.h"
#include "auth/base/counters.h"
#include "auth/config_httpd.h"
#include "auth/kerberos/negotiate.h"

#include <apr_strings.h>

static bool is_on(const request_rec *r)
{
    return eas_auth_negotiates(eas_auth_dir_of(r->per_dir_config))
           && eas_auth_server_of(r->server)->authority != NULL;
}

const char *eas_negotiate_token_of(const request_rec *r)
{
    static const char scheme[] = "Negotiate ";
    const char *value = is_on(r) ? apr_table_get(r->headers_in, "Authorization") : NULL;

    if (value == NULL || ap_cstr_casecmpn(value, scheme, sizeof(scheme) - 1) != 0) {
        return NULL;
    }
    value += sizeof(scheme) - 1;
    return value + strspn(value, " ");
}

bool eas_negotiate_is_offered(const request_rec *r)
{
    return is_on(r) && eas_negotiate_token_of(r) == NULL;
}

static bool equals(const request_rec *r, const char *name, const char *value)
{
    const char *found = apr_table_get(r->headers_in, name);

    return found != NULL && strcmp(found, value) == 0;
}

/*
 * Browsers add credentials of this scheme to requests of each site, as they once did with cookies.  A
 * frame of another site navigates, too, but is no link: it sends no cookie of SameSite=Lax.
 */
static bool is_forged(const request_rec *r)
{
    bool in_frame = apr_table_get(r->headers_in, "Sec-Fetch-Dest") != NULL
                    && !equals(r, "Sec-Fetch-Dest", "document");

    return equals(r, "Sec-Fetch-Site", "cross-site")
           && (r->method_number != M_GET || !equals(r, "Sec-Fetch-Mode", "navigate") || in_frame);
}

static enum eas_rc authenticate(request_rec *r, const char *token,
                                const struct eas_identity **identity_out, struct eas_err *err)
{
    const struct eas_authority *authority = eas_auth_server_of(r->server)->authority;
    struct eas_negotiated negotiated;
    enum eas_rc rc;

    if (is_forged(r)) {
        return eas_fail(err, EAS_FORBIDDEN, 1178,
                        "another site made the browser send the request, and the browser added the "
                        "user's ticket (Sec-Fetch-Site: cross-site)");
    }
    rc = eas_negotiate_accept(r->pool, authority->keytab, &authority->realms, token, &negotiated,
                              err);
    if (rc == EAS_OK) {
        *identity_out = negotiated.identity;
        if (negotiated.proof != NULL) {
            apr_table_setn(r->err_headers_out, "WWW-Authenticate",
                           apr_pstrcat(r->pool, "Negotiate ", negotiated.proof, NULL));
        }
    }
    return rc;
}

enum eas_rc eas_negotiate_verify(request_rec *r, const char *token,
                                 const struct eas_identity **identity_out, struct eas_err *err)
{
    enum eas_rc rc = authenticate(r, token, identity_out, err);

    eas_counters_log_on(EAS_COUNTERS_BY_NEGOTIATE, rc);
    return rc;
}
