# SPDX-License-Identifier: Apache-2.0
"""What every call costs before it does anything: `memir --help` beside `vol --help` and a bare Python, in one run.

    python benchmarks/startup.py [--runs 15]

Wall and processor milliseconds (user + system) of the whole process, the median of the runs, which take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "memir --help": ["-m", "memir", "--help"],
    "vol --help": ["-c", "import sys; from volatility3.cli import main; sys.argv = ['vol', '--help']; main()"],
    "python -c pass": ["-c", "pass"],
}


def once(arguments: list[str]) -> tuple[float, float]:
    """(wall, processor) milliseconds of one process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after, end = os.times(), time.perf_counter()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return (end - start) * 1000, used * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            times[name].append(once(arguments))
    print(f"{'':16} {'wall, ms':>9} {'processor, ms':>14}")
    for name, measured in times.items():
        wall, processor = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{name:16} {wall:9.0f} {processor:14.0f}")


if __name__ == "__main__":
    main()
