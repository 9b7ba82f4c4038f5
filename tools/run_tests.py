#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the test suites of a build folder and counts single cases.

    tools/run_tests.py BUILD SUITE...

Every test program prints TAP, so a case is a TAP line; a program that prints none counts as one case. Failed
programs have their output shown; skipped cases are named. Crash tests say how often they crashed. The last line is "N passed, N failed, N skipped".
"""
import json
import os
import re
import subprocess
import sys
import time

CASE = re.compile(r"^(not )?ok\b[ \t]*\d*(?:[ \t]*-)?[ \t]*(.*)$", re.M)
SKIP = re.compile(r"#[ \t]*SKIP\b[ \t]*(.*)$", re.I)


def cases(test):
    """(name, result, why) for each case of one program's record in Meson's log."""
    found = list(CASE.finditer(test.get("stdout", "")))
    if not found:
        result = {"OK": "passed", "SKIP": "skipped", "EXPECTEDFAIL": "passed"}.get(test["result"], "failed")
        return [(test["name"], result, test["result"])]
    out = []
    for match in found:
        skip = SKIP.search(match.group(2))
        name = SKIP.sub("", match.group(2)).strip()
        # cmocka writes "not ok 3 # SKIP name".
        result = "skipped" if skip else "failed" if match.group(1) else "passed"
        out.append((name or skip.group(1), result, skip.group(1) if skip and name else ""))
    failed = any(result == "failed" for _, result, _ in out)
    # Meson takes cmocka's way to say that a case was skipped for a failure: the exit code knows better.
    if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed and test.get("returncode") != 0:
        out.append((test["name"], "failed", f"{test['result']} (exit {test.get('returncode')})"))
    return out


def main(build, suites):
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for suite in suites:
        log = os.path.join(build, "meson-logs", f"testlog-{suite}.json")
        if os.path.exists(log):
            os.remove(log)
        start = time.monotonic()
        # Crash and end-to-end tests start servers and measure time; they get the machine to themselves.
        jobs = "1" if suite in ("e2e", "crash", "interop") else str(os.cpu_count() or 2)
        subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--suite", suite, "--logbase", f"testlog-{suite}",
                        "--num-processes", jobs, "--timeout-multiplier", "4", "--quiet"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        if not os.path.exists(log):
            print(f"{suite}: no tests", flush=True)
            continue
        with open(log, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                test = json.loads(line)
                bad = False
                for name, result, why in cases(test):
                    counts[result] += 1
                    if result == "skipped":
                        print(f"  skipped {suite} {name}: {why}")
                    if result == "failed":
                        bad = True
                        print(f"  FAILED {suite} {test['name']}: {name} {why}")
                if suite == "crash":  # how much was done
                    for note in re.findall(r"^# (\d.*)$", test.get("stdout", ""), re.M):
                        print(f"  {test['name'].split(' / ')[-1]}: {note}")
                if bad:
                    text = test.get("stdout", "") + test.get("stderr", "")
                    print("    " + text[-6000:].replace("\n", "\n    "))
        for key, value in counts.items():
            totals[key] += value
        print(f"{suite}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped "
              f"({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
