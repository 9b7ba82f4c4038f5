#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/arrow/pyarrow.arrows: types and features that our Arrow reader takes and our
writer does not use. Needs pyarrow. `gen_arrow_golden.py --show FILE` prints any stream, to compare
what we wrote with what we meant.

Run it from the root of the source:  tools/gen_arrow_golden.py
"""
import sys

import pyarrow as pa

PATH = "tests/golden/arrow/pyarrow.arrows"


def columns() -> dict:
    repeated = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int16()),
                                              pa.array(["q", None, "q"]))
    pairs = [[("b", "1"), ("a", "2"), ("b", "3")], None, []]
    return {
        "ts_s": pa.array([1700000000, 0, -1], pa.timestamp("s")),
        "ts_ns": pa.array([-1, None, 1700000000000000999], pa.timestamp("ns", "UTC")),
        "date64": pa.array([0, -86400000, 20000 * 86400000], pa.date64()),
        "large": pa.array(["", None, "€"], pa.large_string()),
        "large_bin": pa.array([b"\xff", b"", None], pa.large_binary()),
        "fixed": pa.array([b"abc", b"def", None], pa.binary(3)),
        "codes8": pa.array(["x", "y", None]).dictionary_encode().cast(
            pa.dictionary(pa.int8(), pa.string())),
        "codes64": pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.uint64()),
                                                  pa.array([7, 9], pa.int64())),
        "map": pa.array(pairs, pa.map_(pa.string(), pa.large_string())),
        "repeated": repeated,
        "bools": pa.array([True, None, False]),
    }


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--show":
        with pa.ipc.open_stream(sys.argv[2]) as reader:
            print(reader.schema)
            for batch in reader:
                batch.validate(full=True)
                print(batch.num_rows, batch.to_pydict())
        return
    batch = pa.record_batch(columns())
    with pa.ipc.new_stream(PATH, batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch.slice(1, 2))


if __name__ == "__main__":
    main()
