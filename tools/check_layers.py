#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that modules include only what they may.

A module is a folder of src/. LAYERS lists, for each, the modules it may include; nothing else is
allowed, and the table itself must have no cycle. Headers called *_internal.h belong to their own
module. The table is copied into docs/ARCHITECTURE.md by hand; it is meant to be short.
"""
import pathlib
import re
import sys

LAYERS = {
    "base": [],
    "os": ["base"],
    "codec": ["base"],
    "net": ["base", "os", "codec"],
    "column": ["base", "codec"],
    "parquet": ["base", "os", "codec", "column"],
    "series": ["base", "codec", "column"],
    "store": ["base", "os", "codec", "column", "parquet", "series"],
    "query": ["base", "os", "codec", "column", "series", "store"],
    "promql": ["base", "os", "codec", "column", "series", "store", "query"],
    "sql": ["base", "os", "codec", "column", "series", "store", "query"],
    "wire": ["base", "codec", "column", "series"],
    "api": ["base", "os", "codec", "column", "series", "store", "query", "promql", "sql", "wire"],
    "collect": ["base", "os", "column", "wire"],
    "server": ["base", "os", "net", "codec", "column", "parquet", "series", "store", "query", "promql", "sql", "wire",
               "collect"],
    "cli": ["base", "os", "net", "codec", "column", "parquet", "series", "store", "query", "promql", "sql", "wire",
            "collect", "server"],
}
# Foreign headers that only one module may know.
ONLY = {"duckdb.h": "sql", "re2/": "series", "microhttpd.h": "net",
        "curl/": "net", "zstd.h": "codec", "snappy-c.h": "codec",
        "lz4": "codec", "zlib.h": "codec", "brotli/": "codec", "xxhash.h": "codec", "linux/": "os", "sys/": "os",
        "fcntl.h": "os", "unistd.h": "os", "dirent.h": "os", "signal.h": "os", "cyaml/": "server"}
# Who may see the system below os: net and collect hold sockets of their own.
ALSO = {"net": ("sys/socket.h", "netinet/", "arpa/", "unistd.h", "sys/", "linux/tcp.h"), }
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def main() -> int:
    errors = []
    for module, uses in LAYERS.items():
        for used in uses:
            if list(LAYERS).index(used) >= list(LAYERS).index(module):
                errors.append(f"LAYERS: {module} may not use {used}, which comes later")
    for path in sorted(pathlib.Path("src").rglob("*.[ch]")):
        module = path.parts[1]
        if module not in LAYERS:
            errors.append(f"{path}: {module} is not a module of LAYERS")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match is None:
                continue
            target = match.group(1)
            other = target.split("/")[0]
            if other in LAYERS and other != module:
                if other not in LAYERS[module]:
                    errors.append(f"{path}:{number}: {module} may not include {target}")
                elif target.endswith("_internal.h"):
                    errors.append(f"{path}:{number}: {target} is internal to {other}")
            for prefix, owner in ONLY.items():
                if (target.startswith(prefix) and module != owner and not path.name.endswith("_test.c")
                        and not target.startswith(ALSO.get(module, ("\0",)))):
                    errors.append(f"{path}:{number}: only {owner} may include {target}")
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
