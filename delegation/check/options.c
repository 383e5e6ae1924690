/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/options.c - command line of eas-kcd-check */

#include "delegation/check/options.h"
#include "auth/base/duration.h"
#include "auth/identity.h"
#include "delegation/check/http.h"
#include "delegation/kerberos/spn.h"

#include <apr_file_io.h>
#include <apr_getopt.h>
#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_TIMEOUT apr_time_from_sec(5)

enum { CONNECT = 256, CA_FILE, HTTPD, HTTPD_USER, JSON, PASSWORD, TIMEOUT, TRANSITION, VERSION };

static const apr_getopt_option_t known[] = {
    { "conf", 'c', 1, NULL },        { "domain", 'd', 1, NULL },
    { "help", 'h', 0, NULL },        { "keytab", 'k', 1, NULL },
    { "principal", 'p', 1, NULL },   { "realm", 'r', 1, NULL },
    { "spn", 's', 1, NULL },         { "user", 'u', 1, NULL },
    { "connect", CONNECT, 1, NULL }, { "ca-file", CA_FILE, 1, NULL },
    { "httpd", HTTPD, 1, NULL },     { "httpd-user", HTTPD_USER, 1, NULL },
    { "json", JSON, 0, NULL },       { "password", PASSWORD, 0, NULL },
    { "timeout", TIMEOUT, 1, NULL }, { "transition", TRANSITION, 0, NULL },
    { "version", VERSION, 0, NULL }, { NULL, 0, 0, NULL },
};

static const char usage[] =
    "Usage: eas-kcd-check -k KEYTAB [-p PRINCIPAL] -u USER -s SPN ... [OPTION ...]\n"
    "       eas-kcd-check -c HTTPD.CONF -u USER [OPTION ...]\n"
    "\n"
    "Walks the whole way from the keytab to the backend, and names the first thing that is wrong.\n"
    "\n"
    "  -k, --keytab FILE       the gateway's keytab\n"
    "  -p, --principal NAME    its principal, as EasKcdPrincipal\n"
    "  -r, --realm REALM       the realm of users, as EasKcdRealm\n"
    "  -d, --domain NAME=REALM a domain or UPN suffix, as EasKcdDomain; repeatable\n"
    "  -u, --user USER         the user to act for\n"
    "  -s, --spn SPN           a backend's SPN, such as HTTP/cas1.corp.example.com; repeatable\n"
    "  -c, --conf FILE         takes keytab, principal, realm, domains and SPNs from httpd's\n"
    "                          configuration, as httpd reads it\n"
    "      --httpd PROGRAM     the program that reads it; default: apache2ctl, apachectl or httpd\n"
    "      --httpd-user NAME   httpd's user, for whom root tries, too\n"
    "      --connect URL       sends a request with a token to a backend, whose SPN is the\n"
    "                          one with its host, or the only one\n"
    "      --ca-file FILE      authorities of the backend's certificate, in PEM\n"
    "      --password          asks for the user's password, and logs the user on\n"
    "      --transition        EasKcdProtocolTransition is On\n"
    "      --timeout DURATION  for each step; default: 5s\n"
    "      --json              prints JSON\n"
    "\n"
    "Exit status: 0 every step passed, 1 a finding, 2 usage.\n";

static bool add_domain(apr_pool_t *pool, struct eas_options *options, const char *value)
{
    const char *equals = strchr(value, '=');
    struct eas_domain *domain;

    if (equals == NULL || equals == value || equals[1] == '\0') {
        return false;
    }
    domain = apr_array_push(options->domains);
    domain->name = apr_pstrmemdup(pool, value, (apr_size_t)(equals - value));
    domain->realm = equals + 1;
    return true;
}

static bool set_url(apr_pool_t *pool, struct eas_options *options, const char *value)
{
    struct eas_http_target ignored;

    options->connect = value;
    return eas_http_parse(pool, value, &ignored);
}

