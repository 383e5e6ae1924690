/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/krb5_files.h - Directory with a krb5.conf, which replaces that of the machine */

#ifndef EAS_T_UNIT_KRB5_FILES_H
#define EAS_T_UNIT_KRB5_FILES_H

#include "t/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REALM "EAS.TEST"

static char krb5_dir[] = "/tmp/eas-kcd-unit-XXXXXX";

/* The path of a file in the directory.  Valid until four calls later. */
static inline const char *krb5_path(const char *name)
{
    static char paths[4][sizeof(krb5_dir) + 32];
    static unsigned next;
    char *path = paths[next++ % COUNT_OF(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", krb5_dir, name);
    return path;
}

static inline int krb5_write_file(const char *name, const void *bytes, size_t len)
{
    FILE *f = fopen(krb5_path(name), "w");
    size_t written = f != NULL ? fwrite(bytes, 1, len, f) : 0;

    return f != NULL && fclose(f) == 0 && written == len ? 0 : -1;
}

/* Group setup.  The realm's only KDC is a closed port, and no default ccache exists. */
static inline int krb5_files_start(void **state)
{
    static const char conf[] = "[libdefaults]\n"
                               "    default_realm = " REALM "\n"
                               "    dns_lookup_kdc = false\n"
                               "    dns_lookup_realm = false\n"
                               "    rdns = false\n"
                               "[realms]\n"
                               "    " REALM " = {\n"
                               "        kdc = 127.0.0.1:1\n"
                               "    }\n";

    if (unit_start(state) != 0 || mkdtemp(krb5_dir) == NULL
        || krb5_write_file("krb5.conf", conf, sizeof(conf) - 1) != 0) {
        return -1;
    }
    setenv("KRB5_CONFIG", krb5_path("krb5.conf"), 1);
    setenv("KRB5CCNAME", "FILE:/nonexistent/ccache", 1);
    setenv("KRB5_KTNAME", "FILE:/nonexistent/keytab", 1);
    return 0;
}

static inline int krb5_files_end(void **state)
{
    unlink(krb5_path("krb5.conf"));
    return rmdir(krb5_dir) == 0 ? unit_end(state) : -1;
}

#endif
