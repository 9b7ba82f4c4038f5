# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a real cardinal on a free port, HTTP, remote write bodies, TAP.

A test file is a list of functions called test_*, each with one argument, a Context. run(globals()) runs them and prints
TAP. The binary is taken from $CARDINAL, else build-check/cardinal.
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
CARDINAL = os.environ.get("CARDINAL", str(ROOT / "build-check" / "cardinal"))


class Skip(Exception):
    """Raised by a test that cannot run here; says what is missing."""


# --- remote write -------------------------------------------------------------------------------------

def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def label(name, value):
    name = name.encode() if isinstance(name, str) else name
    value = value.encode() if isinstance(value, str) else value
    return field(1, field(1, name) + field(2, value))


def sample(timestamp_ms, value):
    bits = value if isinstance(value, bytes) else struct.pack("<d", value)
    return field(2, b"\x09" + bits + b"\x10" + varint(timestamp_ms))


def zigzag(n):
    return varint(n << 1 ^ n >> 63)


def double(number, value):
    return varint(number << 3 | 1) + (value if isinstance(value, bytes) else struct.pack("<d", value))


def spans(number, pairs):
    """BucketSpan messages of (offset, length)."""
    return b"".join(field(number, (b"\x08" + zigzag(o) if o else b"") + (b"\x10" + varint(n) if n else b""))
                    for o, n in pairs)


def histogram(count=0, total=0.0, schema=0, zero_threshold=0.001, zero_count=0, negative=((), ()), positive=((), ()),
              hint=0, bounds=(), floats=False):
    """A Histogram message without its timestamp, in the order of its fields and without what is zero (but for the count):
    what is stored. negative and positive are (spans, buckets), buckets as deltas, or with floats as counts."""
    out = double(2, float(count)) if floats else b"\x08" + varint(count)
    out += double(3, total) if isinstance(total, bytes) or total else b""
    out += b"\x20" + zigzag(schema) if schema else b""
    out += double(5, zero_threshold) if zero_threshold else b""
    if zero_count:
        out += double(7, float(zero_count)) if floats else b"\x30" + varint(zero_count)
    for first, (pairs, buckets) in ((8, negative), (11, positive)):
        out += spans(first, pairs)
        if buckets and floats:
            out += field(first + 2, b"".join(struct.pack("<d", b) for b in buckets))
        elif buckets:
            out += field(first + 1, b"".join(zigzag(b) for b in buckets))
    out += b"\x70" + varint(hint) if hint else b""
    out += field(16, b"".join(struct.pack("<d", b) for b in bounds)) if bounds else b""
    return out


def histogram_sample(timestamp_ms, message):
    return field(4, message + b"\x78" + varint(timestamp_ms))


class Histogram(bytes):
    """A histogram() among the samples of a series()."""


def series(labels, samples):
    """One TimeSeries: labels as a dict or a list of pairs, samples as [(timestamp_ms, value or Histogram)]."""
    pairs = labels.items() if isinstance(labels, dict) else labels
    return field(1, b"".join(label(n, v) for n, v in pairs) + b"".join(
        histogram_sample(t, v) if isinstance(v, Histogram) else sample(t, v) for t, v in samples))


def snappy(data):
    """A snappy block of literals only: legal, and needs no library."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


# --- the server ---------------------------------------------------------------------------------------

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


class Server:
    """`cardinal serve` on a folder and a free port. Use as a context manager."""

    def __init__(self, data, *flags, env=None, wait=True):
        self.data = str(data)
        self.log_path = tempfile.mktemp(prefix="cardinal-log-")
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [CARDINAL, "serve", "--listen", "127.0.0.1:0", "--data", self.data, "--self-metrics", "0", *flags],
            stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})
        self.port = 0
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            match = re.search(r"address=127\.0\.0\.1:(\d+)", self.logged())
            if match:
                self.port = int(match.group(1))
                return
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.logged()}")
            time.sleep(0.01)
        raise AssertionError(f"the server did not start:\n{self.logged()}")

    def logged(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body.encode() if isinstance(body, str) else body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def raw(self, data, timeout=10, shutdown=False):
        """Sends bytes as they are; returns all that comes back until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            try:
                s.sendall(data)
                if shutdown:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused early: the answer is what counts
            out = b""
            try:
                while piece := s.recv(65536):
                    out += piece
                    head, _, rest = out.partition(b"\r\n\r\n")
                    size = re.search(rb"(?i)content-length: (\d+)", head)
                    if size and len(rest) >= int(size.group(1)):
                        break
            except OSError:
                pass
            return out

    def write(self, *all_series, headers=None):
        """Remote write of series() pieces."""
        return self.request("POST", "/api/v1/write", snappy(b"".join(all_series)), {
            "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0", **(headers or {})})

    def ingest(self, table, rows):
        body = rows if isinstance(rows, (bytes, str)) else "".join(json.dumps(r) + "\n" for r in rows)
        return self.request("POST", f"/api/v1/ingest/{table}", body, {"Content-Type": "application/x-ndjson"})

    def sql(self, query, **args):
        answer = self.request("POST", "/api/v1/sql?" + urllib.parse.urlencode(args), query,
                              {"Content-Type": "application/sql"})
        if answer.status != 200:
            raise AssertionError(f"{query}: {answer.status} {answer.text}")
        return answer

    def rows(self, query):
        return [tuple(row) for row in self.sql(query).json()["data"]]

    def value(self, query):
        return self.rows(query)[0][0]

    def flush(self):
        answer = self.request("POST", "/api/v1/flush")
        assert answer.status == 204, f"flush: {answer.status} {answer.text}"

    def stop(self, seconds=60):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.log.close()
        if os.path.exists(self.log_path):
            os.remove(self.log_path)


class Context:
    """What a test gets: a folder of its own, and servers that are gone after it."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cardinal-e2e-"))
        self.servers = []

    def server(self, *flags, data=None, **more):
        server = Server(data or self.dir / "data", *flags, **more)
        self.servers.append(server)
        return server

    def close(self):
        for server in self.servers:
            server.__exit__()
        shutil.rmtree(self.dir, ignore_errors=True)


def cli(*args, timeout=60, **more):
    """Runs the binary; returns the finished process with text output."""
    return subprocess.run([CARDINAL, *map(str, args)], capture_output=True, text=True, timeout=timeout, check=False, **more)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {repr(got)[:2000]}, want {repr(want)[:2000]}")


def contains(text, part, what=""):
    if part not in text:
        raise AssertionError(f"{what}: {part!r} is not in {text!r}")


def run(namespace):
    tests = [(name, f) for name, f in namespace.items() if name.startswith("test_") and callable(f)]
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [(name, f) for name, f in tests if only in name]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        context = Context()
        try:
            function(context)
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:  # a test may fail in any way; all of them are told
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            for server in context.servers:
                for line in server.logged().splitlines()[-20:]:
                    print(f"# log: {line}")
            print(f"not ok {number} - {name}", flush=True)
        finally:
            context.close()
    sys.exit(1 if failed else 0)
