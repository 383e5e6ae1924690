/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/destination.h - check of a redirect target: a path of this site */

#ifndef EAS_AUTH_LOGIN_DESTINATION_H
#define EAS_AUTH_LOGIN_DESTINATION_H

#include <stdbool.h>

#define EAS_DESTINATION_MAX 2048

/*
 * Whether every URL parser resolves the destination to this origin:
 *  - a path with one slash at its beginning, and an optional query;
 *  - at most EAS_DESTINATION_MAX printable ASCII characters, without backslash and '#';
 *  - all percent-escapes well formed;
 *  - in the path, no empty, "." or ".." segment, and no escaped slash, backslash or control
 *    character.
 * False for NULL.
 */
bool eas_destination_is_local(const char *destination);

/*
 * Whether the destination's path begins with the prefix, as httpd decodes it: an escape stands for
 * its octet.  For local destinations, which have no empty and no dot segments.
 */
bool eas_destination_is_below(const char *destination, const char *prefix);

#endif
