/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/options.h - command line of eas-kcd-check */

#ifndef EAS_DELEGATION_CHECK_OPTIONS_H
#define EAS_DELEGATION_CHECK_OPTIONS_H

#include "auth/kerberos/armor.h"

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <stdbool.h>

struct eas_options {
    const char *conf;            /* -c: httpd.conf, or NULL */
    const char *httpd;           /* --httpd: the program that reads it; NULL: the first one found */
    const char *keytab;          /* -k */
    const char *principal;       /* -p, or NULL */
    const char *realm;           /* -r, or NULL */
    const char *user;            /* -u */
    apr_array_header_t *spns;    /* -s: of const char * */
    apr_array_header_t *domains; /* -d NAME=REALM: of struct eas_domain */
    const char *connect;         /* --connect: a URL, or NULL */
    const char *ca_file;         /* --ca-file: of the backend's certificate; NULL: OpenSSL's */
    const char *httpd_user;      /* --httpd-user */
    bool password;               /* --password */
    enum eas_armor_mode armor;   /* EasKcdArmor */
    bool transition;             /* --transition: EasKcdProtocolTransition is On */
    bool json;                   /* --json */
    apr_interval_time_t timeout; /* --timeout */
};

enum eas_options_result { EAS_OPTIONS_RUN, EAS_OPTIONS_SHOWN, EAS_OPTIONS_WRONG };

/* SHOWN: help or version was asked for and has been printed.  WRONG: a message has been printed. */
enum eas_options_result eas_options_parse(apr_pool_t *pool, int argc, const char *const *argv,
                                          struct eas_options *options_out);

#endif
