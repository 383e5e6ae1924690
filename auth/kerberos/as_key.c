/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/as_key.c - key of a password in an AS exchange, as a plugin of libkrb5 */

#include "auth/kerberos/as_key.h"

#include <apr_strings.h>
#include <dlfcn.h>
#include <limits.h>
#include <openssl/crypto.h>

#define NAME "eas_kcd"

/* "" if there is none.  Threads that read it may outlive the child's pools. */
static char plugin[sizeof(NAME ":") + PATH_MAX];

/* libkrb5 passes no pointer of the caller's to the plugin. */
static _Thread_local struct eas_kdc_as *current;

void eas_as_key_child_init(void)
{
    Dl_info info;

    if (dladdr((void *)clpreauth_eas_kcd_initvt, &info) != 0 && info.dli_fname[0] == '/') {
        /* dlopen() compares the name with those of loaded files, and opens none. */
        apr_snprintf(plugin, sizeof(plugin), NAME ":%s", info.dli_fname);
    }
}

const char *eas_as_key_plugin(void)
{
    return plugin[0] != '\0' ? plugin : NULL;
}

void eas_as_key_set_exchange(struct eas_kdc_as *as)
{
    current = as;
}

/* Called before the mechanisms that need the key. */
static int flags(krb5_context ctx, krb5_preauthtype type)
{
    (void)ctx;
    (void)type;
    return PA_INFO;
}

/*
 * The length of the key; 0 if it is left to libkrb5.  Only one of an exchange is made: a mechanism
 * may replace it, and the KDC repeats ETYPE-INFO2 in its reply.
 */
static size_t make_key(const krb5_pa_data *etype_info2, struct eas_string_to_key *parameters,
                       unsigned char key_out[EAS_STRING_TO_KEY_MAX])
{
    size_t len;

    if (current == NULL || current->password == NULL || !current->is_error || current->has_key
        || !eas_preauth_find_key(eas_bytes_make(etype_info2->contents, etype_info2->length),
                                 parameters)) {
        return 0;
    }
    len = eas_string_to_key(parameters, eas_bytes_of_text(current->password), key_out);
    current->has_key = len > 0;
    return len;
}

static krb5_error_code process(krb5_context ctx, krb5_clpreauth_moddata data,
                               krb5_clpreauth_modreq request_data, krb5_get_init_creds_opt *opt,
                               krb5_clpreauth_callbacks callbacks, krb5_clpreauth_rock rock,
                               krb5_kdc_req *request, krb5_data *body, krb5_data *previous,
                               krb5_pa_data *padata, krb5_prompter_fct prompter,
                               void *prompter_data, krb5_pa_data ***padata_out)
{
    struct eas_string_to_key parameters = { .enctype = callbacks->get_etype(ctx, rock) };
    unsigned char key[EAS_STRING_TO_KEY_MAX];
    size_t len = make_key(padata, &parameters, key);
    const krb5_keyblock block = { .enctype = parameters.enctype,
                                  .length = (unsigned)len,
                                  .contents = key };

    (void)data;
    (void)request_data;
    (void)opt;
    (void)request;
    (void)body;
    (void)previous;
    (void)prompter;
    (void)prompter_data;
    (void)padata_out;
    if (len > 0) {
        callbacks->set_as_key(ctx, rock, &block);
    }
    OPENSSL_cleanse(key, sizeof(key));
    return 0; /* an error might end the exchange */
}

krb5_error_code clpreauth_eas_kcd_initvt(krb5_context ctx, int major, int minor,
                                         krb5_plugin_vtable table)
{
    static const krb5_preauthtype types[] = { KRB5_PADATA_ETYPE_INFO2, 0 };
    krb5_clpreauth_vtable out = (krb5_clpreauth_vtable)table;

    (void)ctx;
    (void)minor;
    if (major != 1) {
        return KRB5_PLUGIN_VER_NOTSUPP;
    }
    out->name = NAME;
    out->pa_type_list = (krb5_preauthtype *)types; /* libkrb5 only reads it */
    out->flags = flags;
    out->process = process;
    return 0;
}
