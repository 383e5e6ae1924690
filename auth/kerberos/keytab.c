/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab.c - Keytab of the gateway, in memory */

#include "auth/kerberos/keytab.h"
#include "auth/kerberos/keytab_file.h"
#include "auth/base/thread.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A memory keytab that was replaced.  Other threads may use it. */
struct replaced {
    krb5_keytab handle;
    struct replaced *older;
};

struct eas_keytab {
    const char *path;
    const char *resolve_name; /* the path with libkrb5's prefix */
    krb5_context ctx;         /* for load and, under the mutex, replacement; not for exchanges */
    krb5_principal principal;
    const char *principal_name;
    apr_thread_mutex_t *mutex; /* protects ctx and the members below */
    krb5_keytab handle;
    struct replaced *replaced;
    unsigned made;                    /* memory keytabs so far, for their names */
    struct eas_keytab_share *share;   /* NULL: none */
    struct eas_keytab_file in_memory; /* of the parent process, as the next one */
    struct eas_keytab_file refused;   /* a later state, which is logged */
    atomic_bool was_replaced;
};

static apr_status_t keytab_cleanup(void *data)
{
    struct eas_keytab *keytab = data;
    struct replaced *replaced;

    while ((replaced = keytab->replaced) != NULL) {
        keytab->replaced = replaced->older;
        krb5_kt_close(keytab->ctx, replaced->handle);
        free(replaced);
    }
    if (keytab->handle != NULL) {
        krb5_kt_close(keytab->ctx, keytab->handle);
    }
    krb5_free_principal(keytab->ctx, keytab->principal);
    krb5_free_context(keytab->ctx);
    return APR_SUCCESS;
}

static bool is_service(krb5_const_principal principal)
{
    return principal->length > 1;
}

/* Copies all entries.  *preferred is the first that is no service principal, else the first. */
static krb5_error_code copy_entries(krb5_context ctx, krb5_keytab file, krb5_keytab memory,
                                    krb5_principal *preferred)
{
    krb5_kt_cursor cursor;
    krb5_keytab_entry entry;
    krb5_error_code code = krb5_kt_start_seq_get(ctx, file, &cursor);

    if (code != 0) {
        return code;
    }
    while ((code = krb5_kt_next_entry(ctx, file, &entry, &cursor)) == 0) {
        code = krb5_kt_add_entry(ctx, memory, &entry);
        if (code == 0
            && (*preferred == NULL || (is_service(*preferred) && !is_service(entry.principal)))) {
            krb5_free_principal(ctx, *preferred);
            code = krb5_copy_principal(ctx, entry.principal, preferred);
        }
        krb5_free_keytab_entry_contents(ctx, &entry);
        if (code != 0) {
            break;
        }
    }
    krb5_kt_end_seq_get(ctx, file, &cursor);
    return code == KRB5_KT_END ? 0 : code;
}

/*
 * libkrb5 keeps memory keytabs by name in a table of the process; the object's address, the time and a
 * number make the name unique.
 */
static krb5_error_code make_memory(struct eas_keytab *keytab, krb5_keytab *memory_out)
{
    char name[80];

    apr_snprintf(name, sizeof(name), "MEMORY:eas-kcd-%pp-%" APR_TIME_T_FMT "-%u", (void *)keytab,
                 apr_time_now(), keytab->made++);
    return krb5_kt_resolve(keytab->ctx, name, memory_out);
}

/* Reads the file into a new memory keytab. */
static krb5_error_code read_file(struct eas_keytab *keytab, krb5_keytab *memory_out,
                                 krb5_principal *preferred)
{
    krb5_context ctx = keytab->ctx;
    krb5_keytab file = NULL, memory = NULL;
    krb5_error_code code = krb5_kt_resolve(ctx, keytab->resolve_name, &file);

    if (code == 0) {
        code = make_memory(keytab, &memory);
    }
    if (code == 0) {
        code = copy_entries(ctx, file, memory, preferred);
    }
    if (file != NULL) {
        krb5_kt_close(ctx, file);
    }
    if (code != 0 && memory != NULL) {
        krb5_kt_close(ctx, memory);
        memory = NULL;
    }
    *memory_out = memory;
    return code;
}

static krb5_error_code has_key(krb5_context ctx, krb5_keytab handle, krb5_const_principal principal)
{
    krb5_keytab_entry entry;
    krb5_error_code code = krb5_kt_get_entry(ctx, handle, principal, 0, 0, &entry);

    if (code == 0) {
        krb5_free_keytab_entry_contents(ctx, &entry);
    }
    return code;
}

