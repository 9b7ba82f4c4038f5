# SPDX-License-Identifier: Apache-2.0
"""Generated expressions, answered by a real Prometheus and by a cardinal that has its samples by remote write."""
import http.client
import os
import re
import shutil
import subprocess
import time

import promql_compare
from harness import Skip, contains, equal, free_port, run, series, snappy

SEED = int(os.environ.get("TEST_SEED", "1"))
EXPRESSIONS = 600


def wait_until(what, seconds, probe):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if probe():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


def write(port, samples):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/api/v1/write", snappy(b"".join(series(labels, values) for labels, values in samples)),
                       {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                        "X-Prometheus-Remote-Write-Version": "0.1.0"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 204, f"{answer.status} {text}"


def count_samples(api, names, start_ms):
    """How many samples a server has of the test."""
    seconds = promql_compare.SAMPLES * 15
    counts = [api.query(f"sum(count_over_time({name}[{seconds + 60}s]))", start_ms / 1000 + seconds + 30) for name in names]
    assert all(one["status"] == "success" for one in counts), counts[0]
    return sum(int(one["data"]["result"][0]["value"][1]) for one in counts if one["data"]["result"])


def test_the_same_answers_as_prometheus(c):
    if not shutil.which("prometheus"):
        raise Skip("prometheus is not installed")
    s = c.server()
    if s.request("GET", "/api/v1/query?query=1").status == 404:
        raise Skip("cardinal does not serve /api/v1/query yet")
    port = free_port()
    (c.dir / "prometheus.yml").write_text(f"""
remote_write:
  - url: {s.url}/api/v1/write
    queue_config: {{batch_send_deadline: 200ms}}
""")
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={c.dir}/prometheus.yml", f"--storage.tsdb.path={c.dir}/prom",
         f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    theirs, ours = promql_compare.Api(f"http://127.0.0.1:{port}"), promql_compare.Api(s.url)
    try:
        wait_until("Prometheus is ready", 30, lambda: theirs.query("1", 1)["status"] == "success")
        # Prometheus forwards what is newer than its own start: the samples lie ahead.
        start_ms = (int(time.time()) // 60 + 2) * 60000
        samples = promql_compare.samples(SEED, start_ms)
        count = sum(len(values) for _, values in samples)
        names = sorted({labels["__name__"] for labels, _ in samples})
        write(port, samples)
        equal(count_samples(theirs, names, start_ms), count, "samples of Prometheus")
        wait_until("the samples have arrived", 60, lambda: count_samples(ours, names, start_ms) == count)
        telling = 0
        for half, seed in (("hot", SEED), ("parquet", SEED + 1000)):
            if half == "parquet":
                s.flush()
            different, reasons, told = promql_compare.compare_many(theirs, ours, seed, EXPRESSIONS // 2, start_ms)
            print(f"# {half}: {EXPRESSIONS // 2} expressions, {told} with points, {len(different)} differ")
            for reason, times in sorted(reasons.items()):
                print(f"# explained {times} times: {reason}")
            for what in different:
                print("# " + what[:2000].replace("\n", "\n# "))
            assert not different, f"{len(different)} of {EXPRESSIONS // 2} expressions differ ({half})"
            telling += told
        assert telling > EXPRESSIONS // 2, f"only {telling} results had points"
    finally:
        prometheus.kill()
        prometheus.wait()


def test_a_difference_is_seen(_):
    """The comparison itself: what it must tell apart."""
    def answer(value, **labels):
        return {"status": "success", "data": {"resultType": "vector", "result": [{"metric": labels, "value": [1, value]}]}}

    same = promql_compare.difference
    equal(same(answer("1", a="b"), answer("1.0000000000001", a="b")), None)
    contains(same(answer("1", a="b"), answer("1.1", a="b")), "values differ")
    contains(same(answer("1", a="b"), answer("1", a="c")), "points of one only")
    contains(same(answer("NaN"), answer("1")), "values differ")
    equal(same(answer("NaN"), answer("NaN")), None)
    failed = {"status": "error", "errorType": "execution", "error": "x"}
    contains(same(answer("1"), failed), "one fails")
    equal(same(failed, {**failed, "error": "y"}), None)
    contains(same(failed, {**failed, "errorType": "bad_data"}), "kinds of failure")
    expressions = [promql_compare.Generator(seed, 0).expression() for seed in range(2000)]
    for name in promql_compare.OVER_RANGE + promql_compare.OVER_COUNTER + promql_compare.AGGREGATIONS:
        assert any(re.search(rf"\b{name}\b", one) for one in expressions), f"no expression has {name}"


run(globals())
