/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/destination.c - where a login may lead: a path of this site and nowhere else */

#include "auth/login/destination.h"

#include <apr_lib.h>
#include <string.h>
#include <strings.h>

/* Browsers drop tabs and newlines, and read a backslash as a slash: then "/\t/host" is a host. */
static bool has_safe_characters(const char *destination)
{
    const char *p;

    for (p = destination; *p != '\0'; p++) {
        if (*p < 0x21 || *p > 0x7e || *p == '\\' || *p == '#') {
            return false;
        }
        if (*p == '%' && !(apr_isxdigit(p[1]) && apr_isxdigit(p[2]))) {
            return false;
        }
    }
    return true;
}

/* Of well-formed escapes: one that whoever decodes the path once more would not like to see. */
static bool has_bad_escape(const char *path, const char *end)
{
    for (; path < end; path++) {
        if (*path == '%'
            && (path[1] == '0' || path[1] == '1' || strncasecmp(path, "%2f", 3) == 0
                || strncasecmp(path, "%5c", 3) == 0 || strncasecmp(path, "%7f", 3) == 0)) {
            return true;
        }
    }
    return false;
}

/*
 * "." or "..", each dot plain or escaped, as the WHATWG's URL parser reads them.  A well-formed
 * escape does not reach beyond its segment.
 */
static bool is_dots(const char *segment, const char *end)
{
    int dots = 0;

    while (segment < end) {
        if (*segment == '.') {
            segment++;
        }
        else if (strncasecmp(segment, "%2e", 3) == 0) {
            segment += 3;
        }
        else {
            return false;
        }
        dots++;
    }
    return dots == 1 || dots == 2;
}

/* path begins with a slash; only its last segment may be empty. */
static bool has_plain_segments(const char *path, const char *end)
{
    while (path < end) {
        const char *segment = path + 1;
        const char *slash = memchr(segment, '/', (size_t)(end - segment));

        path = slash != NULL ? slash : end;
        if ((path == segment && path != end) || is_dots(segment, path)) {
            return false;
        }
    }
    return true;
}

bool eas_destination_is_local(const char *destination)
{
    const char *end;

    if (destination == NULL || destination[0] != '/'
        || strnlen(destination, EAS_DESTINATION_MAX + 1) > EAS_DESTINATION_MAX
        || !has_safe_characters(destination)) {
        return false;
    }
    end = destination + strcspn(destination, "?");
    return !has_bad_escape(destination, end) && has_plain_segments(destination, end);
}
