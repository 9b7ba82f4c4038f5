# SPDX-License-Identifier: Apache-2.0
"""SQL over HTTP and on the command line: formats, errors, sandbox, the statements our users bring."""
import csv
import io
import json
import time

from harness import cli, contains, equal, run, series

T = 1767225600000


def filled(c, *flags):
    s = c.server(*flags)
    now = int(time.time() * 1000)
    s.write(*[series({"__name__": "http_request_duration_seconds", "service": f"s{k % 3}"}, [(now - i * 1000, k + i / 10) for i in range(20)])
              for k in range(6)])
    s.ingest("flows", [{"timestamp": now - i * 1000, "src_ip": f"10.0.{i % 4}.1", "dst_ip": "192.168.1.5", "src_port": 10000 + i,
                        "dst_port": 80, "protocol": "tcp", "bytes_sent": i * 100} for i in range(100)])
    s.flush()
    s.ingest("flows", [{"timestamp": now + i, "src_ip": "10.0.9.1", "dst_ip": "::1", "src_port": 20000 + i, "dst_port": 443,
                        "protocol": "tcp", "bytes_sent": 7} for i in range(10)])
    return s


def test_statements_of_the_documents(c):
    s = filled(c)
    rows = s.rows("SELECT date_trunc('minute', timestamp) as minute, service, avg(value) as avg_latency, "
                  "percentile_cont(0.99) WITHIN GROUP (ORDER BY value) as p99 FROM metrics "
                  "WHERE metric_name = 'http_request_duration_seconds' AND timestamp > now() - interval '1 hour' "
                  "GROUP BY 1, 2 ORDER BY minute DESC")
    assert len(rows) >= 3, rows
    equal(s.value("SELECT sum(bytes_sent) FROM flows WHERE src_ip = '10.0.0.1'"), sum(i * 100 for i in range(0, 100, 4)))
    equal(s.rows("SELECT service, count(*) FROM metrics WHERE service = 's1' GROUP BY 1"), [("s1", 20)])


def test_addresses(c):
    s = filled(c)
    equal(s.rows("SELECT ip_prefix(src_ip, 16) AS net, count(*) FROM flows GROUP BY 1"), [("10.0.0.0/16", 110)])
    equal(s.value("SELECT count(*) FROM flows WHERE ip_in(src_ip, '10.0.9.0/24')"), 10)
    equal(s.rows("SELECT ip_prefix('2001:db8::1', 32), ip_prefix('nonsense', 8), ip_in('::1', '::/0'), ip_in(NULL, '::/0')"),
          [("2001:db8::/32", None, True, None)])
    for bad in ("ip_prefix('10.0.0.1', 129)", "ip_in('10.0.0.1', '10.0.0.0/99')"):
        equal(s.request("POST", "/api/v1/sql", f"SELECT {bad}").status, 400)


def test_formats(c):
    s = filled(c)
    query = ("SELECT 1::HUGEINT * 170141183460469231731687303715884105727 AS h, 'a,\"b\"' AS t, NULL AS n, 1.50::DECIMAL(9,2) AS d, "
             "'nan'::DOUBLE AS x, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS ts, [1,2] AS list, '' AS empty")
    answer = s.sql(query).json()
    equal(answer["data"], [[170141183460469231731687303715884105727, 'a,"b"', None, 1.5, None, "2026-01-01T00:00:00Z", "[1, 2]", ""]])
    equal([col["type"] for col in answer["columns"]][:2], ["HUGEINT", "VARCHAR"])
    equal(answer["rows"], 1)
    equal(s.sql(query, format="json_columns").json()["data"]["t"], ['a,"b"'])
    equal(json.loads(s.sql(query, format="ndjson").text)["empty"], "")
    table = list(csv.reader(io.StringIO(s.sql(query, format="csv").text)))
    equal(table[0], ["h", "t", "n", "d", "x", "ts", "list", "empty"])
    equal(table[1][:4], ["170141183460469231731687303715884105727", 'a,"b"', "", "1.50"])
    contains(s.sql(query, format="table").text, "170141183460469231731687303715884105727")
    answer = s.sql("SELECT * FROM flows", format="arrow")
    equal(answer.headers["Content-Type"], "application/vnd.apache.arrow.stream")
    equal(answer.body[:4], b"\xff\xff\xff\xff")
    parquet = s.sql("SELECT * FROM flows", format="parquet").body
    equal((parquet[:4], parquet[-4:]), (b"PAR1", b"PAR1"))
    equal(s.request("POST", "/api/v1/sql?format=xml", "SELECT 1").status, 400)


