# SPDX-License-Identifier: Apache-2.0
"""Our folders are Delta tables and our files are Parquet: other readers give the same rows as our own SQL."""
import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import Histogram, Skip, equal, histogram, run, series  # noqa: E402
import readers  # noqa: E402

T = 1767225600000


def need(*paths):
    for path in paths:
        if not (readers.DEPS / path).exists():
            raise Skip(f"{path} is not installed (tools/deps.sh interop)")


def filled(c, commits=4):
    """Metrics and rows in `commits` flushes each, with what is hard: NaN, odd names, new columns, several days."""
    s = c.server("--label-columns-max", "4")
    for i in range(commits):
        pieces = []
        for k in range(20):
            labels = {"__name__": f"m{k % 3}", "job": f"job-{k % 2}", "instance": f"host-{k}", "dotted.name": "ü"}
            if i > 0:
                labels["Job"] = "other case"  # has no column: one differs from it only in case
            if i > 1:
                labels["zone"] = f"z{k % 4}"
            pieces.append(series(labels, [(T + i * 3600000 * 9 + j * 15000, k * j / 4) for j in range(30)]))
        pieces.append(series({"__name__": "stale"}, [(T + i * 60000, struct.pack("<Q", 0x7FF0000000000002)), (T + i * 60000 + 1, float("inf"))]))
        answer = s.write(*pieces)
        equal(answer.status, 204, answer.text)
        rows = [{"timestamp": T + i * 3600000 * 9 + j * 1000, "src_ip": f"10.0.{j % 7}.1", "dst_ip": "192.168.0.1", "src_port": 1024 + j, "dst_port": 443,
                 "protocol": "tcp", "bytes_sent": i * 1000 + j, **({"note": f"n{j}", "ratio": j / 3} if i > 0 else {})} for j in range(200)]
        equal(s.ingest("flows", rows).status, 200)
        s.flush()
    return s


def files_of(c, table):
    return sorted((c.dir / "data" / "default" / table).glob("date=*/*.parquet"))


METRICS = ("SELECT metric_name, count(*), count(job), count(zone), min(instance), max(instance), sum(CASE WHEN metric_name <> 'stale' THEN value END) "
           "FROM {} GROUP BY 1 ORDER BY 1")
FLOWS = "SELECT src_ip, count(*), sum(bytes_sent), sum(src_port), count(note), min(note), max(note) FROM {} GROUP BY 1 ORDER BY 1"


def ours(s, query, table):
    rows = s.rows(query.format(table))
    return [tuple("" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in row) for row in rows]


def shaped(rows):
    def one(v):
        try:
            return v if v.lstrip("-").isdigit() else f"{float(v):.6g}"
        except ValueError:
            return "" if v in ("\\N", "NULL") else v
    return [tuple(one(v) for v in row) for row in rows]


def same(got, want, what):
    def number(v):
        try:
            return f"{float(v):.6g}"
        except ValueError:
            return v
    equal([tuple(map(number, r)) for r in shaped(got)], [tuple(map(number, r)) for r in want], what)


def test_duckdb_reads_the_same_rows(c):
    s = filled(c)
    for table, query in (("metrics", METRICS), ("flows", FLOWS)):
        files = ", ".join(f"'{f}'" for f in files_of(c, table))
        got = readers.ask("duckdb", query.format(f"read_parquet([{files}], union_by_name=true, hive_partitioning=true)"))
        same(got, ours(s, query, table), table)


def test_clickhouse_reads_the_same_rows_through_the_delta_log(c):
    need("interop/chdb/libchdb.so")
    s = filled(c)
    for table, query in (("metrics", METRICS), ("flows", FLOWS)):
        got = readers.ask("clickhouse", query.format(f"deltaLakeLocal('{c.dir}/data/default/{table}')").replace("sum(CASE WHEN metric_name <> 'stale' THEN value END)", "sumOrNullIf(value, metric_name <> 'stale')"))
        same(got, ours(s, query, table), table)


HISTOGRAMS = ("SELECT job, count(*), count(value), sum(value), count(histogram), min(hex(histogram)), max(hex(histogram)) "
              "FROM {} GROUP BY 1 ORDER BY 1")


