/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/accept_language.h - Accept-Language (RFC 9110, 12.5.4; RFC 4647, 3.4) */

#ifndef EAS_AUTH_LOGIN_ACCEPT_LANGUAGE_H
#define EAS_AUTH_LOGIN_ACCEPT_LANGUAGE_H

#include <stdbool.h>

/* A language tag that may name a file: letters of a language, and subtags of letters and digits. */
bool eas_accept_language_is_tag(const char *tag);

/*
 * The index of the tag that the header prefers; 0, the default, where it prefers none or is NULL.
 * "de-AT" finds "de", and "zh" finds "zh-TW" where there is no "zh".  The header's length and the
 * number of its ranges have limits: what lies beyond is not read.
 */
int eas_accept_language_choose(const char *header, const char *const *tags, int count);

#endif
