/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/destination.h - where a login may lead: a path of this site and nowhere else */

#ifndef EAS_AUTH_LOGIN_DESTINATION_H
#define EAS_AUTH_LOGIN_DESTINATION_H

#include <stdbool.h>

#define EAS_DESTINATION_MAX 2048

/*
 * May a browser be redirected there?  Only to what every URL parser resolves to this origin: a path
 * that begins with one slash, with or without a query, of at most EAS_DESTINATION_MAX printable
 * ASCII characters, no backslash or '#' among them, all %-escapes well formed; and the path without
 * empty, "." or ".." segments or an escaped slash, backslash or control character.  What does not
 * fit is refused, never repaired.  NULL is refused.
 */
bool eas_destination_is_local(const char *destination);

#endif
