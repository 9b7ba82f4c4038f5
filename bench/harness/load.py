# SPDX-License-Identifier: Apache-2.0
"""Corpora: made once per invocation by cardinal-load, replayed byte for byte to every server."""
import json
import pathlib
import subprocess
import time

from . import machine
from .machine import BenchError

CONNECTIONS = 4


def run(args: list) -> subprocess.CompletedProcess:
    return subprocess.run(args, capture_output=True, text=True, preexec_fn=machine.die_with_parent)


class Corpora:
    def __init__(self, program: pathlib.Path, folder: pathlib.Path):
        self.program = program
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def make(self, name: str, workload: str, **options) -> pathlib.Path:
        path = self.folder / name
        if not path.exists():
            args = [self.program, "gen", workload, "--out", path]
            for key, value in options.items():
                args += ["--" + key.replace("_", "-"), value]
            begin = time.monotonic()
            done = run([str(a) for a in args])
            if done.returncode != 0:
                path.unlink(missing_ok=True)
                raise BenchError(f"cardinal-load gen: {done.stderr}")
            machine.note(f"  corpus {name}: {path.stat().st_size / 1e6:.0f} MB in {time.monotonic() - begin:.1f} s")
        return path

    def send(self, corpus: pathlib.Path, server, path: str = None, connections: int = CONNECTIONS) -> dict:
        """Replays it; everything must have been acknowledged."""
        args = [str(self.program), "send", str(corpus), "--url", server.url(path), "--connections", str(connections)]
        sender = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  preexec_fn=machine.die_with_parent)
        try:
            while True:
                try:
                    out, complaint = sender.communicate(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    server.child.check_alive()
        finally:
            if sender.poll() is None:
                sender.kill()
                sender.communicate()
        if sender.returncode != 0:
            raise BenchError(f"sending {corpus.name}: {complaint.strip()} {out.strip()}")
        sent = json.loads(out)
        if sent["samples_acknowledged"] != sent["samples"] or sent["failures"]:
            raise BenchError(f"sending {corpus.name}: not all was acknowledged: {sent}")
        return sent


def ends_now(samples: int, series: int, interval_ms: int = 15000) -> int:
    """A first timestamp so that the last one is about now."""
    return int(time.time() * 1000) - (-(-samples // series)) * interval_ms


def yesterday_ms() -> int:
    """Midnight (UTC) of yesterday: a day of samples lands in one partition."""
    return (int(time.time()) // 86400 - 1) * 86400 * 1000
