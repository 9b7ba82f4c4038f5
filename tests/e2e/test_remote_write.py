# SPDX-License-Identifier: Apache-2.0
"""Remote write 1.0 against the real server: what is stored, what is refused, what survives."""
import struct
import threading
import time

from harness import contains, equal, run, sample, series, snappy, field, label

T = 1767225600000  # 2026-01-01T00:00:00Z
STALE = struct.pack("<Q", 0x7FF0000000000002)


def up(job="api", **labels):
    return {"__name__": "up", "job": job, **labels}


def test_samples_are_visible_at_once_and_after_a_flush(c):
    s = c.server()
    answer = s.write(series(up(), [(T, 1), (T + 15000, 0.5)]), series(up("web"), [(T, 2)]))
    equal(answer.status, 204, answer.text)
    want = [("api", 2, 1.5), ("web", 1, 2.0)]
    query = "SELECT job, count(*), sum(value) FROM metrics WHERE metric_name = 'up' GROUP BY 1 ORDER BY 1"
    equal(s.rows(query), want)
    s.flush()
    equal(s.rows(query), want)
    s.write(series(up(), [(T + 30000, 4)]))
    equal(s.rows(query), [("api", 3, 5.5), ("web", 1, 2.0)], "hot and cold in one answer")


def test_the_last_write_wins_everywhere(c):
    s = c.server()
    query = "SELECT value FROM metrics ORDER BY timestamp"
    s.write(series(up(), [(T, 1)]))
    s.write(series(up(), [(T, 2)]))
    equal(s.rows(query), [(2.0,)], "in memory")
    s.flush()
    s.write(series(up(), [(T, 3)]))
    equal(s.rows(query), [(3.0,)], "memory over file")
    s.flush()
    equal(s.rows(query), [(3.0,)], "file over file")
    s.write(series(up(), [(T - 60000, 9), (T, 4)]))
    equal(s.rows(query), [(9.0,), (4.0,)], "out of order")
    equal(s.stop(), 0)
    s = c.server()
    equal(s.rows(query), [(9.0,), (4.0,)], "after a restart")


def test_the_order_of_labels_does_not_matter(c):
    s = c.server()
    s.write(series([("__name__", "m"), ("a", "1"), ("b", "2")], [(T, 1)]))
    s.write(series([("b", "2"), ("__name__", "m"), ("a", "1"), ("empty", "")], [(T, 7)]))
    equal(s.rows("SELECT a, b, value FROM metrics"), [("1", "2", 7.0)])


def test_values_are_bit_exact(c):
    s = c.server()
    values = [0x0, 1 << 63, 0x7FF0000000000002, 0x7FF8000000000001, 0x7FF0000000000000, 0xFFF0000000000000, 0x1,
              0x3FB999999999999A]
    s.write(series(up(), [(T + i, struct.pack("<Q", v)) for i, v in enumerate(values)]))
    bits = "SELECT CAST(CAST(value AS BIT) AS VARCHAR) FROM metrics ORDER BY timestamp"
    want = [(format(v, "064b"),) for v in values]
    equal(s.rows(bits), want)
    s.flush()
    equal(s.rows(bits), want, "after a flush")


def test_bad_series_are_told_and_the_others_written(c):
    s = c.server()
    good = series(up("good"), [(T, 1)])
    cases = [
        (series([("__name__", "m"), ("a", "1"), ("a", "2")], [(T, 1)]), "a"),
        (series([("job", "x")], [(T, 1)]), "__name__"),
        (series([("__name__", "m"), ("", "x")], [(T, 1)]), "empty"),
        (series([("__name__", "m"), ("a", b"\xff\xfe")], [(T, 1)]), "UTF-8"),
        (series([("__name__", "m"), ("n" * 2000, "x")], [(T, 1)]), "1024"),
        (series([("__name__", "m"), ("a", "v" * 3000)], [(T, 1)]), "2048"),
        (series([("__name__", "m")] + [(f"l{i:03}", "x") for i in range(70)], [(T, 1)]), "64"),
    ]
    for bad, part in cases:
        answer = s.write(good, bad)
        equal(answer.status, 400, answer.text)
        contains(answer.text, part)
        contains(answer.text, "1 samples written")
    equal(s.value("SELECT count(*) FROM metrics"), 1, "the good one, each time the same sample")


