# SPDX-License-Identifier: Apache-2.0
"""Native histograms by remote write 1.0: kept bit for bit in memory, log and files; bad ones are told."""
import struct

from harness import Histogram, contains, equal, histogram, run, series

T = 1767225600000  # 2026-01-01T00:00:00Z
STALE = struct.pack("<Q", 0x7FF0000000000002)
NAN = struct.pack("<Q", 0x7FF8000000000001)

INTEGER = Histogram(histogram(count=12, total=18.4, zero_count=2, positive=([(0, 2), (1, 2)], [1, 1, -1, 0]),
                              negative=([(0, 2), (1, 2)], [1, 1, -1, 0])))
FLOAT = Histogram(histogram(count=12.5, total=-3.25, schema=3, zero_count=2.5, hint=3, floats=True,
                            positive=([(-4, 2)], [4.0, 6.0])))
CUSTOM = Histogram(histogram(count=6, total=7.5, schema=-53, zero_threshold=0, positive=([(0, 3)], [1, 1, 1]),
                             bounds=[0.5, 1.0]))
EMPTY = Histogram(histogram())
STALE_MARKER = Histogram(histogram(total=STALE))
NAN_SUM = Histogram(histogram(count=3, total=NAN, positive=([(0, 1)], [3])))
ALL = [INTEGER, FLOAT, CUSTOM, EMPTY, STALE_MARKER, NAN_SUM]

ROWS = "SELECT job, epoch_ms(timestamp) AS t, value, hex(histogram) AS histogram FROM metrics ORDER BY job, t"


def latency(job="api", **labels):
    return {"__name__": "latency", "job": job, **labels}


def kept(message):
    return bytes(message).hex().upper()


def test_every_form_comes_back_bit_for_bit(c):
    s = c.server()
    answer = s.write(series(latency(), [(T + i, h) for i, h in enumerate(ALL)]))
    equal(answer.status, 204, answer.text)
    equal(answer.headers["X-Prometheus-Remote-Write-Histograms-Written"], str(len(ALL)))
    equal(answer.headers["X-Prometheus-Remote-Write-Samples-Written"], "0")
    want = [("api", T + i, None, kept(h)) for i, h in enumerate(ALL)]
    equal(s.rows(ROWS), want, "in memory")
    s.kill()
    s = c.server()
    equal(s.rows(ROWS), want, "from the log, after kill -9")
    s.flush()
    equal(s.rows(ROWS), want, "in a file")
    s.kill()
    s = c.server()
    equal(s.rows(ROWS), want, "in a file, after kill -9")


def test_columns_come_with_the_first_histogram(c):
    s = c.server()

    def columns():
        return [row[0] for row in s.rows("SELECT column_name FROM (DESCRIBE metrics)")]
    s.write(series(latency(), [(T, 1.5)]))
    s.flush()
    assert "histogram" not in columns(), columns()
    s.write(series(latency("web"), [(T, INTEGER)]))
    assert "histogram" in columns(), columns()
    want = [("api", T, 1.5, None), ("web", T, None, kept(INTEGER))]
    equal(s.rows(ROWS), want, "a file without the column, and memory")
    s.flush()
    equal(s.rows(ROWS), want, "two files")
    equal(s.rows("SELECT count(*), count(value), count(histogram) FROM metrics"), [(2, 1, 1)])
    equal(s.rows("SELECT job FROM metrics WHERE histogram IS NOT NULL"), [("web",)])
    equal(s.rows("SELECT job FROM metrics WHERE value IS NULL"), [("web",)])
    equal(s.rows("SELECT job FROM metrics WHERE value > 0"), [("api",)])
    s.write(series(latency(), [(T + 1, 2.5)]))
    s.flush()
    equal(s.value("SELECT sum(value) FROM metrics"), 4.0, "a file of floats after one of histograms")


def test_the_last_write_wins_between_floats_and_histograms(c):
    s = c.server()
    query = "SELECT value, hex(histogram) FROM metrics"
    s.write(series(latency(), [(T, 1)]))
    s.write(series(latency(), [(T, INTEGER)]))
    equal(s.rows(query), [(None, kept(INTEGER))], "in memory")
    s.flush()
    equal(s.rows(query), [(None, kept(INTEGER))], "in a file")
    s.write(series(latency(), [(T, 2)]))
    equal(s.rows(query), [(2.0, None)], "memory over file")
    s.flush()
    equal(s.rows(query), [(2.0, None)], "file over file")
    s.write(series(latency(), [(T, FLOAT)]))
    equal(s.rows(query), [(None, kept(FLOAT))], "and back")
    s.kill()
    s = c.server()
    equal(s.rows(query), [(None, kept(FLOAT))], "after kill -9")


def test_bad_histograms_are_told_and_the_rest_written(c):
    s = c.server()
    cases = [
        (histogram(count=1, positive=([(0, 1)], [2])), "1"),
        (histogram(count=1, positive=([(0, 2)], [1])), "span"),
        (histogram(count=2, positive=([(0, 1), (-1, 1)], [1, 0])), "span"),
        (histogram(schema=10), "schema"),
        (b"\x08", "byte"),
    ]
    for i, (bad, part) in enumerate(cases):
        answer = s.write(series(latency("good"), [(T + i, 1), (T + i + 1000, INTEGER)]),
                         series(latency("bad"), [(T, Histogram(bad)), (T + i + 1, FLOAT)]))
        equal(answer.status, 400, answer.text)
        contains(answer.text, part)
        if part == "byte":
            continue
        contains(answer.text, "series 1 of the request")
        contains(answer.text, 'latency{job="bad"}')
        contains(answer.text, "1 samples rejected, 3 samples written")
        equal(answer.headers["X-Prometheus-Remote-Write-Histograms-Written"], "2")
    equal(s.value(f"SELECT count(*) FROM metrics WHERE job = 'bad' AND epoch_ms(timestamp) = {T}"), 0)
    assert s.value("SELECT count(*) FROM metrics WHERE job = 'good'") >= 6


def test_many_large_histograms(c):
    s = c.server("--flush-interval", "1h")
    big = Histogram(histogram(count=20000, total=1.0, schema=8, positive=([(-10000, 20000)], [1] + [0] * 19999)))
    for i in range(60):
        answer = s.write(*[series(latency("big", n=str(k)), [(T + i, big)]) for k in range(20)])
        equal(answer.status, 204, answer.text)
    query = ("SELECT count(*), count(DISTINCT md5(histogram)), sum(octet_length(histogram)) FROM metrics")
    want = [(1200, 1, 1200 * len(big))]
    equal(s.rows(query), want, "in memory")
    s.flush()
    equal(s.rows(query), want, "in files")


run(globals())
