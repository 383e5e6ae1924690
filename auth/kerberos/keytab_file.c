/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab_file.c - state of a keytab file: changed, at rest, whole */

#include "auth/kerberos/keytab_file.h"
#include "auth/base/secret.h"

#include <apr_file_io.h>
#include <stdint.h>
#include <string.h>

#define REST apr_time_from_sec(2)

/* The format: two octets, then records, each after its length; negative ones are free space. */
#define MAGIC "\x05\x02"

struct eas_keytab_file eas_keytab_file_look(const char *path)
{
    struct eas_keytab_file file;
    apr_pool_t *scratch;
    apr_finfo_t finfo;

    memset(&file, 0, sizeof(file));
    apr_pool_create(&scratch, NULL);
    if (apr_stat(&finfo, path,
                 APR_FINFO_MTIME | APR_FINFO_CTIME | APR_FINFO_INODE | APR_FINFO_SIZE
                     | APR_FINFO_PROT,
                 scratch)
        == APR_SUCCESS) {
        file.mtime = finfo.mtime;
        file.ctime = finfo.ctime;
        file.inode = finfo.inode;
        file.size = finfo.size;
        file.is_exposed = eas_secret_is_exposed(finfo.protection);
    }
    apr_pool_destroy(scratch);
    return file;
}

bool eas_keytab_file_same(const struct eas_keytab_file *a, const struct eas_keytab_file *b)
{
    return a->mtime == b->mtime && a->inode == b->inode && a->size == b->size;
}

/* A time in the future is that of another clock. */
bool eas_keytab_file_at_rest(const struct eas_keytab_file *file, apr_time_t now)
{
    return now - file->ctime >= REST || file->ctime > now;
}

static bool read_records(apr_file_t *file)
{
    unsigned char octets[4];
    apr_size_t len;
    apr_finfo_t finfo;
    apr_off_t at = sizeof(MAGIC) - 1;

    if (apr_file_info_get(&finfo, APR_FINFO_SIZE, file) != APR_SUCCESS
        || apr_file_read_full(file, octets, sizeof(MAGIC) - 1, &len) != APR_SUCCESS
        || memcmp(octets, MAGIC, sizeof(MAGIC) - 1) != 0) {
        return false;
    }
    while (at < finfo.size) {
        int64_t size;

        if (apr_file_seek(file, APR_SET, &at) != APR_SUCCESS
            || apr_file_read_full(file, octets, sizeof(octets), &len) != APR_SUCCESS) {
            return false;
        }
        size = (int32_t)((uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16
                         | (uint32_t)octets[2] << 8 | octets[3]);
        if (size == 0) {
            return true; /* the end, before octets that do not count */
        }
        at += (apr_off_t)sizeof(octets) + (apr_off_t)(size < 0 ? -size : size);
    }
    return at == finfo.size;
}

bool eas_keytab_file_is_whole(const char *path)
{
    apr_pool_t *scratch;
    apr_file_t *file;
    bool whole = false;

    apr_pool_create(&scratch, NULL);
    if (apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, scratch) == APR_SUCCESS) {
        whole = read_records(file);
    }
    apr_pool_destroy(scratch);
    return whole;
}
