/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/config_tree_httpd.h - httpd's configuration as it is written, with file and line */

#ifndef EAS_AUTH_BASE_CONFIG_TREE_HTTPD_H
#define EAS_AUTH_BASE_CONFIG_TREE_HTTPD_H

#include "auth/base/error.h"

#include <httpd.h>
#include <http_config.h>
#include <stdbool.h>

/*
 * Directives of other modules, whose records are private to them, and their places.  For warnings of
 * the start: environment, conditions and .htaccess files may change what the text says.
 */
struct eas_config_tree {
    const ap_directive_t *own;   /* of the virtual host, else of the main server */
    const ap_directive_t *outer; /* of the main server, for a virtual host; else NULL */
};

struct eas_config_tree eas_config_tree_of(const server_rec *s);

/* The next directive in the order of the text: the contents of sections, but of no virtual host. */
const ap_directive_t *eas_config_tree_next(const ap_directive_t *at);

/* Whether the directive, or the beginning of the section ("<Location"), has this name. */
bool eas_config_tree_is(const ap_directive_t *at, const char *name);

/* Whether the first argument is this word, in any letter case. */
bool eas_config_tree_says(const ap_directive_t *at, const char *word);

/* The first argument of a directive or section, without quotation marks, in the pool. */
const char *eas_config_tree_argument(apr_pool_t *pool, const ap_directive_t *at);

/* The first directive from here on that has this name and, unless that is NULL, this word. */
const ap_directive_t *eas_config_tree_find(const ap_directive_t *from, const char *name,
                                           const char *word);

/*
 * The first directive of this name in a section with this argument, such as "/owa"; in none, if that is
 * NULL.  Without one: NULL.
 */
const ap_directive_t *eas_config_tree_find_in(apr_pool_t *pool, const ap_directive_t *from,
                                              const char *name, const char *section);

/*
 * Whether a directive of the server, or of one of its <Proxy> sections, has this word.  The last one
 * of the virtual host counts, else the last one of the main server; any one of a <Proxy> counts.
 */
bool eas_config_tree_has(const struct eas_config_tree *tree, const char *name, const char *word);

/* "/etc/apache2/mail.conf:12", in the pool. */
const char *eas_config_tree_place(apr_pool_t *pool, const ap_directive_t *at);

/* Adds the place of the server's first directive of this name, or of the main server's, to the error. */
void eas_config_tree_name_place(apr_pool_t *pool, const server_rec *s, const char *name,
                                struct eas_err *err);

#endif
