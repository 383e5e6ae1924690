/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/typed_httpd.c - name and choice of a refused log-on, for the next page */

#include "auth/login/typed_httpd.h"
#include "auth/base/cookie.h"
#include "auth/identity.h"
#include "auth/login/cookie_httpd.h"
#include "auth/login/csrf_httpd.h"
#include "auth/shared/shared_httpd.h"

#include <apr_strings.h>

/* The first octet of the record; the name follows. */
#define PUBLIC "0"
#define PRIVATE "4"

void eas_typed_keep(request_rec *r, const struct eas_form *form)
{
    const char *browser = eas_csrf_cookie(r), *record;
    struct eas_bytes sealed;
    struct eas_err err;

    if (browser == NULL || form->username == NULL || form->username_len > EAS_NAME_MAX) {
        return;
    }
    record = apr_pstrcat(r->pool, form->trusted ? PRIVATE : PUBLIC, form->username, NULL);
    if (eas_seal(eas_shared_keyring(), r->pool, EAS_SEAL_TYPED, browser, eas_bytes_of_text(record),
                 &sealed, &err)
        == EAS_OK) {
        eas_cookie_add(r, eas_cookie_typed_name(r),
                       eas_seal_to_text(r->pool, sealed.at, sealed.len));
    }
}

void eas_typed_take(request_rec *r, struct eas_page *page)
{
    const char *value = NULL, *browser = eas_csrf_cookie(r);
    enum eas_cookie_count count = eas_cookie_find(
        r->pool, eas_cookie_header(r->pool, r->headers_in), eas_cookie_typed_name(r), &value);
    struct eas_bytes sealed;
    struct eas_secret *record;
    struct eas_err err;

    if (count == EAS_COOKIE_NONE) {
        return;
    }
    eas_cookie_add(r, eas_cookie_typed_name(r), NULL);
    if (count != EAS_COOKIE_ONE || browser == NULL
        || (page->reason != EAS_PAGE_WRONG && page->reason != EAS_PAGE_EXPIRED_PASSWORD)
        || !eas_seal_from_text(r->pool, value, &sealed)
        || eas_unseal(eas_shared_keyring(), r->pool, EAS_SEAL_TYPED, browser, sealed, &record, &err)
               != EAS_OK
        || record->len == 0) {
        return;
    }
    page->trusted = *record->bytes == *PRIVATE;
    page->username = apr_pstrmemdup(r->pool, record->bytes + 1, record->len - 1);
}
