/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/typed_httpd.h - name and choice of a refused log-on, for the next page */

#ifndef EAS_AUTH_LOGIN_TYPED_HTTPD_H
#define EAS_AUTH_LOGIN_TYPED_HTTPD_H

#include "auth/login/form.h"
#include "auth/login/page.h"

#include <httpd.h>

/*
 * Keeps the name and the choice "private" in a cookie, sealed for this browser's form cookie: the
 * redirect to the form has neither, as access logs have its URL.
 */
void eas_typed_keep(request_rec *r, const struct eas_form *form);

/* Puts both into the page after a refused log-on.  Any page deletes the cookie. */
void eas_typed_take(request_rec *r, struct eas_page *page);

#endif
