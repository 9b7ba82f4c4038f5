# SPDX-License-Identifier: Apache-2.0
"""Prometheus' HTTP API and `cardinal promql`: shapes, errors, limits."""
import gzip
import json
import struct
import threading
import time
import urllib.parse

from harness import cli, contains, equal, field, label, run, sample, series, varint

T = 1767225600  # 2026-01-01T00:00:00Z


def filled(c, *flags):
    s = c.server(*flags)
    s.write(*[series({"__name__": "up", "job": job, "instance": f"{job}:{n}"}, [((T + 15 * i) * 1000, n) for i in range(41)])
              for job in ("a", "b") for n in range(2)],
            *[series({"__name__": "requests_total", "job": job}, [((T + 15 * i) * 1000, 30 * i) for i in range(41)]) for job in ("a", "b")])
    return s


def api(s, path, method="GET", **args):
    pairs = [(k.replace("match", "match[]"), v) for k, vs in args.items() for v in (vs if isinstance(vs, list) else [vs])]
    text = urllib.parse.urlencode(pairs)
    if method == "POST":
        return s.request("POST", "/api/v1/" + path, text, {"Content-Type": "application/x-www-form-urlencoded"})
    return s.request("GET", f"/api/v1/{path}?{text}")


def data(answer):
    equal(answer.status, 200, answer.text)
    body = answer.json()
    equal(body["status"], "success")
    return body["data"]


def twice(c, check, *flags):
    """The same on rows in memory, and from Parquet."""
    s = filled(c, *flags)
    check(s)
    s.flush()
    check(s)


def test_instant_queries(c):
    def check(s):
        for method in ("GET", "POST"):
            got = data(api(s, "query", method, query='sum by (job) (up)', time=T + 600))
            equal(got, {"resultType": "vector", "result": [{"metric": {"job": "a"}, "value": [T + 600, "1"]}, {"metric": {"job": "b"}, "value": [T + 600, "1"]}]})
        equal(data(api(s, "query", query="1.5e-7", time=T)), {"resultType": "scalar", "result": [T, "1.5e-07"]})
        equal(data(api(s, "query", query='"x"', time=f"{T}.123")), {"resultType": "string", "result": [T + 0.123, "x"]})
        equal(data(api(s, "query", query='up{job="a",instance="a:1"}[30s]', time="2026-01-01T00:01:00Z")),
              {"resultType": "matrix", "result": [{"metric": {"__name__": "up", "instance": "a:1", "job": "a"}, "values": [[T + 45, "1"], [T + 60, "1"]]}]})
        equal(data(api(s, "query", query="up / 0", time=T + 60))["result"][0]["value"][1], "NaN")
        equal(data(api(s, "query", query="up", time=T + 10000)), {"resultType": "vector", "result": []})
    twice(c, check)


def test_range_queries(c):
    def check(s):
        got = data(api(s, "query_range", query="round(sum(rate(requests_total[1m])), 0.001)", start=T + 60, end=T + 120, step=30))
        equal(got, {"resultType": "matrix", "result": [{"metric": {}, "values": [[T + 60, "4"], [T + 90, "4"], [T + 120, "4"]]}]})
        equal(data(api(s, "query_range", query="up", start=T, end=T + 600, step="1m", limit=1)), data(api(s, "query_range", "POST", query="up", start=T, end=T + 600, step="60", limit=1)))
        body = api(s, "query_range", query="up", start=T, end=T + 600, step="1m", limit=1).json()
        equal((len(body["data"]["result"]), body["warnings"]), (1, ["results truncated due to limit"]))
        stats = data(api(s, "query_range", query="up", start=T, end=T + 60, step=30, stats="all"))["stats"]
        equal(stats["samples"]["totalQueryableSamplesPerStep"], [[T, 4], [T + 30, 4], [T + 60, 4]])
        equal(stats["samples"]["totalQueryableSamples"], 12)
        assert stats["timings"]["evalTotalTime"] >= 0
    twice(c, check)


