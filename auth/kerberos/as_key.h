/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/as_key.h - key of a password in an AS exchange, as a plugin of libkrb5 */

#ifndef EAS_AUTH_KERBEROS_AS_KEY_H
#define EAS_AUTH_KERBEROS_AS_KEY_H

#include "auth/kerberos/kdc_reply.h"

#include <krb5/clpreauth_plugin.h>

/*
 * libkrb5 makes the key of a password in five times the time of string_to_key.h.  It calls a plugin
 * of the interface clpreauth first, with the salt that the KDC names, also where FAST hides that
 * from the hooks.  This one hands the key over.  libkrb5 makes the key where the plugin does not:
 * for enctypes other than AES with SHA-1, and for users without pre-authentication.
 */

/* By its name, libkrb5 finds it in the module's file. */
krb5_error_code clpreauth_eas_kcd_initvt(krb5_context ctx, int major, int minor,
                                         krb5_plugin_vtable table);

/*
 * The contexts of this process load the plugin from now on.  Not for httpd's parent: libkrb5 keeps
 * the file, and a restart would not load a newer one.
 */
void eas_as_key_child_init(void);

/* The plugin as a value of krb5.conf; NULL before eas_as_key_child_init(). */
const char *eas_as_key_plugin(void);

/* The exchange that this thread runs from now on, or NULL. */
void eas_as_key_set_exchange(struct eas_kdc_as *as);

#endif
