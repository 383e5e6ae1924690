/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_profile.c - krb5.conf for a krb5_context that sends nothing by itself */

#include "auth/kerberos/kdc_profile.h"
#include "auth/kerberos/as_key.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* For all copies of a profile. */
struct shared {
    struct eas_kdc_profile profile; /* first, so that a pointer to it is one to this */
    atomic_uint refs;
};

/* libkrb5 never connects to it. */
#define PLACEHOLDER "127.0.0.1"

static long copy_value(const char *value, char ***values_out)
{
    char **values = calloc(2, sizeof(*values));

    if (values != NULL) {
        values[0] = strdup(value);
    }
    if (values == NULL || values[0] == NULL) {
        free(values);
        return ENOMEM;
    }
    *values_out = values;
    return 0;
}

/*
 * By UDP, libkrb5 repeats a message to a slow KDC, which may count one wrong password twice.  That
 * concerns the realms that are left to libkrb5.
 */
static const char *own_value(const char *const *names)
{
    if (names[0] == NULL || names[1] == NULL || names[2] != NULL
        || strcmp(names[0], "libdefaults") != 0) {
        return NULL;
    }
    return strcmp(names[1], "dns_lookup_kdc") == 0         ? "false"
           : strcmp(names[1], "udp_preference_limit") == 0 ? "1"
                                                           : NULL;
}

/*
 * A value that the context adds to those of krb5.conf; NULL: none.  A log-on by password or keytab
 * has no use for PKINIT.  Each context would load its plugin, which makes groups of Diffie-Hellman.
 */
static const char *added_value(const char *const *names)
{
    if (names[0] == NULL || names[1] == NULL || names[2] == NULL || names[3] != NULL
        || strcmp(names[0], "plugins") != 0 || strcmp(names[1], "clpreauth") != 0) {
        return NULL;
    }
    return strcmp(names[2], "module") == 0    ? eas_as_key_plugin()
           : strcmp(names[2], "disable") == 0 ? "pkinit"
                                              : NULL;
}

/* The values of krb5.conf, if it has some, and one more. */
static long append_value(const char *value, long code, char ***values)
{
    size_t n = 0;
    char **more, *last;

    if (code != 0) {
        return copy_value(value, values);
    }
    while ((*values)[n] != NULL) {
        n++;
    }
    last = strdup(value);
    more = realloc(*values, (n + 2) * sizeof(*more));
    if (more != NULL) {
        *values = more;
        more[n] = last;
        more[n + 1] = NULL;
    }
    if (more == NULL || last == NULL) {
        free(more == NULL ? last : NULL);
        profile_free_list(*values);
        return ENOMEM;
    }
    return 0;
}

static long get_values(void *data, const char *const *names, char ***values_out)
{
    struct shared *shared = data;
    const char *own = own_value(names), *added = added_value(names);
    long code;

    if (own != NULL) {
        return copy_value(own, values_out);
    }
    code = profile_get_values(shared->profile.files, names, values_out);
    if (added != NULL) {
        return append_value(added, code, values_out);
    }
    if (code != 0 && names[0] != NULL && names[1] != NULL && names[2] != NULL && names[3] == NULL
        && strcmp(names[0], "realms") == 0 && strcmp(names[2], "kdc") == 0) {
        shared->profile.has_placeholder = true;
        return copy_value(PLACEHOLDER, values_out);
    }
    return code;
}

static void free_values(void *data, char **values)
{
    (void)data;
    profile_free_list(values);
}

static void cleanup(void *data)
{
    struct shared *shared = data;

    if (atomic_fetch_sub(&shared->refs, 1) == 1) {
        profile_release(shared->profile.files);
        free(shared);
    }
}

static long copy(void *data, void **copy_out)
{
    struct shared *shared = data;

    atomic_fetch_add(&shared->refs, 1);
    *copy_out = shared;
    return 0;
}

static krb5_error_code read_files(profile_t *files_out)
{
    krb5_context ctx;
    krb5_error_code code = krb5_init_context(&ctx);

    if (code == 0) {
        code = krb5_get_profile(ctx, files_out);
        krb5_free_context(ctx);
    }
    return code;
}

static krb5_error_code make_profile(struct shared *shared, profile_t *profile_out)
{
    struct profile_vtable table = {
        .minor_ver = 1,
        .get_values = get_values,
        .free_values = free_values,
        .cleanup = cleanup,
        .copy = copy,
    };
    krb5_error_code code = read_files(&shared->profile.files);

    if (code != 0) {
        free(shared);
        return code;
    }
    atomic_init(&shared->refs, 1);
    code = (krb5_error_code)profile_init_vtable(&table, shared, profile_out);
    if (code != 0) {
        cleanup(shared);
    }
    return code;
}

krb5_error_code eas_kdc_profile_context(krb5_context *ctx_out, struct eas_kdc_profile **profile_out)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    profile_t ours;
    krb5_error_code code = shared != NULL ? make_profile(shared, &ours) : ENOMEM;

    if (code == 0) {
        code = krb5_init_context_profile(ours, 0, ctx_out); /* with a copy */
        profile_release(ours);
    }
    if (code == 0) {
        *profile_out = &shared->profile;
    }
    return code;
}
