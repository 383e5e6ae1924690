/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_builtin.h - HTML of the built-in pages, for auth/login/page.c only */

#ifndef EAS_AUTH_LOGIN_PAGE_BUILTIN_H
#define EAS_AUTH_LOGIN_PAGE_BUILTIN_H

/* Templates; auth/login/page.h has the syntax. */
extern const char eas_page_builtin_log_on[];
extern const char eas_page_builtin_sign_out[];
extern const char eas_page_builtin_refusal[];
extern const char eas_page_builtin_change[];

extern const char eas_page_builtin_style[];

/* The style sheet's hash for the Content-Security-Policy; t/unit/test_page.c computes it. */
#define EAS_PAGE_STYLE_HASH "sha256-RUaIK1VlCDEAbYw+Z8Gsyhut4nV7BubyJcmQKgbcCg8="

#endif
