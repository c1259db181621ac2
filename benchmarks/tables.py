# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory from arrays to a Parquet file, beside the way over a dict a row, in one run.

    python benchmarks/tables.py [--rows 200000] [--runs 5]

A table of 8 integer and 4 string columns, the strings with 5,000 distinct values, written with zstd as a case's tables
are. Each run is a process of its own; processor seconds (user + system) are those between the arrays and the closed
file, the median of the runs; memory is the growth of the peak of the process's own pages meanwhile.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DISTINCT = 5_000


def arrays(rows: int) -> tuple[dict[str, Any], Any]:
    """Columns by name, strings as a list of values and an index into it, as Owners gives them; and their table."""
    import numpy as np
    import pyarrow as pa

    from memir.tables.table import Table, columns

    rng = np.random.default_rng(1)
    values = pa.array([f"/var/lib/containerd/snapshot/{number:05d}/usr/bin/program" for number in range(DISTINCT)])
    data: dict[str, Any] = {f"n{at}": rng.integers(0, 1 << 40, rows) for at in range(8)}
    for at in range(4):
        data[f"s{at}"] = pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, DISTINCT, rows, np.int32)), values)
    spec = "\n".join(f"{name} {'int64' if name[0] == 'n' else 'string'} a column" for name in data)
    return data, Table("benchmark", "Columns of a benchmark.", columns(spec), None)


def one_run(way: str, rows: int, folder: Path) -> dict[str, float]:
    """Processor seconds and MiB of one way."""
    from memir.tables.frame import Frame, write_parquet

    data, table = arrays(rows)
    write_parquet(table.typed(Frame({name: values[:100] for name, values in data.items()})), folder / "first.parquet")
    if way == "dicts":
        data = {name: values.tolist() for name, values in data.items()}
    before, peak = _processor(), _peak()
    if way == "dicts":
        names = list(data)
        made = [dict(zip(names, row, strict=True)) for row in zip(*data.values(), strict=True)]
        frame = table.rows(made)
    else:
        frame = table.typed(Frame(data))
    write_parquet(frame, folder / "table.parquet")
    return {"seconds": _processor() - before, "mib": (_peak() - peak) / 1024}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--way", choices=["arrays", "dicts"], help="run one way once in this process")
    options = parser.parse_args()
    if options.way:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(one_run(options.way, options.rows, Path(folder))))
        return
    found: dict[str, dict[str, float]] = {}
    for way in ("arrays", "dicts"):
        command = [sys.executable, __file__, "--rows", str(options.rows), "--way", way]
        runs = [
            json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            for _ in range(options.runs)
        ]
        found[way] = {key: round(statistics.median(run[key] for run in runs), 3) for key in ("seconds", "mib")}
    found["ratio"] = {
        key: round(found["arrays"][key] / max(found["dicts"][key], 1e-9), 3) for key in ("seconds", "mib")
    }
    print(json.dumps({"rows": options.rows, **found}, indent=2))


if __name__ == "__main__":
    main()
