# SPDX-License-Identifier: Apache-2.0
"""What findings, the joins with an audit log and the timeline of a node cost once its tables are read.

    python benchmarks/findings.py IMAGE AUDIT_LOG [--cluster FOLDER_OR_FILE] [--size 100]

AUDIT_LOG: a real one of the node's cluster (JSON lines, also gzip), its events written again, each with an id of its
own, until it has so many MiB. Wall and processor seconds, one after the other in one process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import memir
from benchmarks.logs import made

AFTER = ("audit", "sessions", "findings")
"""Tables that are read when the node's own are there: the log, its joins with the node, and what all of them tell."""


@contextmanager
def timed(name: str, total: list[float]) -> Iterator[None]:
    """Print the seconds of a step, and add its processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    spent = time.process_time() - processor
    total.append(spent)
    print(f"{name:12} {time.perf_counter() - wall:8.2f} {spent:13.2f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("log", type=Path)
    parser.add_argument("--cluster")
    parser.add_argument("--size", type=int, default=100, help="MiB")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.log"
        lines = made(chosen.log, path, chosen.size << 20)
        with memir.open(chosen.image, cluster=chosen.cluster, logs=[str(path)]) as node:
            first: list[float] = []
            print(f"{'':12} {'wall, s':>8} {'processor, s':>13}")
            own = [name for name in node.tables if name not in AFTER]
            with timed("tables", first):
                for name in own:
                    node[name].to_arrow()
            pods, processes = len(node["pods"].to_arrow()), len(node["processes"].to_arrow())
            print(f"{path.stat().st_size >> 20} MiB of log, {lines:,} events; {pods} pods, {processes} processes")
            spent: list[float] = []
            for name in AFTER:
                with timed(name, spent):
                    rows = len(node[name].to_arrow())
                print(f"{'':12} {rows:,} rows")
            case = Path(folder) / "case"
            node.save(case)
            with timed("timeline", spent):
                events = len(memir.Case(case).timeline().rows)
            print(f"{'':12} {events:,} events")
            print(f"{'in all':12} {'':8} {sum(spent):13.2f}")


if __name__ == "__main__":
    main()
