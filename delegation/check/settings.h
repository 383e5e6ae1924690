/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/settings.h - settings of httpd's configuration, as httpd reads it */

#ifndef EAS_DELEGATION_CHECK_SETTINGS_H
#define EAS_DELEGATION_CHECK_SETTINGS_H

#include "delegation/check/options.h"

/* One virtual host with a keytab. */
struct eas_settings_server {
    const char *name;
    struct eas_options options; /* as if its settings were given on the command line */
};

/*
 * Runs `httpd -t -D EAS_KCD_DUMP -f FILE`, in which the module prints its settings.  The servers
 * that delegate, those with equal settings once; NULL after a failure, whose reason is *reason_out.
 */
apr_array_header_t *eas_settings_read(apr_pool_t *pool, const struct eas_options *options,
                                      const char **reason_out);

/* The same from the lines that the module has printed, which *text is cut into. */
apr_array_header_t *eas_settings_parse(apr_pool_t *pool, const struct eas_options *options,
                                       char *text);

#endif