def histograms(c):
    """A file of floats, made when `value` could not be null; one with histograms; and one of floats again."""
    s = c.server()
    some = [Histogram(histogram(count=n + 1, total=n / 3, positive=([(0, 1)], [n + 1]))) for n in range(300)]
    for i, job in enumerate(("before", "mixed", "after")):
        def value(k):
            return some[k] if job == "mixed" and k % 2 else k / 4
        answer = s.write(series({"__name__": "latency", "job": job}, [(T + i * 1000000 + k, value(k)) for k in range(300)]))
        equal(answer.status, 204, answer.text)
        s.flush()
    return s


def test_duckdb_reads_histograms(c):
    s = histograms(c)
    files = ", ".join(f"'{f}'" for f in files_of(c, "metrics"))
    same(readers.ask("duckdb", HISTOGRAMS.format(f"read_parquet([{files}], union_by_name=true)")), ours(s, HISTOGRAMS, "metrics"), "histograms")
    got = readers.ask("duckdb", f"SELECT count(*) FROM read_parquet([{files}], union_by_name=true) WHERE value IS NULL AND histogram IS NOT NULL")
    equal(got, [("150",)])


def test_clickhouse_reads_histograms_through_the_delta_log(c):
    need("interop/chdb/libchdb.so")
    s = histograms(c)
    got = readers.ask("clickhouse", HISTOGRAMS.format(f"deltaLakeLocal('{c.dir}/data/default/metrics')"))
    same(got, ours(s, HISTOGRAMS, "metrics"), "histograms")


def test_clickhouse_reads_the_log_past_a_checkpoint(c):
    need("interop/chdb/libchdb.so")
    s = c.server()
    for i in range(60):
        equal(s.ingest("events", [{"timestamp": T + i, "i": i}]).status, 200)
        s.flush()
    log = c.dir / "data" / "default" / "events" / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet")) and (log / "_last_checkpoint").exists()
    equal(readers.ask("clickhouse", f"SELECT count(), sum(i) FROM deltaLakeLocal('{log.parent}')"), [("60", str(sum(range(60))))])
    equal(s.rows("SELECT count(*), sum(i) FROM events"), [(60, sum(range(60)))])
    s.stop()
    s = c.server()
    equal(s.rows("SELECT count(*), sum(i) FROM events"), [(60, sum(range(60)))], "our own reader starts at the checkpoint")


def test_clickhouse_never_reads_a_flipped_bit_as_other_rows(c):
    need("interop/chdb/libchdb.so")
    s = filled(c, 1)
    path = files_of(c, "flows")[0]
    broken = c.dir / "broken.parquet"
    whole = path.read_bytes()
    broken.write_bytes(whole)  # not under date=...: ClickHouse would make a column of that
    want = readers.ask("clickhouse", f"SELECT * FROM file('{broken}', Parquet) ORDER BY ALL")
    equal(len(want), 200)
    refused = 0
    for at in range(40, len(whole) * 3 // 4, len(whole) // 16):
        data = bytearray(whole)
        data[at] ^= 1
        broken.write_bytes(data)
        try:
            equal(readers.ask("clickhouse", f"SELECT * FROM file('{broken}', Parquet) ORDER BY ALL"), want, f"bit at {at}")
        except AssertionError as why:
            if "clickhouse:" not in str(why):
                raise
            refused += 1
    assert refused > 0, "no flip hit a page: the test tests nothing"


def test_hyparquet_reads_the_same_rows(c):
    need("interop/node_modules/hyparquet")
    s = filled(c)
    for table in ("metrics", "flows"):
        rows = [json.loads(line) for line in readers.hyparquet(files_of(c, table)).splitlines()]
        equal(len(rows), s.value(f"SELECT count(*) FROM {table}"), table)
        if table == "flows":
            equal(sum(int(r["bytes_sent"]) for r in rows), s.value("SELECT sum(bytes_sent) FROM flows"))
            equal(sorted({r["src_ip"] for r in rows}), [v for v, in s.rows("SELECT DISTINCT src_ip FROM flows ORDER BY 1")])
        else:
            got = sorted((r["metric_name"], r.get("instance") or "", r["value"]) for r in rows if r["metric_name"] != "stale")
            want = sorted((m, i or "", v) for m, i, v in s.rows("SELECT metric_name, instance, value FROM metrics WHERE metric_name <> 'stale'"))
            equal(got, want)
            equal({r["labels"]["dotted.name"] for r in rows if r["metric_name"] != "stale"}, {"ü"})
            equal(sum(r["labels"].get("Job") == "other case" for r in rows if r.get("labels")), 3 * 20 * 30)


run(globals())
