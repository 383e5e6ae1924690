/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_profile.c - krb5.conf for a krb5_context that sends nothing by itself */

#include "auth/kerberos/kdc_profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static long get_values(void *real, const char *const *names, char ***values_out)
{
    long code;

    if (names[0] != NULL && names[1] != NULL && names[2] == NULL
        && strcmp(names[0], "libdefaults") == 0 && strcmp(names[1], "dns_lookup_kdc") == 0) {
        return copy_value("false", values_out);
    }
    code = profile_get_values(real, names, values_out);
    if (code != 0 && names[0] != NULL && names[1] != NULL && names[2] != NULL && names[3] == NULL
        && strcmp(names[0], "realms") == 0 && strcmp(names[2], "kdc") == 0) {
        return copy_value(PLACEHOLDER, values_out);
    }
    return code;
}

static void free_values(void *real, char **values)
{
    (void)real;
    profile_free_list(values);
}

static void cleanup(void *real)
{
    profile_release(real);
}

/* A copy for the same files: the library shares what it has read of them. */
static long copy(void *real, void **copy_out)
{
    krb5_context ctx;
    long code = krb5_init_context(&ctx);

    (void)real;
    if (code == 0) {
        code = krb5_get_profile(ctx, (struct _profile_t **)copy_out);
        krb5_free_context(ctx);
    }
    return code;
}

static krb5_error_code make_profile(profile_t *profile_out)
{
    struct profile_vtable table = {
        .minor_ver = 1,
        .get_values = get_values,
        .free_values = free_values,
        .cleanup = cleanup,
        .copy = copy,
    };
    void *real;
    krb5_error_code code = (krb5_error_code)copy(NULL, &real);

    if (code == 0) {
        code = (krb5_error_code)profile_init_vtable(&table, real, profile_out);
        if (code != 0) {
            profile_release(real);
        }
    }
    return code;
}

krb5_error_code eas_kdc_profile_context(krb5_context *ctx_out, profile_t *profile_out)
{
    profile_t ours;
    krb5_error_code code = (krb5_error_code)copy(NULL, (void **)profile_out);

    if (code == 0) {
        code = make_profile(&ours);
        if (code == 0) {
            code = krb5_init_context_profile(ours, 0, ctx_out);
            profile_release(ours);
        }
        if (code != 0) {
            profile_release(*profile_out);
        }
    }
    return code;
}
