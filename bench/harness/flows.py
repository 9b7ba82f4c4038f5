# SPDX-License-Identifier: Apache-2.0
"""A server with network flow rows in Parquet."""
import time

from .servers import Cardinal

HOUR_MS = 3600 * 1000


def row_count(settings) -> int:
    return 2_000_000 if settings.quick else 20_000_000


def table(settings) -> str:
    """`flows_bench` is defined by its first rows and sorted by time; `flows` ships with a sort key."""
    return settings.table


def loaded_server(settings, *flags: str) -> Cardinal:
    """All rows sent as NDJSON and flushed. The rows are of one hour of yesterday, so of one date."""
    rows = row_count(settings)
    start = (int(time.time()) // 86400 - 1) * 86400 * 1000 + 10 * HOUR_MS
    corpus = settings.corpora.make(f"flows-{rows}.ndjson", "flows", samples=rows, start=start)
    server = Cardinal(settings.work.fresh("flows"), *flags)
    try:
        settings.corpora.send(corpus, server, f"/api/v1/ingest/{table(settings)}")
        server.flush()
    except BaseException:
        server.stop()
        raise
    return server
