/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/proxy/kept_httpd.c - clients' connections that wait for the request after a long poll */

#include "delegation/proxy/kept_httpd.h"
#include "auth/base/clock.h"
#include "delegation/proxy/client_httpd.h"
#include "delegation/proxy/client_record_httpd.h"

/* Of a connection; in its pool. */
struct eas_kept {
    struct eas_parked parked;
    apr_interval_time_t timeout;
    bool ready; /* its request has ended, and it waits for the next one */
    bool waits; /* the poller has it */
};

static struct eas_kept *kept_of(const conn_rec *c)
{
    const struct eas_client_record *record = eas_client_record_of(c);

    return record != NULL ? record->kept : NULL;
}

void eas_kept_begin(conn_rec *c, const server_rec *s)
{
    struct eas_kept *kept = kept_of(c);

    if (kept == NULL) {
        kept = apr_pcalloc(c->pool, sizeof(*kept));
        eas_client_record_make(c)->kept = kept;
    }
    kept->timeout = s->keep_alive_timeout;
}

/* The MPM waits for the client instead of writing to it. */
void eas_kept_after_request(conn_rec *c)
{
    struct eas_kept *kept = kept_of(c);

    if (kept != NULL) {
        kept->ready = c->cs->state == CONN_STATE_WRITE_COMPLETION
                      && c->keepalive == AP_CONN_KEEPALIVE && !c->aborted
                      && !c->data_in_input_filters;
        c->cs->sense = kept->ready ? CONN_SENSE_WANT_READ : c->cs->sense;
    }
}

/* The MPM has written what it could.  What is left comes first. */
void eas_kept_suspend(conn_rec *c, struct eas_parking *parking)
{
    struct eas_kept *kept = kept_of(c);

    if (kept == NULL || !kept->ready || c->cs->state != CONN_STATE_WRITE_COMPLETION) {
        return;
    }
    kept->parked.client = eas_client_descriptor(c);
    kept->parked.deadline = eas_clock_now() + kept->timeout;
    kept->waits = !c->data_in_output_filters && kept->parked.client >= 0
                  && eas_parking_keep(parking, &kept->parked);
    if (!kept->waits) {
        c->cs->sense = CONN_SENSE_WANT_WRITE;
    }
}

void eas_kept_resume(conn_rec *c, struct eas_parking *parking)
{
    struct eas_kept *kept = kept_of(c);

    if (kept == NULL || !kept->ready) {
        return;
    }
    if (kept->waits) {
        (void)eas_parking_remove(parking, &kept->parked);
        kept->ready = kept->waits = false;
        if (c->cs->state == CONN_STATE_WRITE_COMPLETION) {
            c->cs->state = CONN_STATE_READ_REQUEST_LINE; /* the MPM has the hooks process it */
        }
    }
    else if (c->cs->state == CONN_STATE_WRITE_COMPLETION && c->data_in_output_filters) {
        c->cs->sense = CONN_SENSE_WANT_READ;
    }
    else {
        kept->ready = false;
    }
}
