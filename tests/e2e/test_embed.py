# SPDX-License-Identifier: Apache-2.0
"""libcardinal: the example runs, and the library exports its own names only."""
import os
import pathlib
import subprocess

from harness import equal, run

EMBED = os.environ.get("CARDINAL_EMBED", "")


def test_the_example_runs(c):
    want = """> SELECT service, count(*) AS samples, max(value) AS max FROM metrics GROUP BY 1 ORDER BY 1
  service=api, samples=3, max=9.0
  service=web, samples=2, max=4.0
> SELECT ip_prefix(src_ip, 8) AS network, sum(bytes_sent) AS sent FROM flows GROUP BY 1 ORDER BY 1
  network=10.0.0.0/8, sent=2000
> SELECT timestamp, value FROM metrics WHERE service = 'api' ORDER BY 1 DESC LIMIT 1
  timestamp=2026-01-01T00:00:30Z, value=9.0
"""
    done = subprocess.run([EMBED, str(c.dir / "data")], capture_output=True, text=True, timeout=60, check=False)
    equal((done.returncode, done.stdout, done.stderr), (0, want, ""))


def test_only_cardinal_names_are_exported(c):
    library = next(pathlib.Path(EMBED).parent.glob("libcardinal.so*"))
    out = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    equal(sorted(n for n in names if not n.startswith("cardinal_")), [])
    assert "cardinal_open" in names


run(globals())
