/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/wbxml.h - WBXML encoder for a response with a status */

#ifndef EAS_AUTH_ACTIVESYNC_WBXML_H
#define EAS_AUTH_ACTIVESYNC_WBXML_H

#include <apr_pools.h>

/* DeviceIsBlockedForThisUser, [MS-ASCMD] 2.2.2.  Versions before 14.0 have HTTP's 403 instead. */
#define EAS_STATUS_DEVICE_BLOCKED 129

/*
 * A response body of type application/vnd.ms-sync.wbxml: the command's element with only a Status
 * in it ([MS-ASWBXML]).  In pool, its length in *len_out.  NULL if the command is not in the table.
 */
const char *eas_wbxml_status(apr_pool_t *pool, const char *command, int status,
                             apr_size_t *len_out);

#endif
