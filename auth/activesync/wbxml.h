/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/wbxml.h - the one ActiveSync answer that the gateway gives by itself: a status */

#ifndef EAS_AUTH_ACTIVESYNC_WBXML_H
#define EAS_AUTH_ACTIVESYNC_WBXML_H

#include <apr_pools.h>

/* DeviceIsBlockedForThisUser, [MS-ASCMD] 2.2.2.  Since version 14.0; before, it was HTTP's 403. */
#define EAS_STATUS_DEVICE_BLOCKED 129

/*
 * The body of an answer to this command, of type application/vnd.ms-sync.wbxml, that says nothing
 * but this status ([MS-ASWBXML]: the command's element with its Status in it).  In the pool, its
 * length in *len_out; NULL for commands whose answers we cannot write.
 */
const char *eas_wbxml_status(apr_pool_t *pool, const char *command, int status,
                             apr_size_t *len_out);

#endif
