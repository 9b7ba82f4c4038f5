# SPDX-License-Identifier: Apache-2.0
"""Results: one JSON object per line on stdout, and a table for people at the end."""
import json
import statistics
import sys


def median(values: list):
    return statistics.median(values) if values else None


def rounded(value):
    return None if value is None else float(f"{value:.5g}")


class Report:
    def __init__(self, bench: str, with_targets: bool):
        self.bench = bench
        self.with_targets = with_targets  # they are meant for full sizes
        self.lines = []

    def add(self, case: str, metric: str, unit: str, ours: list, peer: str = None, theirs: list = None,
            target=None) -> None:
        """Values of all runs: the line has their medians and ranges."""
        mine, other = median(ours), median(theirs or [])
        ratio = mine / other if mine is not None and other else None
        line = {"bench": self.bench, "case": case, "metric": metric, "unit": unit, "ours": rounded(mine),
                "peer": peer if other is not None else None, "peer_value": rounded(other),
                "ratio": rounded(ratio), "runs": len(ours), "ours_range": [rounded(min(ours)), rounded(max(ours))]}
        if theirs:
            line["peer_range"] = [rounded(min(theirs)), rounded(max(theirs))]
        if target is not None and self.with_targets:
            line["target"] = target.text
            line["met"] = target.met(mine, ratio)
        self.lines.append(line)
        print(json.dumps(line), flush=True)

    def table(self) -> None:
        rows = [("case", "metric", "ours", "peer", "ratio", "target", "")]
        for r in self.lines:
            rows.append((r["case"], f"{r['metric']} ({r['unit']})", f"{r['ours']:g}",
                         "-" if r["peer_value"] is None else f"{r['peer_value']:g}",
                         "-" if r["ratio"] is None else f"{r['ratio']:.3f}", r.get("target", ""),
                         {True: "met", False: "NOT MET", None: ""}[r.get("met")]))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            text = "  ".join(cell.ljust(w) if i in (0, 1, 5, 6) else cell.rjust(w)
                             for i, (cell, w) in enumerate(zip(row, widths)))
            print(text.rstrip(), file=sys.stderr)


class Target:
    """At most `value`, or at most `ratio` times the peer; whichever is given, either is enough."""

    def __init__(self, value: float = None, ratio: float = None, least: float = None):
        self.value, self.ratio, self.least = value, ratio, least
        parts = []
        if value is not None:
            parts.append(f"<= {value:g}")
        if ratio is not None:
            parts.append(f"<= {ratio:g} x peer")
        if least is not None:
            parts.append(f">= {least:g}")
        self.text = " or ".join(parts)

    def met(self, ours, ratio):
        return bool((self.value is not None and ours <= self.value) or
                    (self.ratio is not None and ratio is not None and ratio <= self.ratio) or
                    (self.least is not None and ours >= self.least))
