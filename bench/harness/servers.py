# SPDX-License-Identifier: Apache-2.0
"""cardinal and its peers, started on free ports of this machine with folders of their own."""
import json
import pathlib
import re
import shutil
import subprocess
import time

from . import machine
from .machine import BenchError


class Server:
    """Started by the constructor. `write_path` takes remote write."""

    name = ""
    write_path = "/api/v1/write"

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.data = folder / "data"
        self.port = machine.free_port()
        self.child = None

    def start(self, args: list, ready_path: str) -> None:
        self.child = machine.Child(args, self.folder / "log")
        machine.wait_until_ready(self.child, self.port, ready_path)
        self.http = machine.Http(self.port)

    def url(self, path: str = None) -> str:
        return f"http://127.0.0.1:{self.port}{path or self.write_path}"

    def flush(self) -> None:
        """Returns when all that was acknowledged is in files."""
        raise NotImplementedError

    def make_visible(self) -> None:
        """Returns when queries see all that was acknowledged."""

    def stored_samples(self) -> int:
        """After flush(): how many samples of the load there are."""
        raise NotImplementedError

    def disk_bytes(self) -> dict:
        """After flush(): what the stored data takes; "all" is data and index together."""
        raise NotImplementedError

    def stop(self) -> None:
        self.child.kill()  # nothing is asked of it any more
        shutil.rmtree(self.folder, ignore_errors=True)


def figures(http: machine.Http, path: str = "/metrics") -> dict:
    """The numbers of a text exposition, by name with labels."""
    out = {}
    for line in http.must("GET", path).decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            try:
                out[name] = float(value)
            except ValueError:
                pass
    return out


class Cardinal(Server):
    name = "cardinal"
    binary = None  # set by bench/run

    def __init__(self, folder: pathlib.Path, *flags: str):
        super().__init__(folder)
        self.start([self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, *flags],
                   "/-/ready")

    def flush(self) -> None:
        self.http.must("POST", "/api/v1/flush")

    def stored_samples(self) -> int:
        # Own metrics have no service; everything that cardinal-load makes has one.
        answer = self.http.must("POST", "/api/v1/sql?format=json_columns",
                                b"SELECT count(service) AS samples FROM metrics", {"Content-Type": "application/sql"})
        return int(json.loads(answer)["data"]["samples"][0])

    def parquet_files(self, table: str) -> list:
        """The live files, as the flushes of one run leave them."""
        return sorted(str(p) for p in self.data.glob(f"*/{table}/date=*/*.parquet"))

    def disk_bytes(self) -> dict:
        parquet = machine.folder_bytes(self.data, ".parquet")
        log = sum(machine.folder_bytes(p) for p in self.data.glob("*/*/_delta_log"))
        return {"all": parquet + log, "parquet": parquet, "delta_log": log,
                "wal": int(figures(self.http).get("cardinal_wal_bytes", 0))}


class VictoriaMetrics(Server):
    name = "victoria-metrics"
    package = binary = "victoria-metrics"

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.start([self.binary, f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{self.port}",
                    "-search.latencyOffset=0s", "-search.maxUniqueTimeseries=10000000", "-search.maxSeries=10000000", "-search.maxTagValues=10000000",
                    "-search.maxQueryDuration=5m"], "/health")

    def flush(self) -> None:
        self.http.must("GET", "/internal/force_flush")

    def make_visible(self) -> None:
        self.flush()

    def stored_samples(self) -> int:
        return int(sum(v for k, v in figures(self.http).items() if k.startswith('vm_rows{type="storage/')))

    def disk_bytes(self) -> dict:
        self.http.must("GET", "/internal/force_merge")  # works on after it has answered
        time.sleep(1)
        while figures(self.http).get("vm_active_force_merges", 0) > 0:
            time.sleep(0.2)
        found = figures(self.http)
        data = sum(v for k, v in found.items() if k.startswith('vm_data_size_bytes{type="storage/'))
        index = sum(v for k, v in found.items() if k.startswith('vm_data_size_bytes{type="indexdb'))
        return {"all": data + index, "data": data, "index": index}


class Prometheus(Server):
    name = "prometheus"
    package = binary = "prometheus"

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        config = folder / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1h}\n")
        self.start([self.binary, f"--config.file={config}", "--web.enable-remote-write-receiver",
                    "--web.enable-admin-api", f"--storage.tsdb.path={self.data}",
                    "--storage.tsdb.retention.time=60d", f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn"], "/-/ready")

    def flush(self) -> None:
        self.http.must("POST", "/api/v1/admin/tsdb/snapshot")  # writes what is in memory into blocks

    def stored_samples(self) -> int:
        return int(sum(v for k, v in figures(self.http).items()
                       if k.startswith("prometheus_tsdb_head_samples_appended_total")))

    def disk_bytes(self) -> dict:
        newest = max((self.data / "snapshots").iterdir(), key=lambda p: p.stat().st_mtime)
        chunks = sum(machine.folder_bytes(p) for p in newest.glob("*/chunks"))
        index = sum(p.stat().st_size for p in newest.glob("*/index"))
        return {"all": chunks + index, "data": chunks, "index": index}


PEERS = {p.name: p for p in (VictoriaMetrics, Prometheus)}


def peer_version(peer: type) -> str:
    """ "victoria-metrics 1.79.5+ds1-2+b5"; raises when it is not installed."""
    if shutil.which(peer.binary) is None:
        raise MissingPackage(peer.package)
    found = subprocess.run(["dpkg-query", "-W", "-f=${Version}", peer.package], capture_output=True, text=True)
    version = found.stdout.strip()
    if not version:
        text = subprocess.run([peer.binary, "--version"], capture_output=True, text=True)
        match = re.search(r"\d+\.\d+\.\d+", text.stdout + text.stderr)
        version = match.group() if match else "of unknown version"
    return f"{peer.name} {version}"


class MissingPackage(BenchError):
    def __init__(self, package: str):
        super().__init__(f"the peer is not here: apt-get install --no-install-recommends {package}\n"
                         f"(and stop the service that Debian starts: systemctl disable --now {package})")
