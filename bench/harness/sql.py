# SPDX-License-Identifier: Apache-2.0
"""SQL on flow rows in Parquet, against DuckDB's read_parquet on the same files, two threads each, in turns.

`elapsed` is what the server says it took; `wall` is what the client saw, HTTP and the text of the result
included, of which DuckDB's side has none.
"""
import json
import statistics
import time

from . import flows, machine
from .duckdb import DuckDb
from .machine import BenchError
from .report import Target

THREADS = 2

# name, statement over {t}, target
QUERIES = (
    ("sum where src_ip", "SELECT sum(bytes) FROM {t} WHERE src_ip = '10.0.0.1'", Target(ratio=1.0)),
    ("sum where rare src_ip", "SELECT sum(bytes) FROM {t} WHERE src_ip = '10.0.7.187'", Target(ratio=1.0)),
    ("group by src_ip", "SELECT src_ip, sum(bytes), avg(latency), max(latency) FROM {t} GROUP BY src_ip "
     "ORDER BY 1", Target(ratio=1.0)),
    # Not date_trunc(timestamp): on TIMESTAMP WITH TIME ZONE it asks ICU for every row, 1 us each, on both sides.
    ("exact p99 by minute", "SELECT epoch_us(timestamp) // 60000000 AS minute, quantile_cont(latency, 0.99) "
     "FROM {t} GROUP BY 1 ORDER BY 1", Target(ratio=1.0)),
    ("point on src_port", "SELECT count(*), sum(bytes) FROM {t} WHERE src_port = 54649", Target(30)),
    ("group by dst_port, protocol", "SELECT dst_port, protocol, count(*), sum(bytes) FROM {t} GROUP BY 1, 2 "
     "ORDER BY 1, 2", None),
    ("count distinct src_port", "SELECT count(DISTINCT src_port) FROM {t}", None),
    ("count", "SELECT count(*) FROM {t}", None),
)


def ask_ours(server, statement: str) -> dict:
    begin = time.perf_counter()
    text = server.http.must("POST", "/api/v1/sql?format=json", statement.encode(),
                            {"Content-Type": "application/sql"})
    wall_ms = (time.perf_counter() - begin) * 1e3
    return {"wall": wall_ms, "text": text}


def check_same(name: str, ours: dict, theirs: dict) -> dict:
    """The parsed answer; raises when it is not DuckDB's."""
    answer = json.loads(ours["text"])
    data = answer["data"]
    first = [] if not data else list(data[0].values()) if isinstance(data[0], dict) else data[0]
    if len(data) != theirs["rows"]:
        raise BenchError(f"{name}: {len(data)} rows, DuckDB has {theirs['rows']}")
    for mine, other in zip(first, theirs["row"]):
        try:
            same = abs(float(mine) - float(other)) <= 1e-9 * abs(float(other))
        except (TypeError, ValueError):
            same = str(mine) == other
        if not same:
            raise BenchError(f"{name}: first row {first}, DuckDB has {theirs['row']}")
    return answer


class Case:
    def __init__(self, name: str, ours_sql: str, peer_sql: str, target):
        self.name, self.ours_sql, self.peer_sql, self.target = name, ours_sql, peer_sql, target
        self.elapsed, self.wall, self.peer_ms, self.cpu_ms, self.peer_cpu_ms = [], [], [], [], []

    def measure(self, server, duckdb, ours_first: bool) -> None:
        for ours in (ours_first, not ours_first):
            if ours:
                cpu = server.child.cpu_s()
                mine = ask_ours(server, self.ours_sql)
                self.cpu_ms.append((server.child.cpu_s() - cpu) * 1e3)
                self.wall.append(mine["wall"])
            else:
                theirs = duckdb.must(self.peer_sql)
                self.peer_ms.append(theirs["ms"])
                self.peer_cpu_ms.append(theirs["cpu_ms"])
        self.elapsed.append(check_same(self.name, mine, theirs)["stats"]["elapsed_ms"])

    def report(self, report, peer: str) -> None:
        for metric, ours, theirs, target in (("elapsed_p50", self.elapsed, self.peer_ms, self.target),
                                             ("wall_p50", self.wall, self.peer_ms, None)):
            report.add(self.name, metric, "ms", ours[1:], peer, theirs[1:], target)  # the first warms up
        # The kernel counts a server's time in steps of 10 ms, so only their sum says something.
        report.add(self.name, "cpu_mean", "ms", [statistics.mean(self.cpu_ms[1:])], peer,
                   [statistics.mean(self.peer_cpu_ms[1:])])


def run(settings) -> None:
    repeats = max(settings.runs, 7)
    table = flows.table(settings)
    server = flows.loaded_server(settings, "--sql-threads", str(THREADS))
    try:
        with DuckDb(settings, THREADS) as duckdb:
            files = server.parquet_files(table)
            machine.note(f"  {flows.row_count(settings)} rows in {len(files)} files, "
                         f"{server.disk_bytes()['parquet'] / 1e6:.0f} MB")
            source = DuckDb.files(server, table)
            cases = [Case(name, text.format(t=table), text.format(t=source), target)
                     for name, text, target in QUERIES]
            cases += sorted_copy(settings, duckdb, source, table)
            for run_number in range(repeats + 1):
                for case in cases:
                    case.measure(server, duckdb, run_number % 2 == 0)
            for case in cases:
                case.report(settings.report, duckdb.version)
    finally:
        server.stop()


def sorted_copy(settings, duckdb: DuckDb, source: str, table: str) -> list:
    """The best DuckDB can do for a search by address: a copy of the files sorted by it."""
    if settings.quick:
        return []
    copy = settings.work.fresh("sorted") / "sorted.parquet"
    duckdb.must(f"COPY (SELECT * FROM {source} ORDER BY src_ip, timestamp) TO '{copy}' "
                f"(FORMAT parquet, COMPRESSION zstd)")
    name, text, _ = QUERIES[0]
    return [Case(name + ", peer on a sorted copy", text.format(t=table), text.format(t=f"read_parquet('{copy}')"),
                 Target(ratio=1.0))]