def test_odd_label_names_go_to_the_map(c):
    s = c.server("--label-columns-max", "3")
    s.write(series([("__name__", "m"), ("a", "1"), ("b", "2"), ("A", "upper"), ("c", "3"), ("d", "4"),
                    ("dotted.name", "x"), ("value", "reserved"), ("ü", "ü")], [(T, 1)]))
    # Labels get columns in the order of their names: A, b, c. What differs from one only in case does not.
    query = ("SELECT \"A\", b, c, labels['a'], labels['d'], labels['dotted.name'], labels['value'], labels['ü'], value "
             "FROM metrics")
    want = [("upper", "2", "3", "1", "4", "x", "reserved", "ü", 1.0)]
    equal(s.rows(query), want)
    s.flush()
    equal(s.rows(query), want, "after a flush")


def test_acknowledged_samples_survive_kill_minus_nine(c):
    s = c.server()
    written = [0]

    def write():
        try:
            while True:
                i = written[0]
                if s.write(*[series(up("kill", n=str(k)), [(T + i * 1000, i)]) for k in range(50)]).status != 204:
                    return
                written[0] = i + 1
        except OSError:
            return
    thread = threading.Thread(target=write)
    thread.start()
    while written[0] < 30 and thread.is_alive():
        pass
    s.kill()
    thread.join()
    s = c.server()
    got = s.value("SELECT count(*) FROM metrics")
    assert written[0] * 50 <= got <= (written[0] + 1) * 50, (got, written[0])


def test_memory_limit_answers_429(c):
    s = c.server("--memory-limit", "8MB", "--flush-interval", "1h")
    statuses = set()
    for i in range(400):
        answer = s.write(*[series({"__name__": "m", "id": f"{i}-{k}-{'x' * 60}"}, [(T, k)]) for k in range(500)])
        statuses.add(answer.status)
        if answer.status == 429:
            assert int(answer.headers["Retry-After"]) >= 1
            break
    assert statuses <= {204, 429}, statuses
    equal(s.request("GET", "/-/healthy").status, 200)


def test_edges_of_a_request(c):
    s = c.server()
    equal(s.write(field(1, b"")).status, 400, "a series without labels")
    equal(s.write().status, 204, "an empty request")
    equal(s.request("POST", "/api/v1/write", snappy(field(1, label("__name__", "x") + sample(T, 1))) + b"x",
                    {"Content-Encoding": "snappy"}).status, 400, "bytes behind the block")


def test_limits_of_age(c):
    now = int(time.time() * 1000)
    s = c.server()
    equal(s.write(series(up(), [(0, 1), (1, 1), (now, 1), (now + 86400000, 1)])).status, 204, "by default, all ages")
    answer = s.write(series(up(), [(now, 2)]), series(up("web"), [(now + 3 * 86400000, 1), (now, 1)]))
    equal(answer.status, 400)
    contains(answer.text, f'series 1 of the request, up{{job="web"}}: timestamp {now + 3 * 86400000} ms is out of bounds')
    equal(s.rows("SELECT count(*) FROM metrics WHERE job = 'web'"), [(1,)], "the others are stored")
    s.stop()
    s = c.server("--storage.max-age", "1h", "--storage-max-future=10m", data=c.dir / "limits")
    equal(s.write(series(up(), [(now, 1), (now + 500000, 1), (now - 3500000, 1)])).status, 204)
    contains(s.write(series(up(), [(now - 3700000, 1)])).text, "too old")
    contains(s.write(series(up(), [(now + 700000, 1)])).text, "out of bounds")


run(globals())
