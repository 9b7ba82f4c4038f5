# SPDX-License-Identifier: Apache-2.0
"""Hostile requests: each has the answer it must get, and after each the server still serves and holds what it held.

    python3 tests/e2e/test_hostile.py --table     prints request by request what the answer is
"""
import gzip
import json
import struct
import sys
import time
import zlib

from harness import Context, equal, field, label, run, sample, series, snappy, varint

T = 1767225600000
GOOD = series({"__name__": "m", "a": "1"}, [(T, 1)])
PB = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
NJ = {"Content-Type": "application/x-ndjson"}


def post(path, body, headers=None):
    return lambda s: s.request("POST", path, body, headers)


def write(body, headers=None):
    return post("/api/v1/write", body, {**PB, **(headers or {})})


def proto(message):
    return write(snappy(message))


def labels(*pairs):
    return proto(series(list(pairs), [(T, 1)]))


def rows(body, table="t", headers=None):
    return post(f"/api/v1/ingest/{table}", body, {**NJ, **(headers or {})})


def sql(text, **headers):
    return post("/api/v1/sql", text, headers)


def raw(data, **more):
    return lambda s: s.raw(data, **more)


def http(*lines, body=b""):
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# (what, request, statuses that are right (0: the connection is closed without an answer), part of the answer)
CASES = [
    # remote write: framing
    ("snappy: empty body", write(b""), (400,), "snappy"),
    ("snappy: garbage", write(b"\xff" * 100), (400,), "snappy"),
    ("snappy: cut short", write(snappy(GOOD)[:-3]), (400,), "snappy"),
    ("snappy: claims 4 GiB", write(varint(2**32 - 1) + b"\x00"), (413, 400), ""),
    ("snappy: claims 33 MiB", write(varint(33 << 20) + b"\x00a"), (413,), ""),
    ("snappy: copy before the start", write(varint(8) + b"\x01\x20"), (400,), "snappy"),
    ("snappy: bomb of copies", write(varint(31 << 20) + b"\x00a" + b"\xfe\x01\x00" * 500000), (400, 413), ""),
    ("body larger than the limit", lambda s: s.raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: 999999999")), (413,), ""),
    ("not protobuf by its own word", write(snappy(GOOD), {"Content-Type": "text/plain"}), (415,), "x-protobuf"),
    ("remote write 2.0", write(snappy(GOOD), {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}), (415,), "2.0"),
    ("gzip instead of snappy", write(gzip.compress(GOOD), {"Content-Encoding": "gzip"}), (415,), "snappy"),
    # remote write: protobuf
    ("protobuf: cut short", proto(GOOD[:-4]), (400,), "byte"),
    ("protobuf: endless varint", proto(b"\x0a" + b"\xff" * 12), (400,), "byte"),
    ("protobuf: group", proto(b"\x0b\x0c"), (400,), "byte"),
    ("protobuf: field number 0", proto(b"\x02\x00"), (400,), "byte"),
    ("protobuf: series as a number", proto(b"\x08\x01"), (400,), ""),
    ("protobuf: length past the end", proto(field(1, b"\x0a\x7f")), (400,), "byte"),
    ("protobuf: sample with a short double", proto(field(1, label("__name__", "m") + field(2, b"\x09\x00\x00"))), (400,), "byte"),
    # remote write: labels
    ("labels: none", proto(field(1, sample(T, 1))), (400,), ""),
    ("labels: no metric name", labels(("a", "1")), (400,), "__name__"),
    ("labels: empty metric name", labels(("__name__", "")), (400,), ""),
    ("labels: empty name", labels(("__name__", "m"), ("", "x")), (400,), "empty"),
    ("labels: name twice", labels(("__name__", "m"), ("a", "1"), ("a", "2")), (400,), "a"),
    ("labels: value not UTF-8", labels(("__name__", "m"), ("a", b"\xc3\x28")), (400,), "UTF-8"),
    ("labels: name not UTF-8", labels(("__name__", "m"), (b"\xff", "x")), (400,), "UTF-8"),
    ("labels: surrogate in UTF-8", labels(("__name__", "m"), ("a", b"\xed\xa0\x80")), (400,), "UTF-8"),
    ("labels: overlong UTF-8", labels(("__name__", "m"), ("a", b"\xc0\xaf")), (400,), "UTF-8"),
    ("labels: value of 3 kB", labels(("__name__", "m"), ("a", "v" * 3000)), (400,), "2048"),
    ("labels: name of 2 kB", labels(("__name__", "m"), ("n" * 2000, "v")), (400,), "1024"),
    ("labels: 100 of them", labels(*([("__name__", "m")] + [(f"l{i}", "v") for i in range(100)])), (400,), "64"),
    ("samples: time past year 9999", proto(series({"__name__": "m"}, [(2**62, 1)])), (400,), ""),
    ("samples: time before year 1", proto(series({"__name__": "m"}, [(-2**62, 1)])), (400,), ""),
    # JSON rows
    ("rows: not JSON", rows("hello\n"), (400,), "line 1"),
    ("rows: an array", rows("[1]\n"), (400,), "line 1"),
    ("rows: cut short", rows('{"a":1}\n{"a":'), (400,), "line 2"),
    ("rows: key twice", rows('{"a":1,"a":2}'), (400,), "a"),
    ("rows: 1e999", rows('{"a":1e999}'), (400,), ""),
    ("rows: NaN", rows('{"a":NaN}'), (400,), ""),
    ("rows: not UTF-8", rows(b'{"a":"\xff"}'), (400,), "UTF-8"),
    ("rows: lone surrogate", rows('{"a":"\\ud800"}'), (400,), ""),
    ("rows: NUL in a name", rows('{"a\\u0000":1}'), (400,), ""),
    ("rows: nested 200,000 deep", rows('{"a":' * 200000), (400,), ""),
    ("rows: nested array", rows('{"a":[1]}'), (400,), ""),
    ("rows: column name with a blank", rows('{"a b":1}'), (400,), ""),
    ("rows: columns that differ in case", rows('{"a":1,"A":2}'), (400,), ""),
    ("rows: 2,000 columns", rows(json.dumps({f"c{i}": i for i in range(2000)})), (400, 413), "1024"),
    ("rows: time that is none", rows('{"timestamp":"yesterday"}'), (400,), "timestamp"),
    ("rows: gzip bomb", rows(gzip.compress(b" " * (200 << 20)), headers={"Content-Encoding": "gzip"}), (413,), ""),
    ("rows: broken gzip", rows(gzip.compress(b'{"a":1}')[:-6], headers={"Content-Encoding": "gzip"}), (400,), ""),
    ("rows: unknown encoding", rows(zlib.compress(b'{"a":1}'), headers={"Content-Encoding": "br"}), (415, 400, 501), ""),
    ("rows: table name with a path", rows('{"a":1}', table="..%2f..%2fetc"), (400, 404), ""),
    ("rows: table name doubly encoded", rows('{"a":1}', table="%252e%252e"), (400, 404), ""),
    ("rows: table name with a dot", rows('{"a":1}', table="a.b"), (400,), ""),
    ("rows: into metrics", rows('{"a":1}', table="metrics"), (400,), "remote write"),
    # SQL
    ("sql: no statement", sql(""), (400,), ""),
    ("sql: NUL", sql("SELECT 1\x00; DROP TABLE metrics"), (400,), "NUL"),
    ("sql: two statements", sql("SELECT 1; SELECT 2"), (400,), "one statement"),
    ("sql: a file", sql("SELECT * FROM '/etc/passwd'"), (400,), ""),
    ("sql: a write", sql("CREATE TABLE x AS SELECT 1"), (400,), ""),
    ("sql: a setting", sql("SET threads = 99"), (400,), ""),
    ("sql: 2 MB of text", sql("SELECT '" + "x" * (2 << 20) + "'"), (413, 400), ""),
    ("sql: parentheses 50,000 deep", sql("SELECT " + "(" * 50000 + "1" + ")" * 50000), (400,), ""),
    ("sql: JSON body cut short", post("/api/v1/sql", '{"query":', {"Content-Type": "application/json"}), (400,), "line 1"),
    ("sql: JSON with an unknown field", post("/api/v1/sql", '{"q":"SELECT 1"}', {"Content-Type": "application/json"}), (400,), "no field"),
    ("sql: unknown format", post("/api/v1/sql?format=exe", "SELECT 1"), (400,), "format"),
    ("sql: bad percent encoding", lambda s: s.request("GET", "/api/v1/sql?query=%zz"), (400,), ""),
    # HTTP
    ("http: not HTTP", raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"), (400, 0), ""),
    ("http: length and chunked at once", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")), (400,), ""),
    ("http: two lengths", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: 5", "Content-Length: 6", body=b"hello")), (400,), ""),
    ("http: negative length", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: -1")), (400,), '"error":"Content-Length is not a number"'),
    ("http: length in words", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: five")), (400,), '"error":"Content-Length is not a number"'),
    ("http: a header without a colon", raw(http("GET /-/healthy HTTP/1.1", "Host")), (400,), '"error":"a header line has no colon"'),
    ("http: a header without a name", raw(http("GET /-/healthy HTTP/1.1", "Host: x", ": y")), (400,), '"error":"a header has no name"'),
    ("http: no Host", raw(http("GET /-/healthy HTTP/1.1", "A: b")), (400,), "no Host header"),
    ("http: length of 10^30", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: " + "9" * 30)), (400, 413), ""),
    ("http: bad chunk size", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", body=b"zz\r\n")), (400, 0), ""),
    ("http: body that never comes", raw(http("POST /api/v1/write HTTP/1.1", "Host: x", "Content-Length: 100"), shutdown=True), (400, 0), ""),
    ("http: 1 MB of headers", raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 180000 + b"\r\n"), (431,), '"error":"the head of the request is too large"'),
    ("http: 100 kB of headers", raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 16000 + b"\r\n"), (431,), '"error":"the head of the request is too large"'),
    ("http: a URL of 100 kB", raw(b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), (414,), '"error":"the request line is too long"'),
    ("http: climbing path", raw(http("GET /../../etc/passwd HTTP/1.1", "Host: x")), (400, 404), ""),
    ("http: NUL in the path", raw(http("GET /%00 HTTP/1.1", "Host: x")), (400,), ""),
    ("http: unknown method", raw(http("BREW /api/v1/sql HTTP/1.1", "Host: x")), (405, 501, 400), ""),
    ("http: 5,000 arguments", lambda s: s.request("GET", "/api/v1/sql?" + "&".join(f"a{i}=1" for i in range(5000))), (400, 414), '"error":'),
    ("http: 1,000 arguments", lambda s: s.request("GET", "/api/v1/sql?query=SELECT+1&" + "&".join(f"a{i}=" for i in range(1000))), (200,), '"data":'),
    ("http: 3,000 arguments", lambda s: s.request("GET", "/api/v1/sql?" + "&".join(f"a{i}=" for i in range(3000))), (400,), "1024"),
]


def status_and_text(answer):
    if isinstance(answer, bytes):
        head = answer.split(b"\r\n", 1)[0].split(b" ")
        return (int(head[1]) if len(head) > 1 and head[1].isdigit() else 0), answer.decode("utf-8", "replace")
    return answer.status, answer.text


def check(s, what, request, statuses, part):
    begin = time.monotonic()
    status, text = status_and_text(request(s))
    if what.startswith("http:"):
        assert time.monotonic() - begin < 5, f"{what}: answered after {time.monotonic() - begin:.1f} s"
        assert "<html>" not in text or what == "http: bad chunk size", f"{what}: {text[:300]}"
    assert status in statuses, f"{what}: answered {status}, want {statuses}: {text[:300]}"
    if part:
        assert part in text, f"{what}: {part!r} is not in {text[:300]!r}"
    return status, text


def make(case):
    def test(c):
        s = shared_server(c)
        check(s, *case)
        equal(s.request("GET", "/-/healthy").status, 200, "still healthy")
    return test


SERVER = []


def shared_server(c):
    if not SERVER or SERVER[0].process.poll() is not None:
        SERVER.clear()
        context = Context()
        s = context.server()
        equal(s.write(GOOD).status, 204)
        SERVER.append(s)
    return SERVER[0]


def test_zz_after_all_of_it_the_data_is_what_it_was(c):
    s = shared_server(c)
    equal(s.rows("SELECT metric_name, a, value FROM metrics"), [("m", "1", 1.0)])
    equal([n for n, in s.rows("SHOW TABLES") if n not in ("metrics", "flows", "ior_events")], [])
    resident = [line for line in s.request("GET", "/metrics").text.splitlines() if line.startswith("process_resident")]
    assert float(resident[0].split()[1]) < 1 << 30, resident
    equal(s.stop(), 0)


if "--table" in sys.argv:
    with Context().server() as table_server:
        for one in CASES:
            code, answered = status_and_text(one[1](table_server))
            line = answered.split("\r\n\r\n")[-1].strip().replace("\n", " ")
            print(f"{one[0]:45} {code or 'closed':>6}  {line[:110]}")
    sys.exit(0)
for index, one in enumerate(CASES):
    globals()[f"test_{index:02}_{one[0].replace(' ', '_')}"] = make(one)
run(dict(sorted(globals().items())))
