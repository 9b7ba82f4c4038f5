# SPDX-License-Identifier: Apache-2.0
"""The server as an operator meets it: settings, health, signals, own metrics."""
import re
import threading
import time

from harness import cli, contains, equal, run, series

T = 1767225600000


def test_health_and_own_metrics(c):
    s = c.server("--self-metrics", "100ms")
    equal(s.request("GET", "/-/healthy").status, 200)
    equal(s.request("GET", "/-/ready").status, 200)
    text = s.request("GET", "/metrics").text
    for name in ("cardinal_samples_written_total", "cardinal_hot_series", "process_resident_memory_bytes", "cardinal_build_info"):
        assert re.search(rf"^{name}(\{{.*\}})? ", text, re.M), name
    counts = re.findall(r"^(\w+(?:_total|_bytes|_rows|_series))(?:\{.*\})? (.*)$", text, re.M)
    assert len(counts) > 30
    for name, value in counts:
        assert value.isdigit() or "seconds" in name, f"{name} {value}: not a whole number"
    time.sleep(0.5)
    assert s.value("SELECT count(*) FROM metrics WHERE metric_name = 'cardinal_hot_rows' AND job = 'cardinal'") >= 2


def test_unknown_paths_and_methods(c):
    s = c.server()
    equal(s.request("GET", "/nope").status, 404)
    answer = s.request("GET", "/api/v1/write")
    equal(answer.status, 405)
    contains(answer.headers["Allow"], "POST")
    equal(s.request("GET", "/").status, 200)
    equal(s.request("HEAD", "/-/healthy").body, b"")


def test_settings_file_environment_and_flags(c):
    config = c.dir / "cardinal.yaml"
    config.write_text("# a comment\nflush_rows: 5\nlog_level: debug\n")
    s = c.server("--config", str(config), "--flush-rows=7", env={"CARDINAL_SELF_METRICS": "0"})
    equal(s.stop(), 0)
    for text, part in (("flush_rows: many\n", "cardinal.yaml:1:13"), ("\nnope: 1\n", "cardinal.yaml:2:1"), ("a: [1]\n", "a"),
                       ("- x\n", "cardinal.yaml:1:1"), ("flush_rows: 1: 2\n", "cardinal.yaml:1")):
        config.write_text(text)
        done = cli("serve", "--config", config, "--data", c.dir / "d")
        equal(done.returncode, 2, text)
        contains(done.stderr, part, text)
    for flags, part in ((["--nope"], "--nope"), (["--flush-rows", "x"], "--flush-rows"), (["--flush-rows"], "needs a value"),
                        (["--durability", "maybe"], "sync|interval"), (["--listen", "nonsense"], "listen")):
        done = cli("serve", "--data", c.dir / "d", *flags)
        assert done.returncode in (1, 2), flags
        contains(done.stderr, part)
    done = cli("config")
    config.write_text(done.stdout.replace("127.0.0.1:8080", "127.0.0.1:0"))
    s = c.server("--config", str(config), data=c.dir / "d2")
    equal(s.stop(), 0, "the example file works")


def test_help_explains_itself(c):
    for args in (["help"], ["--help"], ["serve", "--help"], ["sql", "--help"], ["collect", "--help"], ["flush", "--help"]):
        done = cli(*args)
        equal((done.returncode, done.stderr), (0, ""), args)
        assert len(done.stdout) > 100, args
    equal(cli("nope").returncode, 2)
    contains(cli("--version").stdout, "cardinal 0.1.0")


def test_loopback_unless_told_otherwise(c):
    contains(cli("serve", "--help").stdout, "127.0.0.1:8080")


def test_a_stop_cuts_no_accepted_request_and_flushes(c):
    s = c.server()
    answers = []

    def write(k):
        for i in range(200):
            try:
                answers.append((k, i, s.write(series({"__name__": "m", "k": str(k)}, [(T + i * 1000, i)])).status))
            except OSError:
                return
    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    equal(s.stop(), 0)
    for thread in threads:
        thread.join()
    acknowledged = sum(1 for _, _, status in answers if status == 204)
    assert acknowledged > 0
    contains(s.logged(), "stopped")
    done = cli("sql", "--data", c.dir / "data", "--format", "csv", "SELECT count(*) AS n FROM metrics")
    assert int(done.stdout.split()[1]) >= acknowledged, (done.stdout, acknowledged)
    assert list((c.dir / "data").rglob("*.parquet"))


def test_a_folder_has_one_server(c):
    c.server()
    done = cli("serve", "--listen", "127.0.0.1:0", "--data", c.dir / "data")
    equal(done.returncode, 1)
    contains(done.stderr, "another process")


def test_a_folder_that_cannot_be_written(c):
    (c.dir / "file").write_text("x")
    done = cli("serve", "--listen", "127.0.0.1:0", "--data", c.dir / "file" / "data")
    equal(done.returncode, 1)
    contains(done.stderr, "file")


run(globals())