def test_ways_to_send_a_statement(c):
    s = c.server()
    equal(s.request("GET", "/api/v1/sql?query=SELECT+42+AS+a").json()["data"], [[42]])
    equal(s.request("POST", "/api/v1/sql", "query=SELECT%2043", {"Content-Type": "application/x-www-form-urlencoded"}).json()["data"], [[43]])
    equal(s.request("POST", "/api/v1/sql", json.dumps({"query": "SELECT 44", "format": "json"}), {"Content-Type": "application/json"}).json()["data"], [[44]])
    equal(s.request("POST", "/api/v1/sql", "SELECT 45;\n").json()["data"], [[45]])
    equal(s.request("POST", "/api/v1/sql", json.dumps({"sql": "SELECT 1"}), {"Content-Type": "application/json"}).status, 400)
    equal(s.request("GET", "/api/v1/sql").status, 400)


def test_errors_carry_the_message_and_the_position(c):
    s = c.server()
    answer = s.request("POST", "/api/v1/sql", "SELECT nope FROM metrics")
    equal(answer.status, 400)
    contains(answer.json()["error"], "nope")
    contains(answer.json()["error"], "LINE 1")
    answer = s.request("POST", "/api/v1/sql", "SELEC 1")
    contains(answer.json()["error"], "syntax error")
    answer = s.request("POST", "/api/v1/sql", "SELECT * FROM no_such_table")
    contains(answer.json()["error"], "no_such_table")


def test_the_sandbox_holds(c):
    s = c.server()
    (c.dir / "secret.csv").write_text("a\n1\n")
    for statement in (
            f"SELECT * FROM read_csv('{c.dir}/secret.csv')", "SELECT * FROM '/etc/passwd'", "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM glob('/etc/*')", f"COPY (SELECT 1) TO '{c.dir}/out.csv'", "ATTACH '/tmp/x.db'", "INSTALL httpfs", "LOAD httpfs",
            "SET memory_limit='100GB'", "SET threads=64", "RESET threads", "PRAGMA threads=4", "CREATE TABLE t(a INT)", "DROP TABLE metrics",
            "INSERT INTO metrics SELECT 1", "SELECT 1; SELECT 2", "EXPORT DATABASE '/tmp/x'", "CALL pragma_version()", "CHECKPOINT", "BEGIN", "COMMIT",
            "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT getenv('HOME')", "SELECT $1", ""):
        answer = s.request("POST", "/api/v1/sql", statement)
        equal(answer.status, 400, statement)
    equal(s.value("SELECT 1"), 1, "and still serves")
    assert not (c.dir / "out.csv").exists()


def test_time_limit_and_cancellation(c):
    s = c.server()
    heavy = "SELECT count(*) FROM range(100000000000) a(x) WHERE sin(x) > 2"
    start = time.monotonic()
    answer = s.request("POST", "/api/v1/sql?timeout=300ms", heavy)
    equal(answer.status, 503)
    assert time.monotonic() - start < 5
    try:
        s.request("POST", "/api/v1/sql", heavy, timeout=0.5)
        raise AssertionError("that was too fast")
    except TimeoutError:
        pass
    end = time.monotonic() + 10
    while s.value("SELECT 1") == 1 and time.monotonic() < end:
        busy = s.request("GET", "/metrics").text
        if "cardinal_http_requests_in_flight 1\n" in busy:
            return
        time.sleep(0.1)
    raise AssertionError("the abandoned query still runs")


def test_memory_limit_of_queries(c):
    s = c.server("--sql-memory-limit", "64MB", "--sql-temp-limit", "1MiB")
    answer = s.request("POST", "/api/v1/sql", "SELECT x, count(*) FROM (SELECT md5(i::VARCHAR) AS x FROM range(20000000) t(i)) GROUP BY 1 ORDER BY 2, 1")
    equal(answer.status, 503, answer.text[:300])
    equal(s.value("SELECT 1"), 1)


