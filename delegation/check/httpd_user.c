/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/httpd_user.c - what httpd's children can read and reach */

#include "delegation/check/httpd_user.h"
#include "auth/kerberos/kdc.h"
#include "auth/kerberos/kdc_locate.h"

#include <apr_strings.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's exit status is a finding, or this. */
#define NOT_THE_USER 255

/* Those of Debian, of Fedora, and of others. */
static const char *const usual[] = { "www-data", "apache", "http", "httpd" };

static const struct passwd *find_user(const struct eas_options *options)
{
    const struct passwd *user = NULL;
    size_t i;

    if (options->httpd_user != NULL) {
        return *options->httpd_user == '#'
                   ? getpwuid((uid_t)strtoul(options->httpd_user + 1, NULL, 10))
                   : getpwnam(options->httpd_user);
    }
    for (i = 0; user == NULL && i < sizeof(usual) / sizeof(usual[0]); i++) {
        user = getpwnam(usual[i]);
    }
    return user;
}

static bool become(const struct passwd *user)
{
    return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0
           && setuid(user->pw_uid) == 0;
}

/* Each file that KRB5_CONFIG names is there for root, and must be readable. */
static bool can_read(apr_pool_t *pool)
{
    const char *files = getenv("KRB5_CONFIG");
    char *state, *file = apr_strtok(apr_pstrdup(pool, files != NULL ? files : "/etc/krb5.conf"),
                                    ":", &state);

    for (; file != NULL; file = apr_strtok(NULL, ":", &state)) {
        if (access(file, R_OK) != 0 && errno != ENOENT) {
            return false;
        }
    }
    return true;
}

static enum eas_finding try_as_user(const struct eas_check *check)
{
    const krb5_data *realm = &eas_keytab_principal(check->keytab)->realm;
    struct eas_kdc_addresses addresses;
    enum eas_finding finding = EAS_FINDING_NONE;
    enum eas_kdc_located located;
    struct eas_err err;
    struct eas_kdc kdc;

    if (!can_read(check->pool)
        || eas_kdc_open(&kdc, NULL, check->options->timeout, &err) != EAS_OK) {
        return EAS_FINDING_KRB5_CONF;
    }
    located =
        eas_kdc_locate(kdc.profile->files, apr_pstrmemdup(check->pool, realm->data, realm->length),
                       eas_kdc_locate_has_plugin(), kdc.until, &addresses);
    finding = located == EAS_KDC_LOCATED_NONE  ? EAS_FINDING_KDC_NONE
              : located == EAS_KDC_LOCATED_NOT ? EAS_FINDING_DNS
                                               : EAS_FINDING_NONE;
    eas_kdc_close(&kdc);
    return finding;
}

static int run_as(const struct eas_check *check, const struct passwd *user)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        _exit(become(user) ? (int)try_as_user(check) : NOT_THE_USER);
    }
    return child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)
               ? NOT_THE_USER
               : WEXITSTATUS(status);
}

void eas_httpd_user_check(struct eas_check *check)
{
    const struct passwd *user = geteuid() == 0 ? find_user(check->options) : NULL;
    const char *wanted = check->options->httpd_user;
    int result;

    if (user == NULL) {
        if (geteuid() == 0 && wanted != NULL) {
            eas_report_begin(check->report, "httpd's user", wanted);
            eas_report_skip(check->report, "this machine has no such user");
        }
        return;
    }
    eas_report_begin(check->report, "httpd's user", user->pw_name);
    result = run_as(check, user);
    if (result == EAS_FINDING_NONE) {
        eas_report_pass(check->report, "reads krb5.conf and finds the KDCs");
    }
    else if (result < EAS_FINDING_COUNT) {
        eas_report_find(check->report, (enum eas_finding)result, &check->names, "");
    }
    else {
        eas_report_skip(check->report, "this process cannot become that user");
    }
}
