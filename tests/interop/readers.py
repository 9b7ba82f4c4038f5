# SPDX-License-Identifier: Apache-2.0
"""Independent readers of Parquet and Delta, each in a process of its own:

    readers.py duckdb SQL      DuckDB's library, by ctypes; prints CSV without header
    readers.py clickhouse SQL  ClickHouse (chdb), by ctypes; prints CSV without header
    readers.py hyparquet FILE... rows as JSON lines, by node
"""
import ctypes
import os
import pathlib
import subprocess
import sys

DEPS = pathlib.Path(os.environ.get("CARDINAL_DEPS", pathlib.Path(__file__).resolve().parents[2] / ".deps"))


def duckdb(sql):
    lib = ctypes.CDLL(str(DEPS / "duckdb" / "libduckdb.so"))
    lib.duckdb_value_varchar.restype = ctypes.c_void_p
    lib.duckdb_result_error.restype = ctypes.c_char_p
    for name in ("duckdb_row_count", "duckdb_column_count"):
        getattr(lib, name).restype = ctypes.c_uint64
    database, connection = ctypes.c_void_p(), ctypes.c_void_p()
    result = (ctypes.c_uint64 * 8)()
    assert lib.duckdb_open(None, ctypes.byref(database)) == 0
    assert lib.duckdb_connect(database, ctypes.byref(connection)) == 0
    for statement in ("SET TimeZone='UTC'", sql):
        if lib.duckdb_query(connection, statement.encode(), ctypes.byref(result)) != 0:
            sys.exit(lib.duckdb_result_error(ctypes.byref(result)).decode())
    rows, columns = lib.duckdb_row_count(ctypes.byref(result)), lib.duckdb_column_count(ctypes.byref(result))
    for row in range(rows):
        cells = []
        for column in range(columns):
            cell = lib.duckdb_value_varchar(ctypes.byref(result), ctypes.c_uint64(column), ctypes.c_uint64(row))
            cells.append(ctypes.string_at(cell).decode() if cell else "")
        print("\t".join(cells))


def clickhouse(sql):
    lib = ctypes.CDLL(str(DEPS / "interop" / "chdb" / "libchdb.so"))
    for name in ("chdb_connect", "chdb_query", "chdb_result_buffer"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.chdb_result_error.restype = ctypes.c_char_p
    lib.chdb_result_length.restype = ctypes.c_size_t
    argv = (ctypes.c_char_p * 1)(b"clickhouse")
    connection = ctypes.cast(lib.chdb_connect(1, argv), ctypes.POINTER(ctypes.c_void_p))
    result = ctypes.c_void_p(lib.chdb_query(ctypes.c_void_p(connection[0]), sql.encode(), b"TSV"))
    error = lib.chdb_result_error(result)
    if error:
        sys.exit(error.decode())
    sys.stdout.write(ctypes.string_at(lib.chdb_result_buffer(result), lib.chdb_result_length(result)).decode())
    sys.stdout.flush()
    os._exit(0)  # its threads do not like to be waited for


def ask(reader, *args):
    """The lines that a reader prints, split at tabs."""
    done = subprocess.run([sys.executable, __file__, reader, *args], capture_output=True, text=True, timeout=120, check=False,
                          cwd="/")  # ClickHouse reads files below its folder only
    if done.returncode != 0:
        raise AssertionError(f"{reader}: {args[0][:300]}: {done.stderr[-2000:]}")
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def hyparquet(files):
    script = pathlib.Path(__file__).with_name("hyparquet.mjs")
    done = subprocess.run(["node", str(script), str(DEPS / "interop"), *map(str, files)], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"hyparquet: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    {"duckdb": duckdb, "clickhouse": clickhouse}[sys.argv[1]](sys.argv[2])
