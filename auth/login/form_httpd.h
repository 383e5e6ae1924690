/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/form_httpd.h - body of a form, which has a password */

#ifndef EAS_AUTH_LOGIN_FORM_HTTPD_H
#define EAS_AUTH_LOGIN_FORM_HTTPD_H

#include "auth/login/form.h"

#include <httpd.h>

/*
 * Reads the body of the request as a form, and cleanses httpd's copies of it.  Errors are those of
 * eas_form_parse(); EAS_MALFORMED for a body that is too long or breaks off, too.
 */
enum eas_rc eas_form_read(request_rec *r, struct eas_form **form_out, struct eas_err *err);

#endif
