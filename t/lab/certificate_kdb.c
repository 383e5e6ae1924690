/* SPDX-License-Identifier: Apache-2.0 */
/*
 * t/lab/certificate_kdb.c - KDB module that maps certificates: kldap, and get_s4u_x509_principal()
 *
 * $EAS_LAB_CERTIFICATES is a folder of certificates as DER, each with the name of its user.
 */

#include <dirent.h>
#include <dlfcn.h>
#include <kdb.h>
#include <krb5/krb5.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kdb_vftabl kdb_function_table;

static bool is_in_file(const char *folder, const char *name, const krb5_data *cert)
{
    char path[4096], bytes[16384];
    size_t len;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return len == cert->length && memcmp(bytes, cert->data, len) == 0;
}

/* KDC_ERR_C_PRINCIPAL_UNKNOWN without a file of the certificate. */
static krb5_error_code find(krb5_context ctx, const krb5_data *cert, krb5_const_principal princ,
                            unsigned int flags, krb5_db_entry **entry)
{
    const char *folder = getenv("EAS_LAB_CERTIFICATES");
    krb5_error_code code = KRB5_KDB_NOENTRY;
    krb5_principal user = NULL;
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    struct dirent *at;

    while (dir != NULL && user == NULL && (at = readdir(dir)) != NULL) {
        if (is_in_file(folder, at->d_name, cert)) {
            code = krb5_build_principal(ctx, &user, princ->realm.length, princ->realm.data,
                                        at->d_name, NULL);
        }
    }
    if (user != NULL) {
        code = kdb_function_table.get_principal(ctx, user, flags, entry);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    krb5_free_principal(ctx, user);
    return code;
}

__attribute__((constructor)) static void take_table(void)
{
    void *kldap = dlopen(KLDAP, RTLD_NOW | RTLD_GLOBAL);
    const kdb_vftabl *table = kldap != NULL ? dlsym(kldap, "kdb_function_table") : NULL;

    if (table == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    kdb_function_table = *table;
    kdb_function_table.get_s4u_x509_principal = find;
}
