# SPDX-License-Identifier: Apache-2.0
"""The trial of tokens at start-up, with libraries that are broken on purpose."""

import subprocess

import pytest

from lab.exchange import ask, location
from lab.sanitizer import LIBRARY

BROKEN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gssapi/gssapi.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static int broken(const char *what)
{
    return strstr(getenv("EAS_T_BROKEN"), what) != NULL;
}

/* Native tokens alone have this mode. */
int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *len, const unsigned char *in,
                     int in_len)
{
    int (*real)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
    int done;

    *(void **)&real = dlsym(RTLD_NEXT, "EVP_CipherUpdate");
    done = real(ctx, out, len, in, in_len);
    if (broken("cipher") && strstr(EVP_CIPHER_get0_name(EVP_CIPHER_CTX_get0_cipher(ctx)), "CTS")) {
        out[0] ^= 1;
    }
    return done;
}

OM_uint32 gss_acquire_cred_from(OM_uint32 *minor, gss_name_t name, OM_uint32 time, gss_OID_set mechs,
                                int usage, const void *store, gss_cred_id_t *cred,
                                gss_OID_set *actual, OM_uint32 *time_out)
{
    OM_uint32 (*real)(OM_uint32 *, gss_name_t, OM_uint32, gss_OID_set, int, const void *,
                      gss_cred_id_t *, gss_OID_set *, OM_uint32 *);

    if (broken(usage == GSS_C_ACCEPT ? "acceptor" : "initiator")) {
        *minor = 0;
        return GSS_S_UNAVAILABLE;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "gss_acquire_cred_from");
    return real(minor, name, time, mechs, usage, store, cred, actual, time_out);
}
"""


@pytest.fixture(scope="module")
def library(lab_dir):
    made = lab_dir / "libbroken.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", made], input=BROKEN, text=True,
                   check=True)
    return made


@pytest.fixture
def broken(gateway, library, backends):
    """broken(what, *lines): a gateway with a delegating Location and these broken libraries."""
    def make(what, *lines, **options):
        preload = " ".join(filter(None, (LIBRARY, str(library))))
        return gateway(location(backends("cas1").url, *lines), processes=1,
                       env={"LD_PRELOAD": preload, "EAS_T_BROKEN": what}, **options)
    return make


def test_sound(broken):
    assert ask(broken("nothing"), "/eas", "alice").status == 200


def test_native_tokens_that_gssapi_does_not_read(broken):
    """GSSAPI's are used instead: a backend would refuse these."""
    gw = broken("cipher")
    gw.expect("EAS3080")
    for _ in range(2):
        assert ask(gw, "/eas", "alice").status == 200
    entry, = [entry for entry in gw.error_log.entries() if entry.tag == "EAS3080"]
    assert entry.level == "crit" and "aes256-cts-hmac-sha1-96" in entry.text
    gw.graceful()
    assert ask(gw, "/eas", "alice").status == 200


@pytest.mark.parametrize("what, lines", [("acceptor", ()), ("cipher initiator", ()),
                                         ("initiator", ("EasKcdToken gssapi",)),
                                         ("initiator", ("</Location>", "<VirtualHost *:1>",
                                                        "EasKcdToken gssapi", "</VirtualHost>",
                                                        "<Location /open>"))])
def test_no_start_without_tokens(broken, what, lines):
    gw = broken(what, *lines, start=False)
    gw.expect("AH00020")
    assert "EAS3081" in gw.refusal()


def test_gssapi_that_nothing_uses(broken):
    gw = broken("initiator", "EasKcdToken native")
    assert ask(gw, "/eas", "alice").status == 200