static bool add_spn(struct eas_options *options, const char *value)
{
    APR_ARRAY_PUSH(options->spns, const char *) = value;
    return strchr(value, '%') == NULL && eas_spn_check(value) == NULL;
}

static bool is_readable(apr_pool_t *pool, const char *path)
{
    apr_file_t *file;

    return apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool) == APR_SUCCESS
           && apr_file_close(file) == APR_SUCCESS;
}

/* False if the value is wrong. */
static bool take_flag(struct eas_options *options, int option)
{
    switch (option) {
    case JSON:
        return options->json = true;
    case PASSWORD:
        return options->password = true;
    case TRANSITION:
        return options->transition = true;
    default:
        return false;
    }
}

static bool take(apr_pool_t *pool, struct eas_options *options, int option, const char *value)
{
    switch (option) {
    case 'c':
        return (options->conf = value) != NULL;
    case 'd':
        return add_domain(pool, options, value);
    case 'k':
        return (options->keytab = value) != NULL;
    case 'p':
        return (options->principal = value) != NULL;
    case 'r':
        return (options->realm = value) != NULL;
    case 's':
        return add_spn(options, value);
    case 'u':
        return (options->user = value) != NULL;
    case CONNECT:
        return set_url(pool, options, value);
    case CA_FILE:
        return is_readable(pool, options->ca_file = value);
    case HTTPD:
        return (options->httpd = value) != NULL;
    case HTTPD_USER:
        return (options->httpd_user = value) != NULL;
    case TIMEOUT:
        return eas_duration_parse(value, &options->timeout) && options->timeout > 0;
    default:
        return take_flag(options, option);
    }
}

static const char *missing(const struct eas_options *options)
{
    if (options->conf != NULL
        && (options->principal != NULL || options->realm != NULL || options->spns->nelts > 0
            || options->domains->nelts > 0)) {
        return "-c excludes -p, -r, -d and -s";
    }
    if (options->conf == NULL && options->keytab == NULL) {
        return "-k KEYTAB or -c HTTPD.CONF is missing";
    }
    if (options->user == NULL) {
        return "-u USER is missing";
    }
    if (options->conf == NULL && options->spns->nelts == 0) {
        return "-s SPN is missing";
    }
    if (options->conf != NULL && options->keytab != NULL) {
        return "-c and -k exclude each other";
    }
    return NULL;
}

static enum eas_options_result wrong(const char *text, const char *value)
{
    fprintf(stderr, "eas-kcd-check: %s%s\nTry eas-kcd-check --help.\n", text, value);
    return EAS_OPTIONS_WRONG;
}

enum eas_options_result eas_options_parse(apr_pool_t *pool, int argc, const char *const *argv,
                                          struct eas_options *options_out)
{
    apr_getopt_t *getopt;
    const char *value, *lack;
    int option;
    apr_status_t status;

    memset(options_out, 0, sizeof(*options_out));
    options_out->timeout = DEFAULT_TIMEOUT;
    options_out->armor = EAS_ARMOR_TRY;
    options_out->spns = apr_array_make(pool, 4, sizeof(const char *));
    options_out->domains = apr_array_make(pool, 4, sizeof(struct eas_domain));
    apr_getopt_init(&getopt, pool, argc, argv);
    while ((status = apr_getopt_long(getopt, known, &option, &value)) == APR_SUCCESS) {
        if (option == 'h' || option == VERSION) {
            fputs(option == 'h' ? usage : "eas-kcd-check " EAS_KCD_VERSION "\n", stdout);
            return EAS_OPTIONS_SHOWN;
        }
        if (!take(pool, options_out, option, value)) {
            return wrong("wrong value: ", value);
        }
    }
    if (status != APR_EOF) {
        return EAS_OPTIONS_WRONG; /* APR has printed the reason */
    }
    if (getopt->ind < argc) {
        return wrong("unexpected: ", argv[getopt->ind]);
    }
    lack = missing(options_out);
    return lack != NULL ? wrong(lack, "") : EAS_OPTIONS_RUN;
}
