/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/forms.c - the administrator's part of the page: throttled users, sign-out */

#include "delegation/status/forms.h"

#include <apr_strings.h>

static const char *minutes(apr_pool_t *pool, apr_interval_time_t time)
{
    apr_int64_t rounded = (apr_time_sec(time) + 59) / 60;

    return apr_psprintf(pool, "%" APR_INT64_T_FMT " min", rounded);
}

static void write_token(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    eas_writer_print(out, "<input type=\"hidden\" name=\"token\" value=\"%s\">",
                     eas_writer_html(out->pool, snapshot->token));
}

static void write_unlock(struct eas_writer *out, const struct eas_snapshot *snapshot,
                         const char *user)
{
    eas_writer_print(out, "<form method=\"post\">");
    write_token(out, snapshot);
    eas_writer_print(out,
                     "<button name=\"unlock\" value=\"%s\" aria-label=\"Unlock %s\">Unlock</button>"
                     "</form>",
                     eas_writer_html(out->pool, user), eas_writer_html(out->pool, user));
}

static void write_row(struct eas_writer *out, const struct eas_snapshot *snapshot,
                      const struct eas_notes_throttled *row)
{
    apr_pool_t *pool = out->pool;
    bool is_user = row->user[0] != '\0';

    eas_writer_print(out,
                     "<tr><td data-label=\"User\">%s</td><td data-label=\"%s\">%s</td>"
                     "<td data-label=\"Since\">%s</td><td data-label=\"Ends in\">%s</td><td>",
                     eas_writer_html(pool, row->user), is_user ? "Last address" : "Address",
                     eas_writer_html(pool, row->address), minutes(pool, snapshot->now - row->since),
                     minutes(pool, row->until - snapshot->now));
    if (is_user) {
        write_unlock(out, snapshot, row->user);
    }
    eas_writer_print(out, "</td></tr>\n");
}

static void write_throttled(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    const apr_array_header_t *throttled = snapshot->notes.throttled;
    int i;

    eas_writer_print(out, "<section class=\"wide\"><h2>Throttled users and addresses</h2>\n");
    if (throttled->nelts == 0) {
        eas_writer_print(out, "<p class=\"soft\">None.</p></section>\n");
        return;
    }
    eas_writer_print(
        out,
        "<table class=\"cards\"><thead><tr><th scope=\"col\">User</th><th scope=\"col\">Address"
        "</th><th scope=\"col\">Since</th><th scope=\"col\">Ends in</th><th></th>"
        "</tr></thead><tbody>\n");
    for (i = 0; i < throttled->nelts; i++) {
        write_row(out, snapshot, &APR_ARRAY_IDX(throttled, i, struct eas_notes_throttled));
    }
    eas_writer_print(out, "</tbody></table></section>\n");
}

static void write_sign_out(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    eas_writer_print(out,
                     "<section class=\"wide\"><h2>Sign a user out</h2>\n<form method=\"post\">");
    write_token(out, snapshot);
    eas_writer_print(
        out, "<label>User <input type=\"text\" name=\"signout\" required "
             "autocapitalize=\"none\" autocomplete=\"off\" spellcheck=\"false\" "
             "placeholder=\"user@REALM\"></label><button>Sign out</button></form>\n"
             "<p class=\"soft\">Ends all browser sessions of the user. A phone goes on with "
             "its password.</p></section>\n");
}

void eas_forms_write(struct eas_writer *out, const struct eas_snapshot *snapshot)
{
    if (snapshot->user != NULL) {
        write_throttled(out, snapshot);
        write_sign_out(out, snapshot);
    }
}
