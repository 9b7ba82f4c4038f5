# SPDX-License-Identifier: Apache-2.0
"""Memory per active series, nothing flushed: RSS growth, less 16 bytes per sample."""
from . import load
from .ingest import alternate
from .report import Target
from .servers import Cardinal

NO_FLUSH = ("--flush-interval", "1h", "--flush-rows", "1000000000", "--flush-bytes", "100GB")
SAMPLE_BYTES = 16


def measure(settings, corpus, make_server) -> dict:
    flags = NO_FLUSH if make_server is Cardinal else ()
    server = make_server(settings.work.fresh("memory"), *flags)
    try:
        before = server.child.memory_bytes()
        sent = settings.corpora.send(corpus, server)
        after = server.child.memory_bytes()
    finally:
        server.stop()
    samples = SAMPLE_BYTES * sent["samples"]
    return {"rss": (after["VmRSS"] - before["VmRSS"] - samples) / sent["series"],
            "anon": (after["RssAnon"] - before["RssAnon"] - samples) / sent["series"],
            "idle": before["VmRSS"] / 1e6}


def run(settings) -> None:
    series = 100_000 if settings.quick else 1_000_000
    for per_series in (1, 10):
        samples = series * per_series
        corpus = settings.corpora.make(f"memory-{per_series}.rw", "metrics", series=series, samples=samples,
                                       values="mix", start=load.ends_now(samples, series))
        ours, theirs = alternate(settings, lambda make: measure(settings, corpus, make))
        case = f"{series // 1000}k series x {per_series}"
        for key, metric, target in (("rss", "rss_per_series", Target(300)), ("anon", "anon_rss_per_series", None)):
            settings.report.add(case, metric, "B", [r[key] for r in ours], settings.peer_name,
                                [r[key] for r in theirs], target)
        if per_series == 1:
            settings.report.add("idle", "rss", "MB", [r["idle"] for r in ours], settings.peer_name,
                                [r["idle"] for r in theirs], Target(60))
