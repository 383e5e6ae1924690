/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab_file.h - state of a keytab file: changed, at rest, whole */

#ifndef EAS_AUTH_KERBEROS_KEYTAB_FILE_H
#define EAS_AUTH_KERBEROS_KEYTAB_FILE_H

#include <apr_file_info.h>
#include <apr_time.h>
#include <stdbool.h>

/* All zero for a file that is not there. */
struct eas_keytab_file {
    apr_time_t mtime;
    apr_time_t ctime;
    apr_ino_t inode;
    apr_off_t size;
    bool is_exposed; /* all users may read it, or others than the owner write it */
};

struct eas_keytab_file eas_keytab_file_look(const char *path);

/* Whether both are the same file with the same content, as far as its state tells. */
bool eas_keytab_file_same(const struct eas_keytab_file *a, const struct eas_keytab_file *b);

/* Whether the last change is two seconds old: no program is about to write the rest. */
bool eas_keytab_file_at_rest(const struct eas_keytab_file *file, apr_time_t now);

/* Whether the records fill the file.  libkrb5 takes half a record for the end of the file. */
bool eas_keytab_file_is_whole(const char *path);

#endif
