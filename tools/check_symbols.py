#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the names that leave an object file.

A symbol with external linkage starts with its module (`promql_`) or with a word of one of its module's
files (`filter_` for scan_filter.c), so that a name says where to look, and no
two libraries in the process can collide by accident. Arguments: the modules' static libraries.
"""
import pathlib
import re
import subprocess
import sys


def main(archives: list[str]) -> int:
    failed = 0
    for archive in archives:
        module = pathlib.Path(archive).stem.removeprefix("lib")
        out = subprocess.run(["nm", "-g", "--defined-only", "--format=posix", archive],
                             capture_output=True, text=True, check=True).stdout
        stem = ""
        members = re.findall(r"\[(.+)\]:", out)
        words = {module, *(word for member in members for word in pathlib.Path(member).name.split(".")[0].split("_"))}
        for line in out.splitlines():
            member = re.match(r".*\[(.+)\]:$", line)
            if member:  # a path ending in agg_avx2.c.o
                stem = pathlib.Path(member.group(1)).name.split(".")[0]
                continue
            name, kind = line.split()[:2]
            if kind in "WVvwu" or name.startswith(("__asan", "__odr_asan", "__llvm", "__prof")):
                continue
            if name.split("_")[0] not in words:
                print(f"{archive}: {stem}.c exports {name}: no file of {module} has '{name.split('_')[0]}' in its name")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
