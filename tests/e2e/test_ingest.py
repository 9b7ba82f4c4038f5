# SPDX-License-Identifier: Apache-2.0
"""Typed rows: newline-delimited JSON and the TCP collector."""
import json
import socket
import time

from harness import cli, contains, equal, run


def test_types_are_inferred_and_then_fixed(c):
    s = c.server()
    answer = s.ingest("events", [
        {"timestamp": "2026-01-01T00:00:00Z", "host": "a", "n": 1, "f": 1.5, "ok": True, "tags": {"k": "v"}},
        {"timestamp": "2026-01-01T00:00:01.5Z", "host": "b", "n": None},
    ])
    equal((answer.status, answer.json()), (200, {"status": "success", "rows": 2}))
    types = dict(s.rows("SELECT column_name, column_type FROM (DESCRIBE events)"))
    for column, kind in {"timestamp": "TIMESTAMP WITH TIME ZONE", "host": "VARCHAR", "n": "BIGINT", "f": "DOUBLE",
                         "ok": "BOOLEAN", "tags": "MAP(VARCHAR, VARCHAR)"}.items():
        equal(types[column], kind, column)
    answer = s.ingest("events", '{"n":2}\n{"host":"x","n":"two"}\n')
    equal(answer.status, 400)
    contains(answer.json()["error"], "line 2")
    contains(answer.json()["error"], "'n'")
    equal(s.value("SELECT count(*) FROM events"), 2, "all or nothing")


def test_new_columns_appear_at_any_time(c):
    s = c.server()
    s.ingest("events", [{"timestamp": 1767225600000, "a": 1}])
    s.flush()
    s.ingest("events", [{"timestamp": 1767225601000, "a": 2, "b": "new"}])
    want = [(1, None), (2, "new")]
    equal(s.rows("SELECT a, b FROM events ORDER BY a"), want, "hot and cold")
    s.flush()
    equal(s.rows("SELECT a, b FROM events ORDER BY a"), want, "both cold")
    equal(s.stop(), 0)
    s = c.server()
    equal(s.rows("SELECT a, b FROM events ORDER BY a"), want, "after a restart")


def test_rows_survive_kill_minus_nine(c):
    s = c.server()
    for i in range(20):
        equal(s.ingest("events", [{"timestamp": 1767225600000 + i, "i": i}]).status, 200)
    s.kill()
    s = c.server()
    equal(s.rows("SELECT count(*), sum(i) FROM events"), [(20, 190)])


def test_names_of_tables_and_columns(c):
    s = c.server()
    for table in ("Bad", "1x", "a-b", "x" * 65):
        answer = s.ingest(table, [{"a": 1}])
        equal(answer.status, 400, table)
    equal(s.ingest("metrics", [{"a": 1}]).status, 400)
    equal(s.ingest("t", [{"a b": 1}]).status, 400)
    equal(s.ingest("t", [{"a": 1, "A": 2}]).status, 400)
    equal(s.request("POST", "/api/v1/ingest/").status, 404)


def test_the_collector_writes_this_very_connection(c):
    s = c.server("--collect-tcp", "200ms")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
        client.sendall(b"x" * 5000)
        port = client.getsockname()[1]
        query = f"SELECT count(*), max(bytes_sent), any_value(comm) FROM flows WHERE src_port = {port} AND state = 'established'"
        end = time.monotonic() + 10
        rows = [(0, None, None)]
        while rows[0][0] < 2 and time.monotonic() < end:
            time.sleep(0.1)
            try:
                rows = s.rows(query)
            except AssertionError:
                pass  # the table comes with its first row
        client.close()
        served.close()
    assert rows[0][0] >= 2, rows
    assert rows[0][1] >= 5000, rows
    contains(rows[0][2] or "python", "python")


def test_collect_sends_to_a_server(c):
    s = c.server()
    done = cli("collect", "tcp", "--to", s.url, "--count", "2", "--interval", "100ms")
    equal((done.returncode, done.stderr), (0, ""))
    assert s.value("SELECT count(*) FROM flows") > 0
    done = cli("collect", "tcp", "--count", "1", "--print")
    equal(done.returncode, 0)
    assert "src_ip" in json.loads(done.stdout.splitlines()[0])


run(globals())
