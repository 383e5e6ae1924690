/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_locate.c - the KDCs of a realm, by krb5.conf or DNS */

#include "auth/kerberos/kdc_locate.h"
#include "auth/base/clock.h"
#include "auth/kerberos/kdc_resolve.h"

#include <apr_strings.h>
#include <dirent.h>
#include <dlfcn.h>
#include <krb5/krb5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A service of a realm: the name of its SRV records, and its port. */
struct service {
    const char *srv;
    unsigned short port;
};

static const struct service kdc_service = { "_kerberos._tcp", 88 };
static const struct service kpasswd_service = { "_kpasswd._tcp", 464 };

/* Referrals can name more realms than this; the one used the longest ago is looked up again. */
#define REALMS 16

/* Bounds of the time for which an answer is kept, in seconds; before a failed lookup is repeated. */
#define TTL_MIN 30
#define TTL_MAX 3600
#define AGAIN_AFTER apr_time_from_sec(5)

struct entry {
    char key[1024]; /* the service, the realm and its hosts in krb5.conf */
    struct eas_kdc_addresses addresses;
    apr_time_t stale_at;
    bool resolving;
    enum eas_kdc_resolved result; /* of the last lookup */
    unsigned lookups, used;       /* numbers of the last ones */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t resolved;
    struct entry entries[REALMS];
    unsigned uses;
} cache = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_plugin;

/* --- krb5.conf -------------------------------------------------------------------------------- */

