# SPDX-License-Identifier: Apache-2.0
"""PromQL beside its peers: all servers hold the same samples and are asked in turns, from memory and after a flush.

wide   1 M series x 2 samples of one counter: 250 k pods with 4 connections each
broad  100 k series over an hour at 15 s
tight  1 k series over an hour at 15 s
"""
import json
import struct
import time
import urllib.parse

from . import machine
from .machine import BenchError
from .report import Target
from .servers import Cardinal, figures

METRIC = "http_requests_total"
SETTLE_S = 120  # for the peers' background work, at most


class Query:
    """`target` is in ms, of the median."""

    def __init__(self, name: str, expr: str = None, target: float = None, range_s: int = 0, step_s: int = 0, path: str = None):
        self.name, self.expr, self.range_s, self.step_s, self.path = name, expr, range_s, step_s, path
        self.target = Target(target) if target else None

    def url(self, end_s: int, expr: str) -> str:
        if self.path:
            return self.path + "?" + urllib.parse.urlencode({"start": end_s - 3600, "end": end_s})
        if self.range_s:
            return "/api/v1/query_range?" + urllib.parse.urlencode(
                {"query": expr, "start": end_s - self.range_s, "end": end_s, "step": self.step_s, "nocache": 1})
        return "/api/v1/query?" + urllib.parse.urlencode({"query": expr, "time": end_s, "nocache": 1})


def last_timestamp_ms(corpus) -> int:
    """Of a corpus, which may have been made by an earlier run (bench/load.h)."""
    with open(corpus, "rb") as file:
        return struct.unpack_from("<q", file.read(64), 56)[0]


class Dataset:
    def __init__(self, name: str, series: int, samples: int, conns: int, queries: list):
        self.name, self.series, self.samples, self.conns, self.queries = name, series, samples, conns, queries


def datasets(quick: bool) -> list:
    scale = 20 if quick else 1
    return [
        Dataset("wide", 1_000_000 // scale, 2_000_000 // scale, 4, [
            Query("count by(pod)(m), 1 M series", "count by(pod)({m})", 400),
            Query("one series by its unique label", '{m}{{conn="{conn}"}}', 1),
            Query("label values, 250 k", path="/api/v1/label/pod/values", target=100)]),
        Dataset("broad", 100_000 // scale, 24_100_000 // scale, 10, [
            Query("sum by(service)(rate(m[5m])), 100 k series", "sum by(service)(rate({m}[5m]))", 70),
            Query("sum(rate(m[5m])), 1 h, step 60 s, 100 k series", "sum(rate({m}[5m]))", 200, 3600, 60)]),
        Dataset("tight", 1_000, 241_000, 10, [
            Query("sum by(pod)(rate(m[5m])), 1 h, step 15 s, 1 k series", "sum by(pod)(rate({m}[5m]))", 10, 3600, 15),
            Query("rate(m[1m]), 1 h, step 15 s, 1 k series", "rate({m}[1m])", 30, 3600, 15)]),
    ]


def settle(server) -> None:
    """Waits until the server is idle: merges and compactions are not what is measured."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        before = server.child.cpu_s()
        time.sleep(1)
        if server.child.cpu_s() - before < 0.05:
            return


def ask(server, url: str) -> tuple:
    begin = time.perf_counter()
    text = server.http.must("GET", url)
    return (time.perf_counter() - begin) * 1e3, text


def digest(text: bytes) -> tuple:
    """How many series, and the sum of all values: enough to see that servers agree."""
    data = json.loads(text)["data"]
    if isinstance(data, list):
        return len(data), 0.0
    values = [float(v) for s in data["result"] for _, v in (s.get("values") or [s["value"]])]
    return len(data["result"]), sum(values)


def check_same(name: str, answers: dict) -> None:
    """Peers close ranges at the left (Prometheus 2) or extrapolate otherwise (VictoriaMetrics): sums may differ a little."""
    found = {server: digest(text) for server, text in answers.items()}
    series, total = found["cardinal"]
    for server, (other_series, other_total) in found.items():
        if series != other_series or abs(total - other_total) > 0.1 * abs(total):
            raise BenchError(f"{name}: cardinal has {series} series, sum {total:g}; {server} {other_series}, {other_total:g}")


def measure(settings, servers: list, dataset: Dataset, end_s: int, state: str) -> None:
    _, text = ask(servers[0], "/api/v1/query?" + urllib.parse.urlencode({"query": f"topk(1, {METRIC})", "time": end_s}))
    conn = json.loads(text)["data"]["result"][0]["metric"]["conn"]
    for query in dataset.queries:
        url = query.url(end_s, query.expr.format(m=METRIC, conn=conn) if query.expr else "")
        times = {server.name: [] for server in servers}
        cpu = {server.name: [] for server in servers}
        answers = {}
        for run in range(settings.runs + 1):
            for server in servers if run % 2 == 0 else reversed(servers):
                before = server.child.cpu_s()
                elapsed, answers[server.name] = ask(server, url)
                if run > 0:  # the first warms up
                    times[server.name].append(elapsed)
                    cpu[server.name].append((server.child.cpu_s() - before) * 1e3)
        check_same(query.name, answers)
        for peer in [s for s in servers if s.name != "cardinal"] or [None]:
            theirs = times[peer.name] if peer else []
            settings.report.add(f"{query.name}, {state}", "p50", "ms", times["cardinal"],
                                settings.peer_names[peer.name] if peer else None, theirs, query.target)
        machine.note(f"  {dataset.name}, {state}: {query.name}: " +
                     " ".join(f"{n} {sorted(v)[len(v) // 2]:.1f} ms" for n, v in times.items()))


def run(settings) -> None:
    for dataset in datasets(settings.quick):
        start = int(time.time() * 1000) // 15000 * 15000 - dataset.samples // dataset.series * 15000
        corpus = settings.corpora.make(f"promql-{dataset.name}.rw", "metrics", series=dataset.series, samples=dataset.samples,
                                       metrics=1, conns=dataset.conns, values="counter", start=start)
        end_s = last_timestamp_ms(corpus) // 1000 + 1
        servers = []
        try:
            for make in (Cardinal, *settings.peers):
                servers.append(make(settings.work.fresh(f"promql-{make.name}")))
                settings.corpora.send(corpus, servers[-1])
            for server in servers:
                server.make_visible()
                settle(server)
            measure(settings, servers, dataset, end_s, "hot")
            servers[0].flush()
            measure(settings, servers, dataset, end_s, "flushed")
            machine.note(f"  {dataset.name}: {int(figures(servers[0].http)['cardinal_files'])} files")
        finally:
            for server in servers:
                server.stop()
