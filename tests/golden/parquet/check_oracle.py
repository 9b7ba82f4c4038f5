#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the golden texts of this folder with what pyarrow reads from the same files.

Usage: check_oracle.py FOLDER, where FOLDER is .../conformance/parquet. Needs pyarrow and numpy; not
part of the test suite. Prints every column that differs, and every column that pyarrow reads but the
golden text says cannot be read; the exit code counts the first kind.
"""
import pathlib
import re
import struct
import sys
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
COLUMN = re.compile(r"^  (.*): ([A-Z][A-Z ,()]*), (?:(\d+) nulls, crc ([0-9a-f]{8})|error: (.*))$")
REFUSED = re.compile(r"^  (.*): refused, (.*)$")


def text_of_floats(column, size):
    fmt, wide = ("<f", "<I") if size == 4 else ("<d", "<Q")
    for value in column.to_pylist():
        if value is None:
            yield "N"
        elif value != value:
            yield "nan"
        else:
            bits = struct.unpack(wide, struct.pack(fmt, float(value)))[0]
            yield f"{bits:0{size * 2}x}"


def micros(column):
    """Timestamps of any unit as microseconds, nanoseconds towards minus infinity."""
    unit = column.type.unit
    for value in column.cast(pa.int64()).to_pylist():
        if value is None:
            yield "N"
        else:
            yield str({"s": value * 1000000, "ms": value * 1000, "us": value,
                       "ns": value // 1000}[unit])


def hex_of(value):
    return value.encode().hex() if isinstance(value, str) else value.hex()


def text_of(column, sql):
    if sql == "BOOLEAN":
        return ("N" if v is None else str(v).lower() for v in column.to_pylist())
    if sql in ("FLOAT", "DOUBLE"):
        return text_of_floats(column, 4 if sql == "FLOAT" else 8)
    if sql in ("VARCHAR", "BLOB", "UUID"):
        storage = column
        if isinstance(column.type, pa.ExtensionType):
            storage = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
        return ("N" if v is None else hex_of(v) for v in storage.to_pylist())
    if sql.startswith("TIMESTAMP"):
        return micros(column)
    if sql == "DATE":
        return ("N" if v is None else str(v) for v in column.cast(pa.int32()).to_pylist())
    if sql.startswith("MAP"):
        def entry(v):
            pairs = sorted(dict(v).items(), key=lambda kv: kv[0].encode())
            return "{" + ",".join(hex_of(k) + ":" + ("N" if x is None else hex_of(x))
                                  for k, x in pairs) + "}"
        return ("N" if v is None else entry(v) for v in column.to_pylist())
    if pa.types.is_null(column.type):
        return ("N" for _ in range(len(column)))
    if pa.types.is_duration(column.type):
        column = column.cast(pa.int64())
    return ("N" if v is None else str(v) for v in column.to_pylist())


def oracle(path, name, sql):
    """(nulls, crc) of a column as pyarrow reads it."""
    options = {"coerce_int96_timestamp_unit": "us"} if sql.startswith("TIMESTAMP") else {}
    parquet = pq.ParquetFile(path, **options)
    table = parquet.read(columns=[name])
    crc = nulls = 0
    for text in text_of(table.column(0), sql):
        nulls += text == "N"
        crc = zlib.crc32((text + "\n").encode(), crc)
    return nulls, f"{crc:08x}"


def main():
    folder = pathlib.Path(sys.argv[1])
    different = checked = 0
    for golden in sorted(HERE.glob("*.txt")):
        path = None
        for line in golden.read_text(errors="surrogateescape").splitlines():
            if not line.startswith("  "):
                path = folder / line
                continue
            match = COLUMN.match(line)
            if match is None:
                if line.startswith("  error"):
                    try:
                        rows = pq.ParquetFile(path).read().num_rows
                        print(f"only pyarrow: {path.name}: {rows} rows;{line}")
                    except Exception:  # both refuse it
                        pass
                continue
            name, sql, nulls, crc, error = match.groups()
            try:
                got = oracle(path, name, sql)
            except Exception as reason:
                if error is None:
                    print(f"only here: {path.name}: {name} {sql}: {str(reason)[:120]}")
                continue
            checked += 1
            if error is not None:
                print(f"only pyarrow: {path.name}: {name}: {error}")
            elif got != (int(nulls), crc):
                print(f"DIFFERENT: {path.name}: {name} {sql}: {nulls} {crc}, pyarrow {got}")
                different += 1
    print(f"{checked} columns compared, {different} different")
    return min(different, 100)


if __name__ == "__main__":
    sys.exit(main())