static enum eas_rc fail(struct eas_keytab *keytab, krb5_error_code code, int tag, const char *cure,
                        struct eas_err *err)
{
    const char *message = krb5_get_error_message(keytab->ctx, code);

    eas_fail(err, EAS_MISCONFIGURED, tag, "keytab %s: %s; %s", keytab->path, message, cure);
    krb5_free_error_message(keytab->ctx, message);
    return EAS_MISCONFIGURED;
}

static enum eas_rc choose_principal(apr_pool_t *pool, struct eas_keytab *keytab, const char *wanted,
                                    krb5_principal preferred, struct eas_err *err)
{
    krb5_context ctx = keytab->ctx;
    krb5_error_code code;
    char *name;

    if (wanted != NULL) {
        code = krb5_parse_name(ctx, wanted, &keytab->principal);
    }
    else {
        code = krb5_copy_principal(ctx, preferred, &keytab->principal);
    }
    if (code != 0) {
        return fail(keytab, code, 3002, "EasKcdPrincipal must be a principal such as gateway@REALM",
                    err);
    }
    code = has_key(ctx, keytab->handle, keytab->principal);
    if (code != 0) {
        return fail(keytab, code, 3003,
                    "export the gateway account's key under its own name, or name by "
                    "EasKcdPrincipal an entry that `klist -k` shows",
                    err);
    }
    code = krb5_unparse_name(ctx, keytab->principal, &name);
    if (code != 0) {
        return fail(keytab, code, 3004, "libkrb5 cannot print the principal", err);
    }
    keytab->principal_name = apr_pstrdup(pool, name);
    krb5_free_unparsed_name(ctx, name);
    return EAS_OK;
}

const char *eas_keytab_path(const char *name)
{
    static const char *const files[] = { "FILE:", "WRFILE:" };
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strncmp(name, files[i], strlen(files[i])) == 0) {
            return name + strlen(files[i]);
        }
    }
    return colon == NULL || (slash != NULL && slash < colon) ? name : NULL;
}

enum eas_rc eas_keytab_load(apr_pool_t *pool, const char *name, const char *principal,
                            struct eas_keytab **out, struct eas_err *err)
{
    struct eas_keytab *keytab = apr_pcalloc(pool, sizeof(*keytab));
    const char *path = eas_keytab_path(name);
    krb5_principal preferred = NULL;
    krb5_error_code code;
    enum eas_rc rc;

    if (path == NULL) {
        return eas_fail(err, EAS_MISCONFIGURED, 3121,
                        "keytab %s: keys are read from a file only; write its path", name);
    }
    keytab->path = apr_pstrdup(pool, path);
    keytab->resolve_name = apr_pstrcat(pool, "FILE:", path, NULL);
    code = krb5_init_context(&keytab->ctx);
    if (code != 0) {
        return fail(keytab, code, 3000,
                    "libkrb5 cannot start; check that krb5.conf is readable and valid", err);
    }
    apr_pool_cleanup_register(pool, keytab, keytab_cleanup, apr_pool_cleanup_null);
    keytab->mutex = eas_thread_make_mutex(pool);
    keytab->in_memory = keytab->refused = eas_keytab_file_look(path);
    code = read_file(keytab, &keytab->handle, &preferred);
    if (code == 0 && preferred == NULL) {
        code = KRB5_KT_NOTFOUND;
    }
    if (code != 0) {
        rc = fail(keytab, code, 3001,
                  "EasKcdKeytab must name a keytab of the gateway's account (ktpass, or "
                  "`samba-tool domain exportkeytab`)",
                  err);
    }
    else if (keytab->in_memory.is_exposed) {
        rc = eas_fail(err, EAS_MISCONFIGURED, 3006,
                      "keytab %s is readable by all users or writable by other users; chmod 600",
                      path);
    }
    else {
        rc = choose_principal(pool, keytab, principal, preferred, err);
    }
    krb5_free_principal(keytab->ctx, preferred);
    if (rc == EAS_OK) {
        *out = keytab;
    }
    return rc;
}

/* Under the mutex.  The old handle is closed with the pool, because other threads may use it. */
static krb5_error_code replace(struct eas_keytab *keytab, krb5_keytab current)
{
    krb5_error_code code = has_key(keytab->ctx, current, keytab->principal);
    struct replaced *replaced = code == 0 ? malloc(sizeof(*replaced)) : NULL;

    if (replaced == NULL) {
        krb5_kt_close(keytab->ctx, current);
        return code != 0 ? code : ENOMEM;
    }
    *replaced = (struct replaced){ keytab->handle, keytab->replaced };
    keytab->replaced = replaced;
    keytab->handle = current;
    atomic_store(&keytab->was_replaced, true);
    return 0;
}

