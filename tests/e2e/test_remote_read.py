# SPDX-License-Identifier: Apache-2.0
"""Remote read: a real Prometheus asks cardinal for what it never had itself, in streamed chunks; and raw requests."""
import math
import shutil
import struct
import subprocess
import urllib.parse
import zlib

from harness import Skip, contains, equal, field, free_port, run, series, snappy, varint
from test_prometheus import api, wait_until

T = 1767225600  # 2026-01-01T00:00:00Z
READ = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Read-Version": "0.1.0"}


def matcher(kind, name, value):
    return field(3, b"\x08" + varint(kind) + field(2, name.encode()) + field(3, value.encode()))


def query(start_s, end_s, *matchers):
    return field(1, b"\x08" + varint(start_s * 1000) + b"\x10" + varint(end_s * 1000) + b"".join(matchers))


def fill(s):
    s.write(*[series({"__name__": "reads_total", "n": str(n)}, [((T + 15 * i) * 1000, n * i * 1.5 if i % 50 else math.pi * i) for i in range(400)])
              for n in range(20)])


def test_a_real_prometheus_reads_through_cardinal(c):
    if not shutil.which("prometheus"):
        raise Skip("prometheus is not installed")
    s = c.server()
    fill(s)
    s.flush()
    s.write(series({"__name__": "reads_total", "n": "hot"}, [((T + 15 * i) * 1000, i) for i in range(400)]))
    port = free_port()
    (c.dir / "prometheus.yml").write_text(f"remote_read:\n  - url: {s.url}/api/v1/read\n    read_recent: true\n")
    prometheus = subprocess.Popen(["prometheus", f"--config.file={c.dir}/prometheus.yml", f"--storage.tsdb.path={c.dir}/prom",
                                   f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("Prometheus is ready", 30, lambda: api(port, "/api/v1/status/buildinfo")["status"] == "success")
        for expr in ("reads_total", 'sum by (n) (rate(reads_total{n=~"1.*|hot"}[5m]))', 'count(reads_total{n!="hot"})'):
            args = urllib.parse.urlencode({"query": expr, "start": T + 302.5, "end": T + 5990, "step": 60})  # Prometheus 2 has ranges closed at both ends
            theirs = api(port, f"/api/v1/query_range?{args}")
            equal(theirs["status"], "success", theirs)
            ours = s.request("GET", f"/api/v1/query_range?{args}").json()
            equal(len(ours["data"]["result"]) > 0, True)
            by_labels = {tuple(sorted(r["metric"].items())): r["values"] for r in ours["data"]["result"]}
            equal(len(theirs["data"]["result"]), len(by_labels), expr)
            for r in theirs["data"]["result"]:
                mine = by_labels[tuple(sorted(r["metric"].items()))]
                equal([t for t, _ in mine], [t for t, _ in r["values"]], expr)
                for (_, a), (_, b) in zip(mine, r["values"]):
                    assert math.isclose(float(a), float(b), rel_tol=1e-9), (expr, a, b)
    finally:
        prometheus.kill()
        prometheus.wait()


def unsnappy(data):
    """A snappy block; enough of one for tests."""
    size = shift = at = 0
    while True:
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                extra = n - 59
                n = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + n + 1]
            at += n + 1
            continue
        if tag & 3 == 1:
            n, offset = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            n, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + width], "little")
            at += width
        for _ in range(n):
            out.append(out[-offset])
    equal(len(out), size)
    return bytes(out)


def test_samples_in_one_message(c):
    s = c.server()
    fill(s)
    answer = s.request("POST", "/api/v1/read", snappy(query(T, T + 30, matcher(0, "__name__", "reads_total"), matcher(0, "n", "2")) + query(T, T, matcher(2, "n", "none"))), READ)
    equal((answer.status, answer.headers["Content-Type"], answer.headers["Content-Encoding"]), (200, "application/x-protobuf", "snappy"), answer.text)
    labels = field(1, field(1, b"__name__") + field(2, b"reads_total")) + field(1, field(1, b"n") + field(2, b"2"))
    samples = b"".join(field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + varint((T + 15 * i) * 1000)) for i, v in enumerate((0.0, 3.0, 6.0)))
    equal(unsnappy(answer.body), field(1, field(1, labels + samples)) + field(1, b""))


def test_frames_are_checked_by_crc(c):
    s = c.server()
    fill(s)
    answer = s.request("POST", "/api/v1/read", snappy(query(T, T + 6000, matcher(0, "__name__", "reads_total")) + b"\x12\x01\x01"), READ)
    equal(answer.status, 200, answer.text)
    contains(answer.headers["Content-Type"], "proto=prometheus.ChunkedReadResponse")
    assert zlib.crc32(answer.body) and len(answer.body) < 400 * 20 * 12, len(answer.body)


def test_bad_requests(c):
    s = c.server()
    for body, text in ((b"", "remote read body"), (b"\xff\xff\xff\xff\xff", "remote read body"), (snappy(b"\x0a\x05\x08"), "malformed message"),
                       (snappy(query(0, 1, matcher(9, "a", "b"))), "invalid matcher type 9"), (snappy(query(0, 1, matcher(2, "a", "("))), "error parsing regexp")):
        answer = s.request("POST", "/api/v1/read", body, READ)
        equal(answer.status, 400, text)
        contains(answer.text, text)
    equal(s.request("POST", "/api/v1/read", snappy(query(0, 1)), READ).status, 200)


if __name__ == "__main__":
    run(globals())
