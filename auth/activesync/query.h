/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/query.h - reads the query of an ActiveSync request, in both its forms */

#ifndef EAS_AUTH_ACTIVESYNC_QUERY_H
#define EAS_AUTH_ACTIVESYNC_QUERY_H

#include "auth/base/error.h"

#include <apr_pools.h>

/*
 * What a phone says that it wants and is ([MS-ASHTTP] 2.2.1.1.1).  All of it is the client's word,
 * good for logs and for rules beside a proved user, and no identity: `user` least of all.
 */
struct eas_query {
    const char *command;     /* the specification's spelling; unknown: as sent, or its number */
    const char *user;        /* these three are NULL where the query does not have them */
    const char *device_id;   /* one spelling for both forms, see below */
    const char *device_type; /* as sent */
    /* Only the base64 form has these two, "14.1" and decimal; in the other they are headers. */
    const char *protocol_version;
    const char *policy_key; /* NULL also where the base64 form has none */
};

/*
 * Reads what follows the `?`, len bytes that need not end with a NUL.  Results are in the pool.
 *
 * Plain: `Cmd=Sync&User=…&DeviceId=…&DeviceType=…`, in any order, names in any letter case and
 * percent-encoded or not.  Values are percent-decoded; `+` stays `+`.  Only Cmd must be there: what
 * else a command needs the backend knows better.  Other parameters are left alone.
 *
 * Base64: one blob, its padding there or not, percent-encoded or not.  It is known by having no `&`
 * and no `=` but at its end.
 *
 * A device id of letters, digits and `-._` stays as it is; any other (in the base64 form it is often
 * 16 raw bytes) becomes upper-case hex.  Phones differ in the letter case of ids and types: compare
 * without it.
 *
 * Unknown commands and versions are none of our business and pass.  EAS_MALFORMED for all that is not
 * whole: bad escapes or base64, control characters, lengths that do not fit, a parameter of ours
 * twice, no command.  A query that two parsers could read differently is refused rather than guessed
 * at, because rules go by what is read here and Exchange acts on what it reads itself.
 */
enum eas_rc eas_query_parse(apr_pool_t *pool, const char *query, apr_size_t len,
                            struct eas_query **query_out, struct eas_err *err);

#endif
