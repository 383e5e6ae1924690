/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/line.c - the snapshot in mod_status's page */

#include "delegation/status/line.h"
#include "delegation/status/writer.h"

#include <inttypes.h>

const char *eas_line_write(apr_pool_t *pool, const struct eas_snapshot *snapshot, bool for_programs)
{
    const struct eas_counters_numbers *sums = &snapshot->counts.sums;
    struct eas_writer out = eas_writer_make(pool);
    uint64_t exchanges =
        sums->counters[EAS_COUNTER_EXCHANGE_KEPT] + sums->counters[EAS_COUNTER_EXCHANGE_NEW];

    eas_writer_print(
        &out,
        for_programs
            ? "EasKcdExchanges: %" PRIu64 "\nEasKcdLongPolls: %u\nEasKcdConnectionsBusy: %" PRId64
              "\nEasKcdConnectionsKept: %" PRId64 "\nEasKcdSilentKdcs: %u\nEasKcdLockedUsers: %u\n"
            : "<hr><p>mod_eas_kcd: %" PRIu64 " requests to backends, %u long polls held, %" PRId64
              " connections busy, %" PRId64 " kept, %u KDCs silent, %u users locked</p>\n",
        exchanges, snapshot->long_polls, sums->gauges[EAS_GAUGE_CONNECTIONS_BUSY],
        sums->gauges[EAS_GAUGE_CONNECTIONS_KEPT], eas_snapshot_silent_kdcs(snapshot),
        snapshot->accounts_locked);
    return out.text;
}
