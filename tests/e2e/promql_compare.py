# SPDX-License-Identifier: Apache-2.0
"""Two servers that speak Prometheus' query API over the same samples: generated expressions, and their answers side by side.

    generator = Generator(seed); expression = generator.expression()
    different = compare(api_a, api_b, expression, times)     # None, or what differs

Sample times never fall on an edge of a window (see times_of()), because Prometheus 2 takes the left edge of a window and
Prometheus 3 does not. What else may differ is in EXPLAINED, with its reason; everything else is a fault.

`promql_compare.py URL_A URL_B START_MS [SEED [COUNT]]` compares two servers that have samples(1, START_MS).
"""
import json
import math
import random
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

STEP_MS = 15000
SAMPLES = 240  # one hour
PHASE_MS = 7300  # samples lie 7.3 s after the multiples of 15 s


class Api:
    """/api/v1/query and /api/v1/query_range of one server."""

    def __init__(self, base):
        self.base = base.rstrip("/")

    def get(self, path, **args):
        body = urllib.parse.urlencode(args).encode()
        request = urllib.request.Request(f"{self.base}{path}", data=body,
                                         headers={"Content-Type": "application/x-www-form-urlencoded"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                return json.loads(text)
            except ValueError:
                return {"status": "error", "errorType": f"http {error.code}", "error": text.decode("utf-8", "replace")}

    def query(self, expression, time):
        return self.get("/api/v1/query", query=expression, time=f"{time:.3f}")

    def query_range(self, expression, start, end, step):
        return self.get("/api/v1/query_range", query=expression, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:g}")


# --- samples ------------------------------------------------------------------------------------------

def samples(seed, start_ms):
    """[(labels, [(time_ms, value)])]: counters with resets, gauges, gaps, series that end, classic histograms."""
    rng = random.Random(seed)
    out = []

    def add(labels, values):
        out.append((labels, [(start_ms + i * STEP_MS + PHASE_MS, v) for i, v in enumerate(values) if v is not None]))

    for job in ("api", "web", "db"):
        for instance in range(3):
            labels = {"job": job, "instance": f"i{instance}", "zone": "abc"[instance]}
            # Far from zero, also after a reset: where a counter is about to reach zero before the window begins,
            # Prometheus 2 and 3 extrapolate differently.
            total, values = 1e6, []
            for i in range(SAMPLES):
                total = 1e5 + rng.randrange(20) if rng.random() < 0.01 else total + rng.randrange(50)
                values.append(total)
            add({"__name__": "requests_total", **labels}, values)
            add({"__name__": "errors_total", **labels, "code": str(500 + instance)},
                [None if rng.random() < 0.2 else 1000.0 + i // 7 for i in range(SAMPLES)])
            add({"__name__": "temperature", **labels},
                [round(20 + 10 * math.sin(i / 9 + instance) + rng.random(), 3) for i in range(SAMPLES)])
            add({"__name__": "queue", **labels}, [rng.randrange(-5, 6) + 0.37 for _ in range(SAMPLES)])
            add({"__name__": "up", **labels}, [float(rng.random() > 0.1) for _ in range(SAMPLES)])
            if instance == 1:  # there for a part of the time
                add({"__name__": "late", **labels}, [float(i) if 80 <= i < 150 or i > 200 else None for i in range(SAMPLES)])
            counts = [5000.0] * 5
            rows = [[] for _ in counts]
            for i in range(SAMPLES):
                for at in range(len(counts)):
                    counts[at] += rng.randrange(3)
                below = 0.0
                for at, count in enumerate(counts):
                    below += count
                    rows[at].append(below)
            for bound, values in zip(("0.1", "0.5", "1", "2.5", "+Inf"), rows):
                add({"__name__": "latency_bucket", **labels, "le": bound}, values)
            add({"__name__": "latency_count", **labels}, rows[-1])
        add({"__name__": "job_info", "job": job, "team": f"team-{job[0]}"}, [1.0] * SAMPLES)
    odd = [1.0, math.nan, -math.inf, math.inf, 0.0, -0.0, 1e300, -1e300, 2.5, 1e-300]
    add({"__name__": "odd", "job": "api"}, [odd[i % len(odd)] for i in range(SAMPLES)])
    return out


def times_of(rng, start_ms):
    """(start, end, step) in seconds, and the time of an instant query: multiples of a second that are no multiple of a
    subquery's step, so that neither a sample nor a point of a subquery lies on the edge of a window."""
    start = start_ms / 1000 + rng.randrange(2, 30) * 60 + 7
    step = rng.choice([60, 60, 120, 300, 15, 45])
    end = start + step * rng.randrange(1, 20)
    return (start, end, step), start_ms / 1000 + rng.randrange(5, 59) * 60 + 7


# --- expressions --------------------------------------------------------------------------------------

NUMBERS = ["0", "1", "2", "-1", "0.5", "10", "100", "3.7"]
RANGES = ["1m", "5m", "2m", "10m", "90s", "30m", "20s"]
SELECTORS = [
    "requests_total", "errors_total", "temperature", "queue", "up", "late", "latency_count", "job_info",
    'requests_total{job="api"}', 'temperature{zone=~"a|b"}', 'queue{instance!="i0"}', 'errors_total{code=~"50[01]"}',
    'up{job!~"w.*"}', 'temperature{job="api",instance="i1"}', 'requests_total{nothing=""}', 'absent_metric{job="x"}',
    '{__name__="queue",job=~".+"}',
]
COUNTERS = ["requests_total", "errors_total", 'requests_total{job="web"}', "latency_count", "latency_bucket"]
OVER_RANGE = ["avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "last_over_time",
              "present_over_time", "stddev_over_time", "stdvar_over_time", "delta", "idelta", "deriv", "changes", "resets"]
OVER_COUNTER = ["rate", "increase", "irate", "resets"]
OVER_VECTOR = ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "sin", "cos", "tan", "atan",
               "sinh", "tanh", "deg", "rad", "timestamp", "absent", "minute", "hour", "day_of_week", "day_of_month",
               "day_of_year", "days_in_month", "month", "year", "sort", "sort_desc", "-", "+"]
AGGREGATIONS = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]
GROUPINGS = ["", "", "by (job)", "by (job, zone)", "without (instance)", "by ()", "without (zone, instance)", "by (nothing)"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISON = ["==", "!=", "<", ">", "<=", ">=", "== bool", "> bool", "<= bool"]
SETS = ["and", "or", "unless"]
TIMES = [""] * 8 + ["offset 1m", "offset 5m", "offset -2m"]


class Generator:
    """Expressions that Prometheus 2.42 knows, from a seed."""

    def __init__(self, seed, start_ms):
        self.rng = random.Random(seed)
        self.start = start_ms // 1000

    def one(self, items):
        return self.rng.choice(items)

    def time(self):
        if self.rng.random() < 0.06:
            return self.one([f"@ {self.start + 907}", "@ start()", "@ end()", f"@ {self.start + 1807} offset 2m"])
        return self.one(TIMES)

    def selector(self):
        return f"{self.one(SELECTORS)} {self.time()}".strip()

    def range(self, selectors=None):
        if self.rng.random() < 0.15:
            inner = self.vector(1) if selectors is None else f"{self.one(COUNTERS)} * 3"
            return f"({inner})[{self.one(['5m', '10m', '3m'])}:{self.one(['30s', '1m', ''])}]"
        return f"{self.one(selectors or SELECTORS)}[{self.one(RANGES)}] {self.time()}".strip()

    def aggregation(self, depth):
        inner = self.vector(depth - 1)
        kind = self.rng.random()
        if kind < 0.7:
            return f"{self.one(AGGREGATIONS)} {self.one(GROUPINGS)} ({inner})"
        if kind < 0.8:
            return f"quantile {self.one(GROUPINGS)} ({self.one(['0', '0.25', '0.5', '0.99', '1', '-1', '2'])}, {inner})"
        if kind < 0.9:  # which of equal ones are taken is not defined: only how many
            return f"count({self.one(['topk', 'bottomk'])} {self.one(GROUPINGS)} ({self.one(['1', '2', '5'])}, {inner}))"
        return f'count_values {self.one(GROUPINGS)} ("value", round({inner}))'

    def function(self, depth):
        kind = self.rng.random()
        if kind < 0.3:
            return f"{self.one(OVER_RANGE)}({self.range()})"
        if kind < 0.55:
            return f"{self.one(OVER_COUNTER)}({self.range(COUNTERS)})"
        if kind < 0.8:
            return f"{self.one(OVER_VECTOR)}({self.vector(depth - 1)})"
        return self.one([
            lambda: f"quantile_over_time({self.one(['0.1', '0.5', '0.9'])}, {self.range()})",
            lambda: f"predict_linear({self.range()}, {self.one(['60', '3600', '-60'])})",
            lambda: f"clamp({self.vector(depth - 1)}, {self.one(NUMBERS)}, {self.one(NUMBERS)})",
            lambda: f"clamp_min({self.vector(depth - 1)}, {self.one(NUMBERS)})",
            lambda: f"round({self.vector(depth - 1)}, {self.one(['0.1', '5', '0.25'])})",
            lambda: f'label_replace({self.vector(depth - 1)}, "pod", "$1-x", "{self.one(["job", "zone", "no"])}", "(.).*")',
            lambda: f'label_join({self.vector(depth - 1)}, "all", "/", "job", "instance")',
            lambda: f"absent_over_time({self.range()})",
            lambda: f"vector({self.scalar(depth - 1)})",
            lambda: f"histogram_quantile({self.one(['0.1', '0.5', '0.9', '0.99'])}, sum by (le, job) (rate(latency_bucket[{self.one(RANGES)}])))",
            lambda: f"histogram_quantile({self.one(['0.5', '0.95'])}, latency_bucket)",
        ])()

    def scalar(self, depth):
        if depth <= 0 or self.rng.random() < 0.5:
            return self.one(NUMBERS + ["time()", "pi()"])
        return self.one([lambda: f"scalar({self.vector(depth - 1)})",
                         lambda: f"({self.scalar(depth - 1)} {self.one(ARITHMETIC)} {self.scalar(depth - 1)})"])()

    def binary(self, depth):
        operator = self.one(ARITHMETIC + COMPARISON)
        kind = self.rng.random()
        if kind < 0.35:
            pair = [self.vector(depth - 1), self.scalar(depth - 1)]
            self.rng.shuffle(pair)
            return f"({pair[0]} {operator} {pair[1]})"
        if kind < 0.55:
            return f"({self.vector(depth - 1)} {self.one(SETS)} {self.one(['', 'on(job) ', 'ignoring(code) '])}{self.vector(depth - 1)})"
        if kind < 0.75:
            return f"({self.one(SELECTORS[:5])} {operator} ignoring(code) {self.one(SELECTORS[:5])})"
        if kind < 0.85:
            return f"({self.one(SELECTORS[:5])} {operator} on(job) group_left({self.one(['team', ''])}) job_info)"
        if kind < 0.93:
            return f"(sum by (job) ({self.vector(depth - 1)}) {operator} sum by (job) ({self.vector(depth - 1)}))"
        return f"({self.vector(depth - 1)} {operator} {self.vector(depth - 1)})"

    def vector(self, depth):
        if depth <= 0:
            return self.selector()
        kind = self.rng.random()
        if kind < 0.1:
            return self.selector()
        return self.one([self.aggregation, self.function, self.function, self.binary])(depth)

    def expression(self):
        return self.scalar(2) if self.rng.random() < 0.05 else self.vector(self.rng.randrange(1, 4))


# --- comparison ---------------------------------------------------------------------------------------

def close(a, b):
    """The same number, but for the order in which sums were made."""
    a, b = float(a), float(b)
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    if math.isinf(a) or math.isinf(b) or math.isnan(a) or math.isnan(b):
        return False
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b)) + 1e-9


def points(data):
    """{(labels, time): value}, with labels None for a scalar."""
    out = {}
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        return {(None, result[0]): result[1]}
    for one in result:
        labels = tuple(sorted(one["metric"].items()))
        for time, value in one.get("values", [one["value"]] if "value" in one else []):
            if (labels, time) in out:
                out[labels, time, "twice"] = value
            out[labels, time] = value
    return out


def difference(a, b):
    """None, or a text that says what differs between two answers of the API."""
    if a["status"] != b["status"]:
        return f"one fails: {a.get('error', 'ok')!r}, {b.get('error', 'ok')!r}"
    if a["status"] != "success":
        return None if a["errorType"] == b["errorType"] else f"kinds of failure: {a['errorType']}, {b['errorType']}"
    if a["data"]["resultType"] != b["data"]["resultType"]:
        return f"types: {a['data']['resultType']}, {b['data']['resultType']}"
    left, right = points(a["data"]), points(b["data"])
    only = [key for key in left if key not in right][:2], [key for key in right if key not in left][:2]
    if only[0] or only[1]:
        return f"points of one only: {only[0]}, {only[1]} (of {len(left)}, {len(right)})"
    wrong = [(key, value, right[key]) for key, value in left.items() if not close(value, right[key])]
    return f"{len(wrong)} of {len(left)} values differ, as {wrong[:2]}" if wrong else None


# Why an answer may differ from that of Prometheus 2.42: (test of expression and difference, reason).
EXPLAINED = [
    (lambda expression, what: "atan2" in expression, "2.42 keeps the name of the metric with atan2"),
    (lambda expression, what: re.search(r"(resets|changes)\(\(", expression),
     "whether a computed value changed depends on its last bit, and so on the order of sums"),
    (lambda expression, what: re.search(r"std(dev|var)", expression) and
     ("NaN" in what or "Inf" in what or "bool" in expression), "2.42 takes the deviation of one infinite value for 0"),
    (lambda expression, what: len(re.findall(r"\[\w+:\w*\]", expression)) > 1,
     "a subquery in a subquery runs at points of the outer one, where 2.42 has the left edge of the window as well"),
]


def explain(expression, what):
    for test, reason in EXPLAINED:
        if test(expression, what):
            return reason
    return None


def compare(a, b, expression, times):
    """Asks both servers, at one time and over a range; what differs and is not explained, and the reasons of what is."""
    (start, end, step), instant = times
    reasons = []
    for name, answers in (("instant", (a.query(expression, instant), b.query(expression, instant))),
                          ("range", (a.query_range(expression, start, end, step), b.query_range(expression, start, end, step)))):
        what = difference(*answers)
        if what is None:
            continue
        reason = explain(expression, what)
        if reason is None:
            at = f"at {instant:.3f}" if name == "instant" else f"from {start:.3f} to {end:.3f} step {step}"
            return f"{name} {at}: {expression}\n    {what}", reasons
        reasons.append(reason)
    return None, reasons


def compare_many(a, b, seed, count, start_ms):
    """(what differs, {reason: how often}, how many expressions gave a result with points in it)."""
    generator = Generator(seed, start_ms)
    rng = random.Random(seed + 1)
    different, reasons, telling = [], {}, 0
    for _ in range(count):
        expression, times = generator.expression(), times_of(rng, start_ms)
        what, why = compare(a, b, expression, times)
        if what is not None:
            different.append(what)
        for reason in why:
            reasons[reason] = reasons.get(reason, 0) + 1
        answer = b.query(expression, times[1])
        telling += answer["status"] == "success" and bool(answer["data"]["result"])
    return different, reasons, telling


if __name__ == "__main__":
    faults, explained, told = compare_many(Api(sys.argv[1]), Api(sys.argv[2]), int(sys.argv[4]) if len(sys.argv) > 4 else 1,
                                           int(sys.argv[5]) if len(sys.argv) > 5 else 600, int(sys.argv[3]))
    for fault in faults:
        print(fault)
    print(f"{len(faults)} differ, {explained}, {told} with points")
