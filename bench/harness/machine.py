# SPDX-License-Identifier: Apache-2.0
"""Processes that are measured, and that end with this one whatever happens."""
import atexit
import ctypes
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """Something did not work; its text is for people."""


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Child:
    """A program that was started here. Its output goes to a file, which errors quote."""

    running = []

    def __init__(self, args: list, log: pathlib.Path, env: dict = None):
        self.args = [str(a) for a in args]
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            preexec_fn=die_with_parent, env={**os.environ, **(env or {})})
        self.pid = self.process.pid
        Child.running.append(self)

    def check_alive(self) -> None:
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise BenchError(f"{self.args[0]} ended with {self.process.returncode}:\n{tail}")

    def stop(self, timeout_s: float = 60) -> None:
        """Asks it to end, and makes it end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self in Child.running:
            Child.running.remove(self)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self in Child.running:
            Child.running.remove(self)

    def cpu_s(self) -> float:
        """User and system time of all its threads, ended ones included."""
        self.check_alive()
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def memory_bytes(self) -> dict:
        """VmRSS, RssAnon and VmHWM of /proc/PID/status."""
        self.check_alive()
        out = {}
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon", "VmHWM"):
                out[name] = int(value.split()[0]) * 1024
        return out


class WorkDir:
    """A temporary folder; what is in it goes when the program ends."""

    def __init__(self, parent: str = None):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="cardinal-bench.", dir=parent))
        self.count = 0

    def fresh(self, name: str) -> pathlib.Path:
        self.count += 1
        path = self.path / f"{self.count:03d}-{name}"
        path.mkdir()
        return path

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def clean_up(work: WorkDir) -> None:
    for child in list(Child.running):
        child.kill()
    work.remove()


def clean_up_at_exit(work: WorkDir) -> None:
    atexit.register(clean_up, work)

    def end(number, _frame):
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)


class Http:
    """One keep-alive connection to a server on this machine."""

    def __init__(self, port: int, timeout_s: float = 600):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def ask(self, method: str, path: str, body: bytes = None, headers: dict = None):
        """(status, body). Connects again after the other side has hung up."""
        for attempt in (0, 1):
            try:
                self.connection.request(method, path, body, headers or {})
                answer = self.connection.getresponse()
                return answer.status, answer.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection.close()
                if attempt:
                    raise
        raise AssertionError

    def must(self, method: str, path: str, body: bytes = None, headers: dict = None) -> bytes:
        status, text = self.ask(method, path, body, headers)
        if status >= 300:
            raise BenchError(f"{method} {path[:80]}: HTTP {status} {text[:300].decode(errors='replace')}")
        return text


def wait_until_ready(child: Child, port: int, path: str, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        child.check_alive()
        try:
            if Http(port, 5).ask("GET", path)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise BenchError(f"{child.args[0]} was not ready within {timeout_s} s; see {child.log}")


def folder_bytes(path: pathlib.Path, suffix: str = "") -> int:
    """Size of the files below `path` whose names end in `suffix`."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            if name.endswith(suffix):
                try:
                    total += os.lstat(os.path.join(folder, name)).st_size
                except FileNotFoundError:
                    pass  # a log segment that was just removed
    return total