static bool holds_library(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *file;
    bool found = false;

    while (dir != NULL && !found && (file = readdir(dir)) != NULL) {
        found = strstr(file->d_name, ".so") != NULL;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

/* libkrb5 loads all locator plugins of a directory beside itself (locate_kdc.c). */
static void look_for_plugin(void)
{
    char path[4096];
    const char *slash;
    Dl_info info;

    eas_clock_init_cond(&cache.resolved);
    if (dladdr((void *)&krb5_init_context, &info) != 0 && info.dli_fname != NULL
        && (slash = strrchr(info.dli_fname, '/')) != NULL) {
        snprintf(path, sizeof(path), "%.*s/krb5/plugins/libkrb5", (int)(slash - info.dli_fname),
                 info.dli_fname);
        has_plugin = holds_library(path);
    }
}

/* host, host:port, [address]:port, each perhaps with the name of a transport before it. */
static void parse_host(const char *text, unsigned short default_port, struct eas_kdc_hosts *hosts)
{
    const char *end, *port;
    size_t len;

    if (strncmp(text, "tcp/", 4) == 0 || strncmp(text, "udp/", 4) == 0) {
        text += 4;
    }
    if (*text == '[' && (end = strchr(text, ']')) != NULL) {
        text++;
        port = end[1] == ':' ? end + 2 : "";
    }
    else {
        end = text + strcspn(text, ": \t");
        port = *end == ':' ? end + 1 : "";
    }
    len = (size_t)(end - text);
    if (hosts->count < EAS_KDC_RESOLVE_HOSTS && len > 0 && len < sizeof(hosts->at[0].name)) {
        long number = strtol(port, NULL, 10);

        memcpy(hosts->at[hosts->count].name, text, len);
        hosts->at[hosts->count].name[len] = '\0';
        hosts->at[hosts->count].port =
            (unsigned short)(number > 0 && number < 65536 ? number : default_port);
        hosts->count++;
    }
}

/* False if one of the hosts is behind a proxy. */
static bool read_hosts(profile_t profile, const char *realm, const char *relation,
                       unsigned short default_port, struct eas_kdc_hosts *hosts)
{
    const char *names[] = { "realms", realm, relation, NULL };
    char **values = NULL;
    bool plain = true;
    int i;

    hosts->count = 0;
    if (profile_get_values(profile, names, &values) != 0) {
        return true;
    }
    for (i = 0; values[i] != NULL; i++) {
        if (strstr(values[i], "://") != NULL) {
            plain = false;
        }
        else {
            parse_host(values[i], default_port, hosts);
        }
    }
    profile_free_list(values);
    return plain;
}

static bool read_kdcs(profile_t profile, const char *realm, struct eas_kdc_hosts *hosts)
{
    return read_hosts(profile, realm, "kdc", kdc_service.port, hosts);
}

/* In AD, each KDC takes changes of passwords. */
static void read_kpasswd(profile_t profile, const char *realm, struct eas_kdc_hosts *hosts)
{
    static const char *const others[] = { "admin_server", "kdc" };
    unsigned i, relation;

    read_hosts(profile, realm, "kpasswd_server", kpasswd_service.port, hosts);
    for (relation = 0; relation < 2 && hosts->count == 0; relation++) {
        read_hosts(profile, realm, others[relation], kpasswd_service.port, hosts);
        for (i = 0; i < hosts->count; i++) {
            hosts->at[i].port = kpasswd_service.port;
        }
    }
}

static bool asks_dns(profile_t profile)
{
    int fallback = 1, lookup = 1;

    profile_get_boolean(profile, "libdefaults", "dns_fallback", NULL, 1, &fallback);
    profile_get_boolean(profile, "libdefaults", "dns_lookup_kdc", NULL, fallback, &lookup);
    return lookup != 0;
}

bool eas_kdc_locate_may(const char *realm)
{
    const char *names[] = { "realms", realm, "kdc", NULL };
    char **values = NULL;
    krb5_context ctx;
    profile_t profile;
    bool may = true;

    if (krb5_init_context(&ctx) != 0) {
        return true;
    }
    if (krb5_get_profile(ctx, &profile) == 0) {
        may = asks_dns(profile) || eas_kdc_locate_has_plugin()
              || profile_get_values(profile, names, &values) == 0;
        profile_free_list(values);
        profile_release(profile);
    }
    krb5_free_context(ctx);
    return may;
}

/* --- the cache -------------------------------------------------------------------------------- */

struct lookup {
    const struct service *service;
    const char *realm;
    struct eas_kdc_hosts hosts;
    char key[sizeof(cache.entries[0].key)]; /* of all that */
};

static void make_key(struct lookup *lookup)
{
    const struct eas_kdc_hosts *hosts = &lookup->hosts;
    size_t size = sizeof(lookup->key);
    size_t len = (size_t)snprintf(lookup->key, size, "%s.%s", lookup->service->srv, lookup->realm);
    unsigned i;

    for (i = 0; i < hosts->count && len < size; i++) {
        len += (size_t)snprintf(lookup->key + len, size - len, "\n%s:%u", hosts->at[i].name,
                                hosts->at[i].port);
    }
}

/* Under the mutex. */
static struct entry *entry_of(const char *key)
{
    struct entry *oldest = &cache.entries[0];
    unsigned i;

    for (i = 0; i < REALMS; i++) {
        struct entry *entry = &cache.entries[i];

        if (strcmp(entry->key, key) == 0) {
            entry->used = ++cache.uses;
            return entry;
        }
        if (cache.uses - entry->used > cache.uses - oldest->used) {
            oldest = entry;
        }
    }
    memset(oldest, 0, sizeof(*oldest));
    snprintf(oldest->key, sizeof(oldest->key), "%s", key);
    oldest->used = ++cache.uses;
    return oldest;
}

/* Under the mutex, which it releases during the lookup. */
static enum eas_kdc_resolved resolve(const struct lookup *lookup, apr_time_t until,
                                     struct eas_kdc_addresses *addresses_out)
{
    char service[1024];
    int ttl = TTL_MAX;
    enum eas_kdc_resolved result;
    struct entry *entry = entry_of(lookup->key);
    apr_time_t now;

    entry->resolving = true;
    pthread_mutex_unlock(&cache.mutex);
    snprintf(service, sizeof(service), "%s.%s", lookup->service->srv, lookup->realm);
    result = eas_kdc_resolve(service, &lookup->hosts, until, addresses_out, &ttl);
    now = eas_clock_now();
    pthread_mutex_lock(&cache.mutex);
    entry = entry_of(lookup->key);
    entry->resolving = false;
    entry->result = result;
    entry->lookups++;
    if (result == EAS_KDC_RESOLVED) {
        entry->addresses = *addresses_out;
        entry->stale_at = now + apr_time_from_sec(ttl < TTL_MIN ? TTL_MIN : ttl);
    }
    else {
        entry->stale_at = now + AGAIN_AFTER;
    }
    pthread_cond_broadcast(&cache.resolved);
    return result;
}

static enum eas_kdc_located look_up(const struct lookup *lookup, apr_time_t until,
                                    struct eas_kdc_addresses *addresses_out)
{
    enum eas_kdc_resolved result = EAS_KDC_RESOLVED_NOT;
    enum eas_kdc_located located = EAS_KDC_LOCATED;
    struct entry *entry;
    unsigned lookups;
    apr_time_t now = eas_clock_now();

    pthread_mutex_lock(&cache.mutex);
    entry = entry_of(lookup->key);
    lookups = entry->lookups;
    while (entry->resolving && entry->addresses.count == 0 && entry->lookups == lookups
           && now < until) {
        eas_clock_wait(&cache.resolved, &cache.mutex, until);
        now = eas_clock_now();
        entry = entry_of(lookup->key);
    }
    if (entry->addresses.count > 0) {
        *addresses_out = entry->addresses;
        result = EAS_KDC_RESOLVED;
        if (now >= entry->stale_at && !entry->resolving) {
            entry->stale_at = now + AGAIN_AFTER;
            located = EAS_KDC_LOCATED_STALE;
        }
    }
    else if (entry->lookups != lookups) {
        result = entry->result;
    }
    else if (now < until) {
        result = resolve(lookup, until, addresses_out);
    }
    pthread_mutex_unlock(&cache.mutex);
    return result == EAS_KDC_RESOLVED        ? located
           : result == EAS_KDC_RESOLVED_NONE ? EAS_KDC_LOCATED_NONE
                                             : EAS_KDC_LOCATED_NOT;
}

bool eas_kdc_locate_has_plugin(void)
{
    pthread_once(&once, look_for_plugin);
    return has_plugin;
}

/* --- the way to them -------------------------------------------------------------------------- */

/* Addresses in numbers need no lookup. */
static enum eas_kdc_located find(struct lookup *lookup, apr_time_t until,
                                 struct eas_kdc_addresses *addresses_out)
{
    const struct eas_kdc_hosts *hosts = &lookup->hosts;
    apr_time_t now = eas_clock_now();
    unsigned i;

    for (i = 0; i < hosts->count
                && eas_kdc_resolve_number(hosts->at[i].name, hosts->at[i].port, addresses_out);
         i++) {
    }
    if (i > 0 && i == hosts->count) {
        return EAS_KDC_LOCATED;
    }
    make_key(lookup);
    /* A quarter of the time remains to say why. */
    return look_up(lookup, now + (until - now) * 3 / 4, addresses_out);
}

enum eas_kdc_located eas_kdc_locate(profile_t profile, const char *realm, bool by_plugin,
                                    apr_time_t until, struct eas_kdc_addresses *addresses_out)
{
    struct lookup lookup = { .service = &kdc_service, .realm = realm };

    pthread_once(&once, look_for_plugin);
    addresses_out->count = 0;
    if (!read_kdcs(profile, realm, &lookup.hosts) || (lookup.hosts.count == 0 && by_plugin)) {
        return EAS_KDC_LOCATED_BY_OTHERS;
    }
    if (lookup.hosts.count == 0 && !asks_dns(profile)) {
        return EAS_KDC_LOCATED_NONE;
    }
    return find(&lookup, until, addresses_out);
}

static void refresh(struct lookup *lookup, apr_time_t until,
                    struct eas_kdc_addresses *addresses_out)
{
    struct eas_kdc_addresses fresh;

    make_key(lookup);
    pthread_mutex_lock(&cache.mutex);
    if (resolve(lookup, until, &fresh) == EAS_KDC_RESOLVED) {
        *addresses_out = fresh;
    }
    pthread_mutex_unlock(&cache.mutex);
}

void eas_kdc_locate_refresh(profile_t profile, const char *realm, apr_time_t until)
{
    struct lookup lookup = { .service = &kdc_service, .realm = realm };
    struct eas_kdc_addresses ignored;

    pthread_once(&once, look_for_plugin);
    if (read_kdcs(profile, realm, &lookup.hosts)) {
        refresh(&lookup, until, &ignored);
    }
}

/* Passwords are changed seldom: no background job keeps these addresses fresh. */
enum eas_kdc_located eas_kdc_locate_kpasswd(profile_t profile, const char *realm, apr_time_t until,
                                            struct eas_kdc_addresses *addresses_out)
{
    struct lookup lookup = { .service = &kpasswd_service, .realm = realm };
    enum eas_kdc_located located;

    pthread_once(&once, look_for_plugin);
    addresses_out->count = 0;
    read_kpasswd(profile, realm, &lookup.hosts);
    if (lookup.hosts.count == 0 && !asks_dns(profile)) {
        return EAS_KDC_LOCATED_NONE;
    }
    located = find(&lookup, until, addresses_out);
    if (located == EAS_KDC_LOCATED_STALE) {
        refresh(&lookup, until, addresses_out);
        located = EAS_KDC_LOCATED;
    }
    return located;
}

const char *eas_kdc_locate_names(profile_t profile, const char *realm, apr_pool_t *pool)
{
    struct eas_kdc_hosts hosts;
    const char *names = "";
    unsigned i;

    if (!read_kdcs(profile, realm, &hosts) || (hosts.count == 0 && eas_kdc_locate_has_plugin())) {
        return "by libkrb5";
    }
    for (i = 0; i < hosts.count; i++) {
        bool has_colon = strchr(hosts.at[i].name, ':') != NULL;

        names = apr_psprintf(pool, "%s%s%s%s%s:%u", names, i > 0 ? ", " : "", has_colon ? "[" : "",
                             hosts.at[i].name, has_colon ? "]" : "", hosts.at[i].port);
    }
    return hosts.count > 0 ? names : asks_dns(profile) ? "by DNS" : "none";
}
