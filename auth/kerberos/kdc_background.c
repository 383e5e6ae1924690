/* SPDX-License-Identifier: Apache-2.0 */
/* auth/kerberos/kdc_background.c - background jobs that keep what is known of KDCs fresh */

#include "auth/kerberos/kdc_background.h"
#include "auth/base/clock.h"
#include "auth/kerberos/kdc_locate.h"
#include "auth/kerberos/kdc_profile.h"
#include "auth/kerberos/kdc_transport.h"
#include "auth/workers/workers.h"

#include <apr_strings.h>
#include <stdlib.h>

#define REFRESH_TIMEOUT apr_time_from_sec(5)
#define CHECK_TIMEOUT apr_time_from_sec(1)

/* Not a realm: its circuit may be open because its addresses are old. */
#define NAME_SERVERS "name servers"

/* --- refresh ---------------------------------------------------------------------------------- */

static void *copy_realm(apr_pool_t *pool, const void *realm)
{
    return apr_pstrdup(pool, realm);
}

static enum eas_rc run_refresh(struct eas_job *job, void *realm, struct eas_err *err)
{
    krb5_context ctx;
    struct eas_kdc_profile *profile;

    (void)err;
    if (eas_kdc_profile_context(&ctx, &profile) == 0) {
        eas_kdc_locate_refresh(profile->files, realm, eas_clock_now() + REFRESH_TIMEOUT);
        eas_job_close(job); /* ends the thread here at the end of the process */
        krb5_free_context(ctx);
    }
    return EAS_OK;
}

void eas_kdc_background_refresh(struct eas_job *job, const char *realm)
{
    char key[512];
    struct eas_workers_task task = {
        .peer = NAME_SERVERS,
        .prepare = copy_realm,
        .run = run_refresh,
        .input = realm,
    };

    task.key = eas_bytes_make(key, (size_t)(apr_snprintf(key, sizeof(key), "locate\n%s", realm)));
    eas_workers_run_in_background(eas_workers_of(job), &task);
}

/* --- check ------------------------------------------------------------------------------------ */

struct check {
    struct eas_kdc_addresses addresses;
    const char *realm;
    struct eas_bytes message;
};

static void *copy_check(apr_pool_t *pool, const void *input)
{
    struct check *check = apr_pmemdup(pool, input, sizeof(*check));

    check->realm = apr_pstrdup(pool, check->realm);
    check->message.at = apr_pmemdup(pool, check->message.at, check->message.len);
    return check;
}

static enum eas_rc run_check(struct eas_job *job, void *data, struct eas_err *err)
{
    const struct check *check = data;
    struct eas_kdc_transport_request request = { .addresses = &check->addresses,
                                                 .realm = check->realm,
                                                 .message = check->message,
                                                 .until = eas_clock_now() + CHECK_TIMEOUT };
    struct eas_kdc_transport_reply reply;

    (void)job, (void)err;
    if (eas_kdc_transport_exchange(&request, &reply)) {
        free(reply.bytes);
    }
    return EAS_OK;
}

void eas_kdc_background_check(struct eas_job *job, const char *realm,
                              const struct eas_kdc_address *address, struct eas_bytes message)
{
    struct check check = { .addresses = { .count = 1 }, .realm = realm, .message = message };
    char key[128];
    struct eas_workers_task task = {
        .peer = realm,
        .prepare = copy_check,
        .run = run_check,
        .input = &check,
    };

    check.addresses.at[0] = *address;
    task.key = eas_bytes_make(
        key, (size_t)(apr_snprintf(key, sizeof(key), "check address\n%s", address->text)));
    eas_workers_run_in_background(eas_workers_of(job), &task);
}