/* Under the mutex. */
static enum eas_rc read_again(struct eas_keytab *keytab, const struct eas_keytab_file *file,
                              struct eas_err *err)
{
    krb5_principal unused = NULL;
    krb5_keytab current = NULL;
    krb5_error_code code;

    if (file->inode == 0 || file->is_exposed || !eas_keytab_file_is_whole(keytab->path)) {
        return eas_fail(err, EAS_MISCONFIGURED, 1324,
                        "the keytab %s %s; the keys read before stay in use", keytab->path,
                        file->inode == 0   ? "is gone: put it back"
                        : file->is_exposed ? "is readable by all users or writable by other users: "
                                             "chmod 600"
                                           : "is damaged, or half of one: write it again");
    }
    code = read_file(keytab, &current, &unused);
    krb5_free_principal(keytab->ctx, unused);
    code = code == 0 ? replace(keytab, current) : code;
    return code == 0 ? EAS_OK
                     : fail(keytab, code, 1327,
                            "the keys read before stay in use; export the account's key again, "
                            "under the same name",
                            err);
}

bool eas_keytab_reread(struct eas_keytab *keytab, struct eas_err *err)
{
    struct eas_keytab_file file = eas_keytab_file_look(keytab->path);
    bool is_news = false;

    apr_thread_mutex_lock(keytab->mutex);
    if (eas_keytab_file_same(&file, &keytab->in_memory)) {
        keytab->refused = file;
    }
    else if (eas_keytab_file_at_rest(&file, apr_time_now())
             && !(eas_keytab_file_same(&file, &keytab->refused)
                  && file.ctime == keytab->refused.ctime)) {
        is_news = true;
        keytab->refused = file;
        err->rc = read_again(keytab, &file, err);
        if (err->rc == EAS_OK) {
            keytab->in_memory = file;
            if (keytab->share != NULL) {
                eas_keytab_share_put(keytab->share, keytab->ctx, keytab->handle, err);
            }
        }
    }
    apr_thread_mutex_unlock(keytab->mutex);
    return is_news;
}

void eas_keytab_attach(struct eas_keytab *keytab, struct eas_keytab_share *share)
{
    keytab->share = share;
}

void eas_keytab_refresh(struct eas_keytab *keytab)
{
    krb5_keytab current;

    apr_thread_mutex_lock(keytab->mutex);
    if (keytab->share != NULL && eas_keytab_share_is_newer(keytab->share)
        && make_memory(keytab, &current) == 0) {
        if (eas_keytab_share_get(keytab->share, keytab->ctx, current)) {
            replace(keytab, current);
        }
        else {
            krb5_kt_close(keytab->ctx, current);
        }
    }
    apr_thread_mutex_unlock(keytab->mutex);
}

bool eas_keytab_was_replaced(struct eas_keytab *keytab)
{
    return atomic_load(&keytab->was_replaced) && atomic_exchange(&keytab->was_replaced, false);
}

krb5_keytab eas_keytab_handle(struct eas_keytab *keytab)
{
    krb5_keytab handle;

    apr_thread_mutex_lock(keytab->mutex);
    handle = keytab->handle;
    apr_thread_mutex_unlock(keytab->mutex);
    return handle;
}

/* The keys in memory, compared with that of a ticket. */
struct comparison {
    krb5_kvno newest;
    bool has_version;
    bool has_key; /* of that version and encryption type */
};

static void compare_keys(const struct eas_keytab *keytab, krb5_context ctx,
                         const krb5_enc_data *encrypted, struct comparison *found)
{
    krb5_kt_cursor cursor;
    krb5_keytab_entry entry;

    memset(found, 0, sizeof(*found));
    if (krb5_kt_start_seq_get(ctx, keytab->handle, &cursor) != 0) {
        return;
    }
    while (krb5_kt_next_entry(ctx, keytab->handle, &entry, &cursor) == 0) {
        if (krb5_principal_compare(ctx, entry.principal, keytab->principal)) {
            bool is_version = entry.vno == encrypted->kvno;

            found->newest = entry.vno > found->newest ? entry.vno : found->newest;
            found->has_version = found->has_version || is_version;
            found->has_key =
                found->has_key || (is_version && entry.key.enctype == encrypted->enctype);
        }
        krb5_free_keytab_entry_contents(ctx, &entry);
    }
    krb5_kt_end_seq_get(ctx, keytab->handle, &cursor);
}

