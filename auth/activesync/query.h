/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/query.h - parser of an ActiveSync query, plain or base64 */

#ifndef EAS_AUTH_ACTIVESYNC_QUERY_H
#define EAS_AUTH_ACTIVESYNC_QUERY_H

#include "auth/base/error.h"

#include <apr_pools.h>
#include <stdbool.h>

/*
 * The parameters of a query ([MS-ASHTTP] 2.2.1.1.1).  The client can send anything in them: they
 * serve logs, and rules for an authenticated user.  None is an identity, least of all `user`.
 */
struct eas_query {
    const char *command;     /* as in the specification; unknown: as sent, or its number */
    const char *user;        /* these four are NULL if the query lacks them */
    const char *device_id;   /* the same for both forms, see below */
    const char *device_type; /* as sent */
    /* From the base64 form, as "14.1" and in decimal; the plain form leaves them to headers. */
    const char *protocol_version;
    const char *policy_key; /* NULL also if the base64 form has none */
};

/*
 * Parses the part of a URL after the `?`: len bytes, without a NUL at their end.  Results are in
 * pool.
 *
 * Plain: `Cmd=Sync&User=…&DeviceId=…&DeviceType=…` in any order.  Names have any letter case, and
 * may be percent-encoded.  Values are percent-decoded; `+` stays `+`.  None is required here: Windows
 * Mail sends OPTIONS with a query that has no Cmd.  Unknown parameters are ignored.
 *
 * Base64: one blob, with or without padding, percent-encoded or not.  A query is base64 if it has
 * no `&`, and no `=` but at its end.
 *
 * A device id of letters, digits and `-._` stays as it is.  Any other becomes upper-case hex; in
 * the base64 form it is often 16 raw bytes.  Compare ids and types without letter case: phones vary
 * it.
 *
 * Unknown commands and versions are valid.  EAS_MALFORMED for a bad escape, bad base64, a control
 * character, a wrong length, a duplicate of a parameter above, or a Cmd of other characters than
 * letters.  A query that two
 * parsers could read differently is malformed: Exchange parses the query again, and must not see
 * another command than the rules have seen.
 */
enum eas_rc eas_query_parse(apr_pool_t *pool, const char *query, apr_size_t len,
                            struct eas_query **query_out, struct eas_err *err);

/*
 * Whether a rule can mean this command: one of the specification, in any letter case, or the number
 * of a newer one.
 */
bool eas_query_is_command(const char *word);

#endif
