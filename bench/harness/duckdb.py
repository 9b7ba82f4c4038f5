# SPDX-License-Identifier: Apache-2.0
"""DuckDB by itself, through the small program duckdb_peer, on the same files."""
import json
import subprocess

from .machine import BenchError, die_with_parent


class DuckDb:
    def __init__(self, settings, threads: int):
        self.program = settings.duckdb_peer
        self.process = subprocess.Popen([str(self.program), str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.version = self.read()["version"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self.program} ended with {self.process.wait()}")
        return json.loads(line)

    def must(self, statement: str) -> dict:
        """{"ms", "cpu_ms", "rows", "row"}: the result is complete in memory when the clock stops."""
        self.process.stdin.write("|" + statement.replace("\n", " ") + "\n")
        self.process.stdin.flush()
        answer = self.read()
        if "error" in answer:
            raise BenchError(f"DuckDB: {answer['error']}: {statement[:200]}")
        return answer

    @staticmethod
    def files(server, table: str) -> str:
        """The table as DuckDB reads it from the files of `server`, with the date from the folders' names."""
        names = ", ".join(f"'{path}'" for path in server.parquet_files(table))
        return f"read_parquet([{names}], hive_partitioning = true)"
