# SPDX-License-Identifier: Apache-2.0
"""How long a start takes after kill -9: from exec to ready, with a log of which nothing was flushed.

steady   few series, many samples: the log is samples
churn    many series, few samples: the log is labels
"""
import time

from . import load, machine
from .memory import NO_FLUSH
from .report import Target
from .servers import Cardinal, figures

FLAGS = (*NO_FLUSH, "--memory-limit", "100GB", "--self-metrics", "0")


def corpora(settings) -> dict:
    steady, churn = (1_000_000, 100_000) if settings.quick else (100_000_000, 5_000_000)
    make = settings.corpora.make
    return {"steady": make("steady.rw", "metrics", series=100_000, samples=steady, metrics=1, conns=10,
                           values="counter", start=load.ends_now(steady, 100_000)),
            "churn": make("churn.rw", "metrics", series=churn, samples=churn * 4, metrics=4, conns=25, values="mix",
                          start=load.ends_now(churn * 4, churn))}


def measure(settings, corpus) -> list:
    """One load, killed and started again for each run."""
    folder = settings.work.fresh("recovery")
    server = Cardinal(folder, *FLAGS)
    results = []
    try:
        sent = settings.corpora.send(corpus, server)
        for run in range(settings.runs):
            size = figures(server.http)["cardinal_wal_bytes"]
            server.child.kill()
            begin = time.monotonic()
            server.start(server.child.args, "/-/ready")
            seconds = time.monotonic() - begin
            results.append({"seconds": seconds, "rate": size / seconds / 1e6, "wal": size / 1e6,
                            "cpu": server.child.cpu_s()})
            machine.note(f"  run {run + 1}/{settings.runs} {corpus.stem}: " +
                         " ".join(f"{k}={v:.3f}" for k, v in results[-1].items()))
        server.flush()
        stored = server.stored_samples()
        if stored != sent["samples"]:
            raise machine.BenchError(f"{sent['samples']} samples were acknowledged, {stored} were recovered")
    finally:
        server.stop()
    return results


def run(settings) -> None:
    for case, corpus in corpora(settings).items():
        results = measure(settings, corpus)
        for key, metric, unit, target in (("rate", "wal_MB_per_s", "MB/s", Target(least=200)),
                                          ("seconds", "until_ready", "s", None), ("cpu", "cpu_s", "s", None),
                                          ("wal", "wal_size", "MB", None)):
            settings.report.add(case, metric, unit, [r[key] for r in results], target=target)
