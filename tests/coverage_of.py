# SPDX-License-Identifier: Apache-2.0
"""python -m tests.coverage_of [MODULE...]: run each module's test file alone; it must cover 70 % of the module's lines.

Without arguments: every module that has a test file, two at a time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.modules import ROOT, excused, its_test, modules

NEEDED = 70.0
WORKERS = int(os.environ.get("JOBS", "2"))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def covered(module: Path) -> tuple[float, str]:
    """(per cent of the module's lines that its test file runs, the end of what the tests printed if they failed)."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "coveragerc"
        # the command line is tested in processes of its own: patch = subprocess counts those too
        settings.write_text(
            f"[run]\ndata_file = {folder}/data\nparallel = true\npatch = subprocess\ninclude = {ROOT / module}\n"
        )
        coverage, rc = [sys.executable, "-m", "coverage"], f"--rcfile={settings}"
        tests = _run(*coverage, "run", rc, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(its_test(module)))
        _run(*coverage, "combine", rc, "-q")
        report = Path(folder) / "report.json"
        _run(*coverage, "json", rc, "-q", "-o", str(report))
        per_cent = json.loads(report.read_text())["totals"]["percent_covered"] if report.is_file() else 0.0
    return per_cent, "" if tests.returncode == 0 else (tests.stdout + tests.stderr)[-2000:]


def main() -> int:
    """0 if every file's tests pass and cover enough."""
    named = [Path(argument) for argument in sys.argv[1:]]
    chosen = named or [module for module in modules() if (ROOT / its_test(module)).is_file()]
    bad = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for module, (per_cent, failure) in zip(chosen, pool.map(covered, chosen), strict=True):
            fine = per_cent >= NEEDED and not failure
            bad += not fine
            if not fine or named:
                verdict = "" if fine else "FAILED "
                print(f"{verdict}{module}: {per_cent:.0f} % by {its_test(module)} {failure}", flush=True)
    without = [name for name, functions in excused().items() if not functions]
    print(
        f"{len(chosen)} test files alone, {bad} failed; {len(without)} modules have none: tests/without_test_file.txt"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
