# SPDX-License-Identifier: Apache-2.0
"""Bytes on disk after everything is flushed: Parquet files and Delta log; data and index of a peer.

Sizes repeat from run to run, so one run is the default.
"""
from . import flows, load, machine
from .duckdb import DuckDb
from .ingest import alternate
from .report import Target

EXACT = ("--self-metrics", "0")  # no samples but ours


def measure(settings, corpora: list, make_server) -> dict:
    flags = EXACT if make_server.name == "cardinal" else ()
    server = make_server(settings.work.fresh("disk"), *flags)
    try:
        for corpus in corpora:
            settings.corpora.send(corpus, server)
        server.flush()
        return server.disk_bytes()
    finally:
        server.stop()


def many_series(settings) -> None:
    """Label sets and short runs are what costs: `mix` of four metrics."""
    cases = ((1_000_000, 20, Target(90)), (5_000_000, 4, Target(125)))
    for series, ticks, target in cases:
        series = series // 20 if settings.quick else series
        corpus = settings.corpora.make(f"many-{series}-{ticks}.rw", "metrics", series=series, samples=series * ticks,
                                       values="mix", start=load.ends_now(series * ticks, series))
        ours, theirs = alternate(settings, lambda make: measure(settings, [corpus], make))
        case = f"{series / 1e6:g}M series x {ticks}"
        settings.report.add(case, "all_in", "MB", [r["all"] / 1e6 for r in ours], settings.peer_name,
                            [r["all"] / 1e6 for r in theirs], target)
        settings.report.add(case, "bytes_per_sample", "B", [r["all"] / series / ticks for r in ours],
                            settings.peer_name, [r["all"] / series / ticks for r in theirs])
        settings.report.add(case, "wal_after_flush", "MB", [r["wal"] / 1e6 for r in ours])
        corpus.unlink()


def regular_series(settings) -> None:
    """500 series, a day at 15 s, one kind of value at a time; a peer's index is left out."""
    targets = {"counter": 1.3, "intgauge": 2.0, "gauge2": 2.8, "float": 7.2}
    series = 50 if settings.quick else 500
    for kind, most in targets.items():
        samples = series * 5760
        corpus = settings.corpora.make(f"regular-{kind}.rw", "metrics", series=series, samples=samples, metrics=1,
                                       values=kind, start=load.yesterday_ms())
        ours, theirs = alternate(settings, lambda make: measure(settings, [corpus], make))
        settings.report.add(f"regular {kind}", "bytes_per_sample", "B", [r["parquet"] / samples for r in ours],
                            settings.peer_name, [r["data"] / samples for r in theirs],
                            Target(most))
        corpus.unlink()


def flow_rows(settings) -> None:
    """Rows of network flows; the peer is DuckDB, writing the same rows as Parquet with zstd, by time."""
    rows = flows.row_count(settings)
    ours, theirs = [], []
    peer = None
    for _ in range(settings.runs):
        server = flows.loaded_server(settings)
        try:
            sizes = server.disk_bytes()
            ours.append(sizes["parquet"] / rows)
            with DuckDb(settings, 2) as duckdb:
                peer = duckdb.version
                copy = settings.work.fresh("duckdb") / "flows.parquet"
                duckdb.must(f"COPY (SELECT * EXCLUDE (date) FROM {duckdb.files(server, flows.table(settings))} "
                            f"ORDER BY timestamp) TO '{copy}' (FORMAT parquet, COMPRESSION zstd)")
                theirs.append(copy.stat().st_size / rows)
                copy.unlink()
        finally:
            server.stop()
    machine.note(f"  {len(ours)} runs, {rows} rows")
    settings.report.add(f"flows {rows / 1e6:g}M rows", "bytes_per_row", "B", ours, peer, theirs, Target(10.2))


def run(settings) -> None:
    many_series(settings)
    regular_series(settings)
    flow_rows(settings)
