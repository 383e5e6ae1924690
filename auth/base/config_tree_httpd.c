/* SPDX-License-Identifier: Apache-2.0 */
/* auth/base/config_tree_httpd.c - httpd's configuration as it is written, with file and line */

#include "auth/base/config_tree_httpd.h"

#include <apr_strings.h>
#include <util_cfgtree.h>

#define VIRTUAL_HOST "<VirtualHost"

struct eas_config_tree eas_config_tree_of(const server_rec *s)
{
    const ap_directive_t *at;

    for (at = s->is_virtual ? ap_conftree : NULL; at != NULL; at = at->next) {
        if (eas_config_tree_is(at, VIRTUAL_HOST) && s->defn_name != NULL
            && (unsigned)at->line_num == s->defn_line_number
            && strcmp(at->filename, s->defn_name) == 0) {
            return (struct eas_config_tree){ at->first_child, ap_conftree };
        }
    }
    return (struct eas_config_tree){ ap_conftree, NULL };
}

const ap_directive_t *eas_config_tree_next(const ap_directive_t *at)
{
    if (at->first_child != NULL && !eas_config_tree_is(at, VIRTUAL_HOST)) {
        return at->first_child;
    }
    while (at != NULL && at->next == NULL) {
        at = at->parent;
        if (at != NULL && eas_config_tree_is(at, VIRTUAL_HOST)) {
            return NULL;
        }
    }
    return at != NULL ? at->next : NULL;
}

bool eas_config_tree_is(const ap_directive_t *at, const char *name)
{
    return ap_cstr_casecmp(at->directive, name) == 0;
}

const char *eas_config_tree_argument(apr_pool_t *pool, const ap_directive_t *at)
{
    const char *rest = at->args != NULL ? at->args : "";
    char *word = ap_getword_conf(pool, &rest);
    apr_size_t len = strlen(word);

    if (*at->directive == '<' && len > 0 && word[len - 1] == '>') {
        word[len - 1] = '\0';
    }
    return word;
}

bool eas_config_tree_says(const ap_directive_t *at, const char *word)
{
    apr_size_t len = strlen(word);
    const char *args = at->args != NULL ? at->args : "";

    args += *args == '"' || *args == '\'';
    return ap_cstr_casecmpn(args, word, len) == 0
           && (args[len] == '\0' || strchr(" \t\"'", args[len]));
}

const ap_directive_t *eas_config_tree_find(const ap_directive_t *from, const char *name,
                                           const char *word)
{
    const ap_directive_t *at;

    for (at = from; at != NULL; at = eas_config_tree_next(at)) {
        if (eas_config_tree_is(at, name) && (word == NULL || eas_config_tree_says(at, word))) {
            return at;
        }
    }
    return NULL;
}

static bool is_of_server(const ap_directive_t *at)
{
    return at->parent == NULL || eas_config_tree_is(at->parent, VIRTUAL_HOST);
}

const ap_directive_t *eas_config_tree_find_in(apr_pool_t *pool, const ap_directive_t *from,
                                              const char *name, const char *section)
{
    const ap_directive_t *at;

    for (at = from; at != NULL; at = eas_config_tree_next(at)) {
        if (eas_config_tree_is(at, name)
            && (section == NULL
                    ? is_of_server(at)
                    : !is_of_server(at)
                          && strcmp(eas_config_tree_argument(pool, at->parent), section) == 0)) {
            return at;
        }
    }
    return NULL;
}

bool eas_config_tree_has(const struct eas_config_tree *tree, const char *name, const char *word)
{
    const ap_directive_t *const levels[] = { tree->own, tree->outer };
    apr_size_t i;

    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        const ap_directive_t *at, *last = NULL;

        for (at = levels[i]; at != NULL; at = eas_config_tree_next(at)) {
            if (!eas_config_tree_is(at, name)) {
                continue;
            }
            if (is_of_server(at)) {
                last = at;
            }
            else if (eas_config_tree_says(at, word)) {
                return true;
            }
        }
        if (last != NULL) {
            return eas_config_tree_says(last, word);
        }
    }
    return false;
}

const char *eas_config_tree_place(apr_pool_t *pool, const ap_directive_t *at)
{
    return apr_psprintf(pool, "%s:%d", at->filename, at->line_num);
}

void eas_config_tree_name_place(apr_pool_t *pool, const server_rec *s, const char *name,
                                struct eas_err *err)
{
    struct eas_config_tree tree = eas_config_tree_of(s);
    const ap_directive_t *at = eas_config_tree_find(tree.own, name, NULL);
    apr_size_t len = strlen(err->text);

    if (at == NULL) {
        at = eas_config_tree_find(tree.outer, name, NULL);
    }
    if (at != NULL) {
        apr_snprintf(err->text + len, sizeof(err->text) - len, " (%s)",
                     eas_config_tree_place(pool, at));
    }
}