static const char *explain(apr_pool_t *pool, const struct comparison *found,
                           const krb5_enc_data *encrypted)
{
    char enctype[64] = "an unknown encryption type";

    if (!found->has_version) {
        return apr_psprintf(pool,
                            found->newest > encrypted->kvno
                                ? "it has key version %u, which the keytab lacks beside version "
                                  "%u; the domain controller may not know the new password yet: "
                                  "keep the old key in the keytab, too"
                                : "it has key version %u, and the keytab %u at most; the keytab is "
                                  "older than the account's password: export it again",
                            encrypted->kvno, found->newest);
    }
    if (!found->has_key) {
        krb5_enctype_to_name(encrypted->enctype, FALSE, enctype, sizeof(enctype));
        return apr_psprintf(pool,
                            "the keytab has no key of %s in version %u; export it again with all "
                            "encryption types of the account (ktpass -crypto ALL)",
                            enctype, encrypted->kvno);
    }
    return apr_psprintf(pool,
                        "the keytab's key of version %u is another one: it was made from another "
                        "password or salt (export it again), or a host spoofs the KDC",
                        encrypted->kvno);
}

const char *eas_keytab_explain(struct eas_keytab *keytab, krb5_context ctx, apr_pool_t *pool,
                               const krb5_data *ticket)
{
    krb5_ticket *decoded;
    struct comparison found;
    const char *text;

    if (krb5_decode_ticket(ticket, &decoded) != 0) {
        return "it is no ticket";
    }
    apr_thread_mutex_lock(keytab->mutex);
    compare_keys(keytab, ctx, &decoded->enc_part, &found);
    text = explain(pool, &found, &decoded->enc_part);
    apr_thread_mutex_unlock(keytab->mutex);
    krb5_free_ticket(ctx, decoded);
    return text;
}

bool eas_keytab_has_only_rc4(struct eas_keytab *keytab)
{
    krb5_kt_cursor cursor;
    krb5_keytab_entry entry;
    bool only = true;

    apr_thread_mutex_lock(keytab->mutex);
    if (krb5_kt_start_seq_get(keytab->ctx, keytab->handle, &cursor) == 0) {
        while (krb5_kt_next_entry(keytab->ctx, keytab->handle, &entry, &cursor) == 0) {
            only = only
                   && (entry.key.enctype == ENCTYPE_ARCFOUR_HMAC
                       || !krb5_principal_compare(keytab->ctx, entry.principal, keytab->principal));
            krb5_free_keytab_entry_contents(keytab->ctx, &entry);
        }
        krb5_kt_end_seq_get(keytab->ctx, keytab->handle, &cursor);
    }
    apr_thread_mutex_unlock(keytab->mutex);
    return only;
}

krb5_const_principal eas_keytab_principal(const struct eas_keytab *keytab)
{
    return keytab->principal;
}

const char *eas_keytab_principal_name(const struct eas_keytab *keytab)
{
    return keytab->principal_name;
}

static const char *add_key(apr_pool_t *pool, const char *text, const krb5_keytab_entry *entry,
                           krb5_kvno last)
{
    char name[64];

    if (krb5_enctype_to_name(entry->key.enctype, FALSE, name, sizeof(name)) != 0) {
        apr_snprintf(name, sizeof(name), "type %d", (int)entry->key.enctype);
    }
    return *text != '\0' && entry->vno == last
               ? apr_pstrcat(pool, text, ", ", name, NULL)
               : apr_psprintf(pool, "%s%skvno %u: %s", text, *text != '\0' ? "; " : "",
                              (unsigned)entry->vno, name);
}

/* Under the mutex, because of ctx. */
static const char *list_keys(struct eas_keytab *keytab, apr_pool_t *pool)
{
    const char *text = "";
    krb5_keytab_entry entry;
    krb5_kt_cursor cursor;
    krb5_kvno last = 0;

    if (krb5_kt_start_seq_get(keytab->ctx, keytab->handle, &cursor) != 0) {
        return text;
    }
    while (krb5_kt_next_entry(keytab->ctx, keytab->handle, &entry, &cursor) == 0) {
        if (krb5_principal_compare(keytab->ctx, entry.principal, keytab->principal)) {
            text = add_key(pool, text, &entry, last);
            last = entry.vno;
        }
        krb5_free_keytab_entry_contents(keytab->ctx, &entry);
    }
    krb5_kt_end_seq_get(keytab->ctx, keytab->handle, &cursor);
    return text;
}

const char *eas_keytab_keys(struct eas_keytab *keytab, apr_pool_t *pool)
{
    const char *text;

    apr_thread_mutex_lock(keytab->mutex);
    text = list_keys(keytab, pool);
    apr_thread_mutex_unlock(keytab->mutex);
    return text;
}
