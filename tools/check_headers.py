#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header of src/ and include/ alone, so that each includes what it uses.

    tools/check_headers.py COMPILER...
"""
import pathlib
import subprocess
import sys


def main(compiler):
    failed = 0
    for header in sorted([*pathlib.Path("src").rglob("*.h"), *pathlib.Path("include").rglob("*.h")]):
        if header.name.endswith("_inc.h"):
            continue
        run = subprocess.run([*compiler, "-std=c17", "-D_POSIX_C_SOURCE=200809L", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                              "-Wno-unused-function", "-Isrc", "-Iinclude", "-I.", "-I.deps/duckdb", "-x", "c", "-"],
                             input=f'#include "{header}"\n', capture_output=True, text=True, check=False)
        if run.returncode != 0:
            print(f"{header} does not compile alone:\n{run.stderr}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["gcc"]))
