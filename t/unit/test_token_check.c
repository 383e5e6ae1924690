/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_token_check.c - the check of tokens at start-up, with broken libraries, too */

#include "t/unit/krb5_files.h"
#include "t/unit/unit.h"

#include "delegation/kerberos/token_check.h"

#include <dlfcn.h>
#include <gssapi/gssapi.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/socket.h>

static struct {
    bool encryption;
    bool decryption;
    bool acceptor;
    bool flags;
} broken;
static int accepted, sockets;

/* Native tokens use it for AES with SHA-1; libk5crypto has a cipher of its own. */
int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *len, const unsigned char *in,
                     int in_len)
{
    int (*real)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
    int done;

    *(void **)&real = dlsym(RTLD_NEXT, "EVP_CipherUpdate");
    done = real(ctx, out, len, in, in_len);
    out[0] ^= EVP_CIPHER_CTX_is_encrypting(ctx) ? broken.encryption : broken.decryption;
    return done;
}

OM_uint32 gss_accept_sec_context(OM_uint32 *minor, gss_ctx_id_t *context, gss_cred_id_t cred,
                                 gss_buffer_t token, gss_channel_bindings_t channel,
                                 gss_name_t *name, gss_OID *mech, gss_buffer_t out,
                                 OM_uint32 *flags, OM_uint32 *time, gss_cred_id_t *delegated)
{
    OM_uint32 (*real)(OM_uint32 *, gss_ctx_id_t *, gss_cred_id_t, gss_buffer_t,
                      gss_channel_bindings_t, gss_name_t *, gss_OID *, gss_buffer_t, OM_uint32 *,
                      OM_uint32 *, gss_cred_id_t *);
    static int depth;
    OM_uint32 major;

    if (broken.acceptor) {
        *minor = 0;
        return GSS_S_DEFECTIVE_TOKEN;
    }
    accepted += depth == 0;
    depth++; /* SPNEGO calls it for Kerberos */
    *(void **)&real = dlsym(RTLD_NEXT, "gss_accept_sec_context");
    major = real(minor, context, cred, token, channel, name, mech, out, flags, time, delegated);
    depth--;
    if (broken.flags && depth == 0 && flags != NULL) {
        *flags &= ~(OM_uint32)GSS_C_MUTUAL_FLAG;
    }
    return major;
}

int socket(int domain, int type, int protocol)
{
    int (*real)(int, int, int);

    *(void **)&real = dlsym(RTLD_NEXT, "socket");
    sockets++;
    return real(domain, type, protocol);
}

static int start_test(void **state)
{
    memset(&broken, 0, sizeof(broken));
    accepted = sockets = 0;
    return unit_make_pool(state);
}

static void permit(const char *enctypes)
{
    char conf[256];

    snprintf(conf, sizeof(conf), "[libdefaults]\n    permitted_enctypes = %s\n", enctypes);
    assert_int_equal(krb5_write_file("krb5.conf", conf, strlen(conf)), 0);
}

static void assert_failure(const char *words, const char *enctype, const char *reason)
{
    assert_non_null(words);
    assert_non_null(strstr(words, enctype));
    assert_non_null(strstr(words, reason));
}

static void test_sound_libraries(void **state)
{
    assert_null(eas_token_check(*state, EAS_TOKEN_NATIVE));
    assert_int_equal(accepted, 8); /* AES of two lengths, with two hashes; right and damaged */
    assert_null(eas_token_check(*state, EAS_TOKEN_GSSAPI));
    assert_int_equal(accepted, 16);
    assert_int_equal(sockets, 0);
}

static void test_token_that_gssapi_does_not_read(void **state)
{
    broken.encryption = true;
    assert_failure(eas_token_check(*state, EAS_TOKEN_NATIVE), "aes256-cts-hmac-sha1-96",
                   "integrity");
    assert_null(eas_token_check(*state, EAS_TOKEN_GSSAPI));
}

static void test_reply_that_is_not_verified(void **state)
{
    broken.decryption = true;
    assert_failure(eas_token_check(*state, EAS_TOKEN_NATIVE), "aes256-cts-hmac-sha1-96",
                   "mutual authentication failed");
    assert_null(eas_token_check(*state, EAS_TOKEN_GSSAPI));
}

static void test_acceptor_that_reads_nothing(void **state)
{
    broken.acceptor = true;
    assert_failure(eas_token_check(*state, EAS_TOKEN_NATIVE), "aes256", "Invalid token");
    assert_failure(eas_token_check(*state, EAS_TOKEN_GSSAPI), "aes256", "Invalid token");
}

static void test_token_without_mutual_authentication(void **state)
{
    broken.flags = true;
    assert_failure(eas_token_check(*state, EAS_TOKEN_NATIVE), "aes256", "other flags");
    assert_failure(eas_token_check(*state, EAS_TOKEN_GSSAPI), "aes256", "other flags");
}

/* GSSAPI refuses the enctypes that krb5.conf does not permit. */
static void test_permitted_enctypes(void **state)
{
    permit("aes128-cts-hmac-sha256-128 arcfour-hmac");
    assert_null(eas_token_check(*state, EAS_TOKEN_NATIVE));
    assert_null(eas_token_check(*state, EAS_TOKEN_GSSAPI));
    assert_int_equal(accepted, 4);
}

#define CHECK_TEST(test) cmocka_unit_test_setup_teardown(test, start_test, unit_destroy_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(test_sound_libraries),
        CHECK_TEST(test_token_that_gssapi_does_not_read),
        CHECK_TEST(test_reply_that_is_not_verified),
        CHECK_TEST(test_acceptor_that_reads_nothing),
        CHECK_TEST(test_token_without_mutual_authentication),
        CHECK_TEST(test_permitted_enctypes), /* the last: it changes krb5.conf */
    };

    return cmocka_run_group_tests(tests, krb5_files_start, krb5_files_end);
}
