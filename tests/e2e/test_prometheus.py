# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes itself and a node exporter and remote-writes to cardinal: every sample it has is found."""
import http.client
import json
import shutil
import subprocess
import time
import urllib.parse

from harness import Skip, equal, free_port, run


def api(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return json.loads(body)


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


def test_every_sample_of_prometheus_arrives(c):
    if not shutil.which("prometheus") or not shutil.which("prometheus-node-exporter"):
        raise Skip("prometheus or prometheus-node-exporter is not installed")
    s = c.server()
    port, node_port = free_port(), free_port()
    (c.dir / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s}}
remote_write:
  - url: {s.url}/api/v1/write
    queue_config: {{batch_send_deadline: 500ms}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  - job_name: node
    static_configs: [{{targets: ['127.0.0.1:{node_port}']}}]
""")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    node = subprocess.Popen(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{node_port}"], **quiet)
    prometheus = subprocess.Popen(["prometheus", f"--config.file={c.dir}/prometheus.yml", f"--storage.tsdb.path={c.dir}/prom",
                                   f"--web.listen-address=127.0.0.1:{port}"], **quiet)
    try:
        wait_until("Prometheus is ready", 30, lambda: api(port, "/api/v1/status/buildinfo")["status"] == "success")
        time.sleep(8)
        s.flush()
        time.sleep(4)
        # Ask for a window that is over, so that both have all of it.
        end = time.time() - 3
        query = urllib.parse.urlencode({"query": '{__name__=~".+"}[1h]', "time": f"{end:.3f}"})
        result = api(port, f"/api/v1/query?{query}")["data"]["result"]
        want = {}
        for one in result:
            labels = tuple(sorted(one["metric"].items()))
            for timestamp, value in one["values"]:
                want[labels, round(timestamp * 1000)] = value
        assert len(want) > 2000, len(want)
        names = [n for n, _ in s.rows("SELECT column_name, column_type FROM (DESCRIBE metrics)")]
        columns = [n for n in names if n not in ("timestamp", "metric_name", "value", "labels", "date")]
        picked = ", ".join(f'"{n}"' for n in columns)
        got = {}
        answer = s.sql(f"SELECT epoch_ms(timestamp), metric_name, CAST(value AS VARCHAR), to_json(labels), {picked} FROM metrics")
        for timestamp, name, value, rest, *values in answer.json()["data"]:
            labels = {"__name__": name, **{k: v for k, v in zip(columns, values) if v is not None}}
            labels.update(json.loads(rest) if rest else {})
            key = tuple(sorted(labels.items())), timestamp
            assert key not in got, f"twice: {key}"
            got[key] = value
        missing = [key for key in want if key not in got]
        equal(missing[:3], [], f"{len(missing)} of {len(want)} samples are missing")
        wrong = [(key, value, got[key]) for key, value in want.items() if float(value) != float(got[key]) and value != "NaN"]
        equal(wrong[:3], [])
        failed = api(port, "/api/v1/query?query=sum(prometheus_remote_storage_samples_failed_total)")["data"]["result"]
        assert not failed or float(failed[0]["value"][1]) == 0, failed
    finally:
        prometheus.kill()
        node.kill()
        prometheus.wait()
        node.wait()


if __name__ == "__main__":
    run(globals())
