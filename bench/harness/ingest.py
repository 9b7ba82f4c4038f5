# SPDX-License-Identifier: Apache-2.0
"""What taking in samples costs: Prometheus remote write 1.0, 7 labels, 10 k samples a request, durable.

A    few series, many samples: 100 k series, one counter
C    many series, few samples: 5 M series x 4 samples, four metrics
new  the first tick of C alone: every sample makes a series
"""
from . import load, machine
from .report import Target, median
from .servers import Cardinal


class Size:
    def __init__(self, quick: bool):
        self.a_series, self.a_samples = (20_000, 1_000_000) if quick else (100_000, 30_000_000)
        self.c_series, self.c_ticks = (200_000, 4) if quick else (5_000_000, 4)


def corpora(settings) -> dict:
    size = Size(settings.quick)
    make = settings.corpora.make
    start = load.ends_now(size.a_samples, size.a_series)
    a = make("A.rw", "metrics", series=size.a_series, samples=size.a_samples, metrics=1, conns=10,
             values="counter", start=start)
    start = load.ends_now(size.c_series * size.c_ticks, size.c_series)
    common = {"series": size.c_series, "metrics": 4, "conns": 25, "values": "mix", "start": start}
    first = make("C-first-tick.rw", "metrics", samples=size.c_series, **common)
    rest = make("C-rest.rw", "metrics", samples=size.c_series * (size.c_ticks - 1), first_tick=1, **common)
    return {"A": [a], "C": [first, rest]}


def measure(settings, make_server, parts: list) -> dict:
    """One run of one server on a folder of its own."""
    server = make_server(settings.work.fresh("ingest"))
    try:
        before = cpu = server.child.cpu_s()
        samples, seconds, part_cpu, p99 = 0, 0.0, [], 0.0
        for part in parts:
            sent = settings.corpora.send(part, server)
            now = server.child.cpu_s()
            part_cpu.append((now - cpu, sent["samples"]))
            cpu = now
            samples += sent["samples"]
            seconds += sent["seconds"]
            p99 = max(p99, sent["p99_ms"])
        memory = server.child.memory_bytes()
        server.flush()
        with_flush = server.child.cpu_s() - before
        stored = server.stored_samples()
        if stored != samples:
            raise machine.BenchError(f"{make_server.name} acknowledged {samples} samples and has {stored}")
    finally:
        server.stop()
    return {"cpu": (cpu - before) / samples * 1e6, "cpu_flush": with_flush / samples * 1e6,
            "rate": samples / seconds, "p99": p99, "hwm": memory["VmHWM"] / 1e6,
            "new_us": part_cpu[0][0] / part_cpu[0][1] * 1e6}


def alternate(settings, measure_one) -> tuple:
    """Ours and the peer's results, one after the other, the first changing."""
    ours, theirs = [], []
    for run in range(settings.runs):
        turns = [(Cardinal, ours)]
        if settings.peer is not None:
            turns.append((settings.peer, theirs))
        for make_server, results in turns if run % 2 == 0 else reversed(turns):
            results.append(measure_one(make_server))
            machine.note(f"  run {run + 1}/{settings.runs} {make_server.name}: " +
                         " ".join(f"{k}={v:.3f}" for k, v in results[-1].items()))
    return ours, theirs


METRICS = (("cpu", "cpu_s_per_1M_samples", "s"), ("cpu_flush", "cpu_s_per_1M_samples_with_flush", "s"),
           ("rate", "samples_per_s", "1/s"), ("p99", "request_p99", "ms"), ("hwm", "peak_rss", "MB"))
TARGETS = {("A", "cpu"): Target(0.40, 0.35), ("C", "cpu"): Target(ratio=0.2)}


def run(settings) -> None:
    rates = {}
    for case, parts in corpora(settings).items():
        ours, theirs = alternate(settings, lambda make: measure(settings, make, parts))
        for key, metric, unit in METRICS:
            settings.report.add(case, metric, unit, [r[key] for r in ours], settings.peer_name,
                                [r[key] for r in theirs], TARGETS.get((case, key)))
        rates[case] = ([r["rate"] for r in ours], [r["rate"] for r in theirs])
        if case == "C":
            settings.report.add("new-series", "cpu_us_per_series", "us", [r["new_us"] for r in ours],
                                settings.peer_name, [r["new_us"] for r in theirs], Target(4))
    settings.report.add("C over A", "rate_at_many_series", "ratio", [median(rates["C"][0]) / median(rates["A"][0])],
                        settings.peer_name,
                        [median(rates["C"][1]) / median(rates["A"][1])] if settings.peer else [], Target(least=0.5))
