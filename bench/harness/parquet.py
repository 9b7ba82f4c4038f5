# SPDX-License-Identifier: Apache-2.0
"""The benches of single parts, bench/*_bench.c, as lines of the same form."""
import json
import re
import subprocess

from .machine import BenchError, die_with_parent, note
from .report import Target

PROGRAMS = ("src/parquet/parquet_bench", "src/parquet/parquet_read_bench", "src/store/hot_bench",
            "src/store/wal_bench", "src/wire/remote_write_bench")
WRITE_TARGETS = {"counter": 1.3, "gauge": 2.0, "decimal": 2.8, "float": 7.2, "flow-src": 10.2}


def ask(settings, program: str, *args, **env) -> str:
    path = settings.build / program
    done = subprocess.run([str(path), *map(str, args)], capture_output=True, text=True, env=env or None,
                          preexec_fn=die_with_parent)
    if done.returncode != 0:
        raise BenchError(f"{path.name}: {done.stderr.strip()}")
    return done.stdout


class Figures:
    """Values of several runs, by (case, metric, unit), in the order they were first seen."""

    def __init__(self):
        self.values = {}

    def add(self, case: str, metric: str, unit: str, value) -> None:
        self.values.setdefault((case, metric, unit), []).append(float(value))


def write_and_read(settings, figures: Figures) -> None:
    folder = settings.work.fresh("parquet")
    env = {"BENCH_KEEP": "1", "BENCH_ROUNDS": "3"}
    if settings.quick:
        env["BENCH_ROWS"] = "500000"
    for line in ask(settings, PROGRAMS[0], folder, **env).splitlines():
        found = json.loads(line)
        case = f"write {found['workload']}"
        figures.add(case, "bytes_per_row", "B", found["bytes_per_row"])
        figures.add(case, "rows_per_cpu_s", "M/s", found["mrows_per_cpu_s"])
    files = sorted(folder.glob("*.parquet"))
    for line in ask(settings, PROGRAMS[1], *files, **env).splitlines():
        found = json.loads(line)
        name = found["file"].rsplit("/", 1)[1].removesuffix(".parquet")
        column = "all columns" if found["column"] == "*" else found["column"]
        figures.add(f"read {name}", f"rows_per_cpu_s, {column}", "M/s", found["mrows_per_s"])
    for path in files:
        path.unlink()


def hot(settings, figures: Figures) -> None:
    series = 100_000 if settings.quick else 1_000_000
    text = ask(settings, PROGRAMS[2], series, 4)
    for label, metric, unit in ((r"new series\s+([\d.]+) ns", "cpu_per_new_series", "ns"),
                                (r"memory\s+([\d.]+) B RSS per series", "rss_per_series_with_1_sample", "B"),
                                (r"known series\s+([\d.]+) ns", "cpu_per_sample", "ns"),
                                (r"memory\s+(-?[\d.]+) B RSS per further sample", "rss_per_further_sample", "B")):
        match = re.search(label, text)
        if match:
            figures.add(f"hot tier, {series // 1000}k series", metric, unit, match.group(1))


def wal(settings, figures: Figures) -> None:
    for match in re.finditer(r"^(\w+)\s+(\d+) threads\s+(\d+) B\s+([\d.]+) frames/s\s+([\d.]+) MB/s.*?"
                             r"p50\s+([\d.]+) us\s+p99\s+([\d.]+) us",
                             ask(settings, PROGRAMS[3], settings.work.fresh("wal")), re.MULTILINE):
        case = f"log {match[1]}, {match[2]} x {match[3]} B"
        figures.add(case, "throughput", "MB/s", match[5])
        figures.add(case, "append_and_commit_p99", "us", match[7])


def decode(settings, figures: Figures) -> None:
    for match in re.finditer(r"^(\S.*?)\s+[\d.]+ M series/s\s+([\d.]+) M samples/s",
                             ask(settings, PROGRAMS[4]), re.MULTILINE):
        figures.add(f"remote write, {match[1]}", "samples_per_s", "M/s", match[2])


def run(settings) -> None:
    figures = Figures()
    for number in range(settings.runs):
        for part in (write_and_read, hot, wal, decode):
            part(settings, figures)
        note(f"  run {number + 1}/{settings.runs}")
    for (case, metric, unit), values in figures.values.items():
        target = None
        workload = case.removeprefix("write ")
        if metric == "bytes_per_row" and workload in WRITE_TARGETS:
            target = Target(WRITE_TARGETS[workload])
        if metric == "cpu_per_new_series":
            target = Target(4000)
        settings.report.add(case, metric, unit, values, target=target)