def test_errors_are_prometheus_errors(c):
    s = filled(c)
    for path, args, status, kind, text in (
            ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error: '),
            ("query", {}, 400, "bad_data", 'no expression found in input'),
            ("query", {"query": "up", "time": "soon"}, 400, "bad_data", 'invalid parameter "time": cannot parse "soon" to a valid timestamp'),
            ("query", {"query": "up", "timeout": "long"}, 400, "bad_data", 'invalid parameter "timeout": cannot parse "long" to a valid duration'),
            ("query", {"query": "up", "limit": "-1"}, 400, "bad_data", "limit must be non-negative"),
            ("query", {"query": "up + on(job) up", "time": T}, 422, "execution", "found duplicate series for the match group"),
            ("query", {"query": 'up{job=~"("}'}, 400, "bad_data", "error parsing regexp"),
            ("query", {"query": "foo(up)"}, 400, "bad_data", 'unknown function with name "foo"'),
            ("query_range", {"query": "up", "start": T, "end": T - 1, "step": 1}, 400, "bad_data", "end timestamp must not be before start time"),
            ("query_range", {"query": "up", "start": T, "end": T, "step": 0}, 400, "bad_data", "zero or negative query resolution step widths are not accepted"),
            ("query_range", {"query": "up", "start": T, "end": T + 20000, "step": 1}, 400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries"),
            ("query_range", {"query": "up", "end": T, "step": 1}, 400, "bad_data", 'invalid parameter "start"'),
            ("query_range", {"query": "up[1m]", "start": T, "end": T, "step": 1}, 400, "bad_data", "invalid expression type"),
            ("series", {}, 400, "bad_data", "no match[] parameter provided"),
            ("series", {"match": "{}"}, 400, "bad_data", "match[] must contain at least one non-empty matcher"),
            ("series", {"match": "up["}, 400, "bad_data", "parse error"),
            ("labels", {"start": "x"}, 400, "bad_data", 'invalid parameter "start"'),
            ("status/nothing", {}, 404, "not_found", "")):
        answer = api(s, path, **args)
        body = answer.json()
        equal((answer.status, body["status"], body.get("errorType")), (status, "error", kind), f"{path} {args}: {answer.text}")
        contains(body["error"], text, f"{path} {args}")


def test_warnings_and_infos(c):
    s = filled(c)
    body = api(s, "query", query="rate(up[1m])", time=T + 600).json()
    equal(body["infos"], ['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "up" (1:6)'])
    body = api(s, "query", query="quantile(2, up)", time=T + 600).json()
    equal(body["warnings"], ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"])


def test_series_and_labels(c):
    def check(s):
        equal(data(api(s, "series", match='up{job="a"}')),
              [{"__name__": "up", "instance": "a:0", "job": "a"}, {"__name__": "up", "instance": "a:1", "job": "a"}])
        equal(len(data(api(s, "series", "POST", match=['up{job="a"}', "{job=~'.+'}"]))), 6)
        equal(data(api(s, "series", match="up", start=T + 10000)), [])
        body = api(s, "series", match="up", limit=2).json()
        equal((len(body["data"]), body["warnings"]), (2, ["results truncated due to limit"]))
        equal(data(api(s, "labels")), ["__name__", "instance", "job"])
        equal(data(api(s, "labels", "POST", match="requests_total")), ["__name__", "job"])
        equal(data(api(s, "label/job/values")), ["a", "b"])
        equal(data(api(s, "label/__name__/values", match='{instance="a:0"}')), ["up"])
        equal(data(api(s, "label/U__job/values", match="up")), ["a", "b"])
        equal(data(api(s, "label/instance/values", limit=1)), ["a:0"])
        equal(data(api(s, "label/nothing/values")), [])
        equal(data(api(s, "label/job/values", start=T + 10000)), [])
    twice(c, check)


def test_exemplars_and_metadata(c):
    s = c.server()
    x = field(3, label("trace_id", "abc") + b"\x11" + struct.pack("<d", 6.5) + b"\x18" + varint(T * 1000 + 479))
    long = field(3, label("trace_id", "x" * 200) + b"\x11" + struct.pack("<d", 1) + b"\x18" + varint(T * 1000))
    labels = label("__name__", "latency_bucket") + label("le", "1")
    meta = field(3, b"\x08\x01" + field(2, b"reads_total") + field(4, b"How often.") + field(5, b"")) + field(3, b"\x08\x02" + field(2, b"up") + field(4, b"Is it?"))
    answer = s.write(field(1, labels + sample(T * 1000, 1) + x + long), meta)
    equal((answer.status, answer.headers["X-Prometheus-Remote-Write-Exemplars-Written"]), (204, "1"), answer.text)
    equal(data(api(s, "query_exemplars", query="histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))", start=T, end=T + 1)),
          [{"seriesLabels": {"__name__": "latency_bucket", "le": "1"},
            "exemplars": [{"labels": {"trace_id": "abc"}, "value": "6.5", "timestamp": T + 0.479}]}])
    equal(data(api(s, "query_exemplars", query="other")), [])
    equal(api(s, "query_exemplars", query="up", start=2, end=1).status, 400)
    equal(data(api(s, "metadata")), {"reads_total": [{"type": "counter", "help": "How often.", "unit": ""}], "up": [{"type": "gauge", "help": "Is it?", "unit": ""}]})
    equal(list(data(api(s, "metadata", metric="up"))), ["up"])
    equal(data(api(s, "metadata", limit=0)), {})


def test_large_answers(c):
    """Compressed when the client takes it; streamed when they are very large."""
    s = c.server()
    for k in range(0, 4000, 1000):
        s.write(*[series({"__name__": "wide", "n": str(n)}, [((T + 15 * i) * 1000, n / 7) for i in range(4)]) for n in range(k, k + 1000)])
    path = "/api/v1/query_range?" + urllib.parse.urlencode({"query": "wide", "start": T, "end": T + 60, "step": 10})
    plain = s.request("GET", path)
    assert "Content-Encoding" not in plain.headers and len(plain.body) > 500000, plain.headers
    packed = s.request("GET", path, headers={"Accept-Encoding": "gzip"})
    equal(packed.headers["Content-Encoding"], "gzip")
    equal(sorted(map(json.dumps, json.loads(gzip.decompress(packed.body))["data"]["result"])), sorted(map(json.dumps, plain.json()["data"]["result"])))
    packed = s.request("GET", path, headers={"Accept-Encoding": "gzip, zstd"})
    equal((packed.headers["Content-Encoding"], packed.body[:4]), ("zstd", b"\x28\xb5\x2f\xfd"))
    path = "/api/v1/query_range?" + urllib.parse.urlencode({"query": "wide", "start": T, "end": T + 300, "step": 1})
    huge = s.request("GET", path)
    assert len(huge.body) > 16 << 20, len(huge.body)
    equal(len(huge.json()["data"]["result"]), 4000)


def test_an_empty_store_answers(c):
    s = c.server()
    equal(data(api(s, "query", query="up"))["result"], [])
    equal(data(api(s, "series", match="up")), [])
    equal(data(api(s, "labels")), [])
    equal(data(api(s, "label/job/values")), [])


def test_the_language(c):
    s = c.server()
    equal(data(api(s, "format_query", query='sum by(job)(rate(up{a="b"}[5m]))')), 'sum by (job) (rate(up{a="b"}[5m]))')
    tree = data(api(s, "parse_query", query="-up{a!='b'} * 2"))
    equal(tree["type"], "binaryExpr")
    equal(tree["op"], "*")
    equal(api(s, "parse_query", query="up +").status, 400)


def test_status(c):
    s = filled(c)
    equal(data(api(s, "status/buildinfo"))["application"], "cardinal")
    equal(data(api(s, "status/flags"))["--query.max-samples"], "50000000")
    contains(data(api(s, "status/config"))["yaml"], "flush_rows: 2000000")
    tsdb = data(api(s, "status/tsdb"))
    equal(tsdb["headStats"]["numSeries"], 6)
    equal(tsdb["seriesCountByMetricName"], [{"name": "up", "value": 4}, {"name": "requests_total", "value": 2}])
    for path in ("status/runtimeinfo", "status/walreplay", "targets", "rules", "alerts", "alertmanagers"):
        data(api(s, path))
    contains(s.request("GET", "/metrics").text, "cardinal_promql_queries_total 0\n")


def test_features_are_switched_on(c):
    s = filled(c)
    contains(api(s, "query", query="limitk(1, up)").json()["error"], "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions")
    s.stop()
    s = filled(c, "--enable-feature", "promql-experimental-functions", "--enable-feature=promql-duration-expr")
    equal(len(data(api(s, "query", query="limitk(1, up)", time=T + 60))["result"]), 1)
    equal(len(data(api(s, "query", query="rate(requests_total[1m+30s])", time=T + 120))["result"]), 2)
    bad = cli("serve", "--data", c.dir / "other", "--enable-feature", "nonsense")
    equal(bad.returncode, 2)
    contains(bad.stderr, "enable_feature: expected promql-experimental-functions|")


def test_limits(c):
    s = filled(c, "--query.max-samples", "100", "--query.lookback-delta", "1m")
    answer = api(s, "query_range", query="up", start=T, end=T + 600, step=1)
    equal((answer.status, answer.json()["errorType"]), (422, "execution"))
    contains(answer.json()["error"], "query processing would load too many samples into memory in query execution")
    equal(data(api(s, "query", query="count(up)", time=T + 650))["result"][0]["value"][1], "4")
    equal(data(api(s, "query", query="count(up)", time=T + 661))["result"], [])
    answer = api(s, "query", query="count_values('x', up[10m:1ms])", time=T + 600, timeout="1ms")
    assert answer.status in (422, 503, 400), answer.text


def test_the_command_line(c):
    s = filled(c)
    table = cli("promql", "--url", s.url, "--time", "2026-01-01T00:01:00Z", "sum by (job) (up)")
    equal(table.stdout, "job  value\na        1\nb        1\n", table.stderr)
    csv = cli("promql", "--url", s.url, "--start", T, "--end", T + 30, "--step", "15s", "--format", "csv", "sum(up)")
    equal(csv.stdout, "time,value\n2026-01-01T00:00:00Z,2\n2026-01-01T00:00:15Z,2\n2026-01-01T00:00:30Z,2\n", csv.stderr)
    plot = cli("promql", "--url", s.url, "--start", T, "--end", T + 600, "--plot", "requests_total")
    contains(plot.stdout, "2026-01-01T00:00:00Z", plot.stderr)
    contains(plot.stdout, '━━ requests_total{job="a"}  last 1200')
    assert any("\u2801" <= ch <= "\u28ff" for ch in plot.stdout), plot.stdout
    answer = json.loads(cli("promql", "--url", s.url, "--format", "json", "1").stdout)
    equal(answer["data"]["resultType"], "scalar")
    wrong = cli("promql", "--url", s.url, "sum(")
    equal(wrong.returncode, 1)
    contains(wrong.stderr, "parse error")
    equal(cli("promql", "--nonsense", "1").returncode, 2)
    s.flush()
    plan = cli("promql", "--url", s.url, "--explain", "--time", T + 60, 'sum(up{job="a"})')
    contains(plan.stdout, 'up{job="a"}', plan.stderr)
    contains(plan.stdout, "row groups")
    s.stop()
    folder = cli("promql", "--data", s.data, "--time", T + 60, "sum(up)")
    equal(folder.stdout, "value\n    2\n", folder.stderr)


def test_a_client_that_goes_away_stops_its_query(c):
    s = c.server()
    for k in range(4):
        s.write(*[series({"__name__": "wide", "n": str(n)}, [((T + 15 * i) * 1000, i) for i in range(5)]) for n in range(5000 * k, 5000 * k + 5000)])
    slow = "sum(sum_over_time(wide[1d:1s]))"
    query = "/api/v1/query?" + urllib.parse.urlencode({"query": slow, "time": T + 60})
    errors = []

    def ask():
        try:
            s.request("GET", query, timeout=0.5)
        except OSError:
            errors.append("gone")

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    equal(errors, ["gone"])
    end = time.monotonic() + 30
    while time.monotonic() < end and "cardinal_promql_errors_total 1\n" not in s.request("GET", "/metrics").text:
        time.sleep(0.1)
    contains(s.request("GET", "/metrics").text, "cardinal_promql_errors_total 1\n")


run(globals())
