/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/keytab_share.c - keys of a keytab in memory that processes share, sealed */

#include "auth/kerberos/keytab_share.h"

#include <apr_strings.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* Some 700 keys, sealed. */
#define SEALED_MAX ((apr_size_t)64 << 10)
#define OVERHEAD 128

struct slot {
    uint32_t len;
    unsigned char sealed[SEALED_MAX];
};

/* A version has the slot of its last bit, so that its writer does not disturb readers of the last. */
struct memory {
    _Atomic(uint32_t) version; /* 0: none */
    struct slot slots[2];
};

struct eas_keytab_share {
    struct memory *memory;
    const struct eas_keyring *keyring;
    const char *binding;
    uint32_t seen; /* the version that this process has */
};

apr_size_t eas_keytab_share_size(void)
{
    return sizeof(struct memory);
}

struct eas_keytab_share *eas_keytab_share_create(apr_pool_t *pool, void *memory,
                                                 const struct eas_keyring *keyring,
                                                 const char *binding)
{
    struct eas_keytab_share *share = apr_pcalloc(pool, sizeof(*share));

    share->memory = memory;
    share->keyring = keyring;
    share->binding = binding;
    return share;
}

static const char *binding_of(apr_pool_t *pool, const struct eas_keytab_share *share,
                              uint32_t version)
{
    return apr_psprintf(pool, "%s\n%u", share->binding, (unsigned)version);
}

/* --- the keys as bytes: for each, its name with a NUL, version, type, length, octets ------------ */

struct key_head {
    uint32_t kvno;
    int32_t enctype;
    uint32_t len;
};

/* False if there is no room. */
static bool append(struct eas_secret *bytes, const void *at, apr_size_t len)
{
    if (len > SEALED_MAX - OVERHEAD - bytes->len) {
        return false;
    }
    memcpy(bytes->bytes + bytes->len, at, len);
    bytes->len += len;
    return true;
}

static bool append_entry(krb5_context ctx, struct eas_secret *bytes, const krb5_keytab_entry *entry)
{
    const struct key_head head = { entry->vno, entry->key.enctype, entry->key.length };
    char *name;
    bool fits;

    if (krb5_unparse_name(ctx, entry->principal, &name) != 0) {
        return false;
    }
    fits = append(bytes, name, strlen(name) + 1) && append(bytes, &head, sizeof(head))
           && append(bytes, entry->key.contents, entry->key.length);
    krb5_free_unparsed_name(ctx, name);
    return fits;
}

static bool write_keys(krb5_context ctx, krb5_keytab keys, struct eas_secret *bytes)
{
    krb5_keytab_entry entry;
    krb5_kt_cursor cursor;
    bool fits = true;

    bytes->len = 0;
    if (krb5_kt_start_seq_get(ctx, keys, &cursor) != 0) {
        return false;
    }
    while (fits && krb5_kt_next_entry(ctx, keys, &entry, &cursor) == 0) {
        fits = append_entry(ctx, bytes, &entry);
        krb5_free_keytab_entry_contents(ctx, &entry);
    }
    krb5_kt_end_seq_get(ctx, keys, &cursor);
    return fits && bytes->len > 0;
}

/* The entry of the bytes at *at, which moves behind it. */
static bool read_entry(krb5_context ctx, krb5_keytab into, const struct eas_secret *bytes,
                       apr_size_t *at)
{
    const char *name = bytes->bytes + *at, *nul = memchr(name, '\0', bytes->len - *at);
    apr_size_t behind = nul != NULL ? (apr_size_t)(nul + 1 - bytes->bytes) : bytes->len;
    krb5_keytab_entry entry;
    struct key_head head;
    bool done;

    if (bytes->len - behind < sizeof(head)) {
        return false;
    }
    memcpy(&head, bytes->bytes + behind, sizeof(head));
    behind += sizeof(head);
    memset(&entry, 0, sizeof(entry));
    if (head.len > bytes->len - behind || krb5_parse_name(ctx, name, &entry.principal) != 0) {
        return false;
    }
    entry.vno = head.kvno;
    entry.key.enctype = head.enctype;
    entry.key.length = head.len;
    entry.key.contents = (krb5_octet *)bytes->bytes + behind;
    done = krb5_kt_add_entry(ctx, into, &entry) == 0;
    krb5_free_principal(ctx, entry.principal);
    *at = behind + head.len;
    return done;
}

static bool read_keys(krb5_context ctx, krb5_keytab into, const struct eas_secret *bytes)
{
    apr_size_t at = 0;

    while (at < bytes->len) {
        if (!read_entry(ctx, into, bytes, &at)) {
            return false;
        }
    }
    return at > 0;
}

/* --- the memory ------------------------------------------------------------------------------- */

static enum eas_rc seal_keys(struct eas_keytab_share *share, apr_pool_t *scratch, krb5_context ctx,
                             krb5_keytab keys, struct eas_err *err)
{
    struct eas_secret *bytes = eas_secret_room(scratch, SEALED_MAX - OVERHEAD);
    uint32_t version = share->seen + 1;
    struct slot *slot = &share->memory->slots[version & 1];
    struct eas_bytes sealed;
    enum eas_rc rc;

    if (!write_keys(ctx, keys, bytes)) {
        return eas_fail(err, EAS_MISCONFIGURED, 1326,
                        "the keytab has too many keys to hand them to httpd's processes; reload "
                        "httpd, and leave only the gateway's account in it");
    }
    rc = eas_seal(share->keyring, scratch, EAS_SEAL_KEYTAB, binding_of(scratch, share, version),
                  eas_bytes_make(bytes->bytes, bytes->len), &sealed, err);
    if (rc == EAS_OK) {
        memcpy(slot->sealed, sealed.at, sealed.len);
        slot->len = (uint32_t)sealed.len;
        share->seen = version;
        atomic_store(&share->memory->version, version);
    }
    return rc;
}

enum eas_rc eas_keytab_share_put(struct eas_keytab_share *share, krb5_context ctx, krb5_keytab keys,
                                 struct eas_err *err)
{
    apr_pool_t *scratch;
    enum eas_rc rc;

    apr_pool_create(&scratch, NULL);
    rc = seal_keys(share, scratch, ctx, keys, err);
    apr_pool_destroy(scratch);
    return rc;
}

bool eas_keytab_share_is_newer(const struct eas_keytab_share *share)
{
    return atomic_load(&share->memory->version) != share->seen;
}

bool eas_keytab_share_get(struct eas_keytab_share *share, krb5_context ctx, krb5_keytab into)
{
    uint32_t version = atomic_load(&share->memory->version);
    const struct slot *slot = &share->memory->slots[version & 1];
    uint32_t len = slot->len;
    struct eas_secret *bytes;
    struct eas_err ignored;
    apr_pool_t *scratch;
    bool done;

    if (len > SEALED_MAX) {
        return false;
    }
    apr_pool_create(&scratch, NULL);
    done =
        eas_unseal(share->keyring, scratch, EAS_SEAL_KEYTAB, binding_of(scratch, share, version),
                   eas_bytes_make(apr_pmemdup(scratch, slot->sealed, len), len), &bytes, &ignored)
            == EAS_OK
        && read_keys(ctx, into, bytes);
    apr_pool_destroy(scratch);
    if (done) {
        share->seen = version;
    }
    return done;
}
