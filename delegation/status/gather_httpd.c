/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/gather_httpd.c - takes a snapshot of the gateway */

#include "delegation/status/gather_httpd.h"
#include "auth/base/module_httpd.h"
#include "auth/config_httpd.h"
#include "delegation/proxy/long_polls_httpd.h"
#include "delegation/proxy/mod_proxy_httpd.h"
#include "delegation/proxy/targets_httpd.h"

#include <http_main.h>
#include <scoreboard.h>
#include <string.h>

/* One for all virtual hosts with the same keytab. */
static void add_account(apr_array_header_t *accounts, const struct eas_authority *authority)
{
    struct eas_snapshot_account account = {
        .name = eas_keytab_principal_name(authority->keytab),
        .realm = authority->realms.default_realm,
    };
    int i;

    for (i = 0; i < accounts->nelts; i++) {
        const struct eas_snapshot_account *other =
            &APR_ARRAY_IDX(accounts, i, struct eas_snapshot_account);

        if (strcmp(other->name, account.name) == 0 && strcmp(other->realm, account.realm) == 0) {
            return;
        }
    }
    account.keys = eas_keytab_keys(authority->keytab, accounts->pool);
    APR_ARRAY_PUSH(accounts, struct eas_snapshot_account) = account;
}

static void add_backend(apr_array_header_t *backends, const struct eas_target *target)
{
    struct eas_snapshot_backend backend = { target->url, target->spn,
                                            eas_delegation_reuses(target->conf) };
    int i;

    for (i = 0; i < backends->nelts; i++) {
        const struct eas_snapshot_backend *other =
            &APR_ARRAY_IDX(backends, i, struct eas_snapshot_backend);

        if (strcmp(other->url, backend.url) == 0 && strcmp(other->spn, backend.spn) == 0
            && other->reuses == backend.reuses) {
            return;
        }
    }
    APR_ARRAY_PUSH(backends, struct eas_snapshot_backend) = backend;
}

static void add_server(struct eas_snapshot *snapshot, const server_rec *s)
{
    const struct eas_authority *authority = eas_auth_server_of(s)->authority;
    const apr_array_header_t *targets;
    int i;

    if (authority == NULL) {
        return;
    }
    add_account(snapshot->accounts, authority);
    if (!eas_mod_proxy_is_loaded()) {
        return;
    }
    targets = eas_targets_of(snapshot->backends->pool, s);
    for (i = 0; i < targets->nelts; i++) {
        add_backend(snapshot->backends, &APR_ARRAY_IDX(targets, i, struct eas_target));
    }
}

struct eas_snapshot eas_gather(request_rec *r)
{
    struct eas_snapshot snapshot = {
        .version = EAS_KCD_VERSION,
        .host = r->server->server_hostname,
        .now = apr_time_now(),
        .started = ap_scoreboard_image->global->restart_time,
        .accounts = apr_array_make(r->pool, 2, sizeof(struct eas_snapshot_account)),
        .backends = apr_array_make(r->pool, 4, sizeof(struct eas_snapshot_backend)),
        .counts = eas_counters_read(r->pool),
        .long_polls = eas_long_polls_held(),
    };
    const server_rec *s;

    snapshot.notes = eas_notes_read(r->pool, snapshot.now);
    eas_snapshot_count(&snapshot);
    for (s = ap_server_conf; s != NULL; s = s->next) {
        add_server(&snapshot, s);
    }
    return snapshot;
}