def test_conditions_change_nothing_but_the_work(c):
    s = filled(c)
    # A row a second: a time half-way between two, and only distances from now() at which there are none, as the
    # two statements do not have the same now().
    half = s.value("SELECT CAST(min(timestamp) + INTERVAL 30500 MILLISECONDS AS VARCHAR) FROM flows")
    for where in ("src_ip = '10.0.1.1'", "src_ip IN ('10.0.1.1', '10.0.9.1')", "src_port BETWEEN 10010 AND 10020", "dst_port > 80", "80 < dst_port",
                  "src_port = '10001'", "src_port < 10000.5", "comm IS NULL", "pid IS NOT NULL", f"timestamp > '{half}'",
                  f"timestamp <= TIMESTAMPTZ '{half}'", "timestamp > now() - interval '1 hour'", "timestamp < now() - interval '1 hour'", "bytes_sent >= 500 AND protocol = 'tcp'", "src_ip = '10.0.1.1' OR src_ip = '10.0.2.1'", "NOT (src_ip = '10.0.1.1')",
                  "date >= DATE '2020-01-01'", "src_ip >= '10.0.2' AND src_ip < '10.0.3'"):
        a = s.value(f"SELECT count(*) FROM flows WHERE {where}")
        b = s.value(f"SELECT count(*) FROM (SELECT * FROM flows UNION ALL SELECT * FROM flows WHERE false) WHERE {where}")
        equal(a, b, where)
    a = s.sql("SELECT count(*) FROM flows WHERE src_port = 3").json()
    equal((a["data"][0][0], a["stats"]["hot_rows"] <= 10), (0, True))


def test_labels_are_in_the_map_and_in_columns(c):
    s = c.server()
    now = int(time.time() * 1000)
    for k in range(2):
        s.write(*[series({"__name__": "requests", "service": f"s{i}", "odd.name": f"o{i}", **({"zone": "z"} if i == 2 else {})},
                         [(now - 1000 * (10 * k + j), i) for j in range(10)]) for i in range(3)])
        if k == 0:
            s.flush()
    s.write(series({"__name__": "bare"}, [(now, 1)]))
    equal(s.rows("SELECT labels['service'], labels['odd.name'], labels['zone'], count(*) FROM metrics GROUP BY ALL ORDER BY 1 NULLS FIRST"),
          [(None, None, None, 1), ("s0", "o0", None, 20), ("s1", "o1", None, 20), ("s2", "o2", "z", 20)])
    for where, want in (("labels['service'] = 's1'", 20), ("labels['service'] IN ('s1', 's2') AND labels['odd.name'] = 'o2'", 20),
                        ("labels['service'] IS NULL", 1), ("labels['zone'] IS NULL AND labels['service'] > 's0'", 20),
                        ("labels['none'] = 'x'", 0), ("labels['Service'] = 's1'", 0)):
        equal(s.value(f"SELECT count(*) FROM metrics WHERE {where}"), want, where)
    answer = s.sql("SELECT sum(value) FROM metrics WHERE labels['service'] = 's1'").json()
    equal(answer["data"][0][0], 20)
    equal(s.value("SELECT to_json(labels) FROM metrics WHERE zone = 'z' LIMIT 1"), '{"odd.name":"o2","service":"s2","zone":"z"}')


def test_tables_are_listed(c):
    s = filled(c)
    names = [name for name, in s.rows("SHOW TABLES")]
    assert {"metrics", "flows"} <= set(names), names
    tables = {t["name"]: t for t in s.request("GET", "/api/v1/tables").json()["data"]}
    equal(tables["flows"]["time_column"], "timestamp")
    assert {"name": "src_ip", "type": "VARCHAR"} in tables["flows"]["columns"]


def test_the_command_line(c):
    s = filled(c)
    done = cli("sql", "--url", s.url, "--format", "csv", "SELECT count(*) AS n FROM flows")
    equal((done.returncode, done.stdout), (0, "n\n110\n"))
    done = cli("sql", "--url", s.url, "SELECT nope")
    equal(done.returncode, 1)
    contains(done.stderr, "nope")
    done = cli("sql", "--data", c.dir / "data", "SELECT 1")
    equal(done.returncode, 1)
    contains(done.stderr, "in use")
    s.kill()
    done = cli("sql", "--data", c.dir / "data", "--format", "csv", "SELECT count(*) AS n FROM flows")
    equal((done.returncode, done.stdout), (0, "n\n110\n"), "the folder after a crash")
    done = cli("sql", "--data", c.dir / "data", "--format", "table", "-", input="SELECT 1 AS a, 'x' AS b")
    equal(done.stdout, "a  b\n-  -\n1  x\n")
    done = cli("sql", "--data", c.dir / "nothing", "SELECT 1")
    contains(done.stderr, "there is no cardinal data")


run(globals())
