# SPDX-License-Identifier: Apache-2.0
"""An audit log of the API server read by memir, beside plain DuckDB and jq, in one run.

    python benchmarks/logs.py AUDIT_LOG [--size 1024]

AUDIT_LOG: a real one (JSON lines, also gzip), which is written again and again until it has so many MiB, each event
with an id of its own. Wall and processor seconds and peak memory of the whole process, each reader after the other:
memir's table `audit` as it goes into a case; DuckDB's read_json of the same fields, and jq's, which write nothing.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEMIR = """
import sys
from memir.logs.source import LogSource
source = LogSource(sys.argv[1:])
print(source.table("audit").num_rows)
"""
DUCKDB = """
import sys, duckdb
fields = 'auditID, stage, verb, "user".username, "user".groups, sourceIPs, userAgent, objectRef, responseStatus.code, '
fields += 'requestURI, requestReceivedTimestamp, stageTimestamp, annotations'
sql = f"select {fields} from read_json('{sys.argv[1]}', format='newline_delimited', ignore_errors=true)"
print(duckdb.sql(sql).to_arrow_table().num_rows)
"""
JQ = ".auditID, .stage, .verb, .user.username, .objectRef.name, .responseStatus.code, .requestReceivedTimestamp"


def made(source: Path, target: Path, size: int) -> int:
    """Write the log again until the file has so many bytes; lines that were written."""
    data = source.read_bytes()
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    lines = 0
    with target.open("wb") as file:
        while file.tell() < size:
            file.write(data.replace(b'"auditID":"', b'"auditID":"%d-' % lines))
            lines += data.count(b"\n")
    return lines


def once(arguments: list[str]) -> tuple[float, float, float]:
    """(wall seconds, processor seconds, peak MiB) of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.log"
        lines = made(chosen.log, path, chosen.size << 20)
        print(f"{path.stat().st_size >> 20} MiB, {lines:,} events")
        print(f"{'':8} {'wall, s':>8} {'processor, s':>13} {'peak, MiB':>10}")
        for name, arguments in (
            ("memir", [sys.executable, "-c", MEMIR, str(path)]),
            ("DuckDB", [sys.executable, "-c", DUCKDB, str(path)]),
            ("jq", ["jq", "-c", f"[{JQ}]", str(path)]),
        ):
            wall, processor, peak = once(arguments)
            print(f"{name:8} {wall:8.1f} {processor:13.1f} {peak:10.0f}", flush=True)


if __name__ == "__main__":
    main()
