# SPDX-License-Identifier: Apache-2.0
"""A million series: queries over their budget are refused, the server stays within its memory, other queries go on."""
import re
import struct
import threading
import time
import urllib.parse

from harness import contains, equal, field, label, run, snappy, varint

T = 1767225600
SERIES = 1_000_000
PER_REQUEST = 50_000
RSS_MAX_BYTES = 1500 << 20


def fill(s):
    """One sample of each series; `pod` has 1000 values, `conn` is of one series alone."""
    tail = field(2, b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(T * 1000))
    name = label("__name__", "wide")
    pods = [label("pod", f"pod-{k}") for k in range(1000)]
    for first in range(0, SERIES, PER_REQUEST):
        body = b"".join(field(1, name + label("conn", f"c-{k:07}") + pods[k % 1000] + tail) for k in range(first, first + PER_REQUEST))
        answer = s.request("POST", "/api/v1/write", snappy(body), {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
        equal(answer.status, 204, answer.text)


def ask(s, query, **more):
    return s.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": T + 60, **more}), timeout=300)


def rss(s):
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as status:
        found = re.search(r"VmRSS:\s+(\d+)", status.read())
        return int(found.group(1)) << 10 if found else 0  # it has ended


class Others:
    """Small queries that go on meanwhile."""

    def __init__(self, s):
        self.s, self.stop, self.answers, self.peak = s, False, [], 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop:
            self.answers.append(ask(self.s, 'wide{conn="c-0123456"}').json()["data"]["result"])
            self.peak = max(self.peak, rss(self.s))

    def end(self):
        self.stop = True
        self.thread.join()
        assert self.answers, "no other query was answered"
        for answer in self.answers:
            equal([(r["metric"]["pod"], r["value"]) for r in answer], [("pod-456", [T + 60, "1"])])


def check(s):
    others = Others(s)
    for _ in range(3):
        answer = ask(s, "wide[10m:1s]")
        equal((answer.status, answer.json()["errorType"]), (422, "execution"), answer.text[:200])
        contains(answer.json()["error"], "query processing would load too many samples into memory in query execution")
        answer = s.request("GET", "/api/v1/query_range?" + urllib.parse.urlencode({"query": "wide * 2", "start": T, "end": T + 600, "step": 1}), timeout=300)
        equal((answer.status, answer.json()["errorType"]), (422, "execution"), answer.text[:200])
    equal(len(ask(s, "count by (pod) (wide)").json()["data"]["result"]), 1000)
    equal(ask(s, "sum(wide)").json()["data"]["result"][0]["value"][1], str(SERIES))
    begin = time.monotonic()
    answer = ask(s, " + ".join(["sum(wide)"] * 200), timeout="500ms")
    equal((answer.status, answer.json()["errorType"]), (503, "timeout"), answer.text[:200])
    contains(answer.json()["error"], "query timed out in ")
    assert time.monotonic() - begin < 10, time.monotonic() - begin
    others.end()
    assert others.peak < RSS_MAX_BYTES, f"{others.peak >> 20} MiB"


def test_queries_over_their_budget(c):
    s = c.server("--query.max-samples", "1500000", "--memory-limit", "1GB", "--flush-interval", "1h")
    fill(s)
    check(s)
    s.flush()
    check(s)


run(globals())
