# SPDX-License-Identifier: Apache-2.0
"""python -m tests.coverage_of [--every] [--write] [MODULE...]: a module's test file covers 70 % of the module's lines.

With modules: each one's test file alone, in a process of its own. Without: the modules that have changed since they
were measured, and a tenth of the others (tests/coverage_ledger.py); --every: all. Those run together first, each file
counted apart (tests/coverage_contexts.py); what stays under 70 % there is run alone, and that number counts. --write
puts the numbers into the list.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coverage import Coverage, CoverageData

from tests.coverage_contexts import SETTINGS
from tests.coverage_ledger import due, write
from tests.modules import ROOT, excused, its_test, modules

NEEDED = 70.0
WORKERS = int(os.environ.get("JOBS", "2"))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _settings(folder: str, include: str) -> Path:
    # the command line is tested in processes of its own: patch = subprocess counts those too
    path = Path(folder) / "coveragerc"
    path.write_text(f"[run]\ndata_file = {folder}/data\nparallel = true\npatch = subprocess\ninclude = {include}\n")
    return path


def alone(module: Path) -> tuple[float, str]:
    """(per cent of the module's lines that its test file runs alone, the end of what was printed if a test failed)."""
    with tempfile.TemporaryDirectory() as folder:
        coverage = [sys.executable, "-m", "coverage"]
        rc = f"--rcfile={_settings(folder, str(ROOT / module))}"
        tests = _run(*coverage, "run", rc, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(its_test(module)))
        _run(*coverage, "combine", rc, "-q")
        report = Path(folder) / "report.json"
        _run(*coverage, "json", rc, "-q", "-o", str(report))
        per_cent = json.loads(report.read_text())["totals"]["percent_covered"] if report.is_file() else 0.0
    return per_cent, "" if tests.returncode == 0 else (tests.stdout + tests.stderr)[-2000:]


def _in_functions(path: Path) -> set[int]:
    """Lines of the bodies of functions: all but what an import runs."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, functions)]
    return {line for node in nodes for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)}


def per_cent(data: CoverageData, module: Path) -> float:
    """Of a module's lines: those that its test file's tests ran, and those that importing it runs, whoever did."""
    path = ROOT / module
    data.set_query_context(its_test(module).as_posix())
    lines = set(data.lines(str(path)) or ())
    data.set_query_context("")
    lines |= set(data.lines(str(path)) or ()) - _in_functions(path)
    count = Coverage(data_file=None, config_file=False)
    count.get_data().add_lines({str(path): lines})
    _, statements, _, missing, _ = count.analysis2(str(path))
    return 100.0 - 100.0 * len(missing) / max(1, len(statements))


def together(chosen: list[Path]) -> tuple[dict[Path, float], bool]:
    """(per cent by module, whether every test passed) of all their test files in a few processes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(folder, f"{ROOT}/memir/*,{ROOT}/plugins/*")
        command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "tests.coverage_contexts",
                   "--shorter", "-n", str(WORKERS), "--dist", "loadfile", "-m", "not lab", "--durations=9"]  # fmt: skip
        files = sorted({str(its_test(module)) for module in chosen})
        environment = os.environ | {SETTINGS: str(settings)}
        tests = subprocess.run([*command, *files], cwd=ROOT, env=environment, check=False)
        _run(sys.executable, "-m", "coverage", "combine", f"--rcfile={settings}", "-q")
        data = CoverageData(f"{folder}/data")
        data.read()
        return {module: per_cent(data, module) for module in chosen}, tests.returncode == 0


def main() -> int:
    """0 if every file's tests pass and cover enough."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage_of")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("module", nargs="*", type=Path)
    given = parser.parse_args()
    every = [module for module in modules() if (ROOT / its_test(module)).is_file()]
    chosen = given.module or (every if given.every else due(every))
    bad, passed, measured = 0, True, dict[Path, float]()
    if not given.module and chosen:
        measured, passed = together(chosen)
        chosen = [module for module in chosen if measured[module] < NEEDED]
        print(f"{len(measured)} of {len(every)} test files together: {len(chosen)} to be run alone", flush=True)
    with ThreadPoolExecutor(WORKERS) as pool:
        for module, (share, failure) in zip(chosen, pool.map(alone, chosen), strict=True):
            fine = share >= NEEDED and not failure
            bad += not fine
            measured[module] = share
            print(f"{'' if fine else 'FAILED '}{module}: {share:.0f} % by {its_test(module)} {failure}", flush=True)
    without = [name for name, functions in excused().items() if not functions]
    print(f"{bad} modules not covered; {len(without)} have no test file: tests/without_test_file.txt")
    if given.write:
        write({module: share for module, share in measured.items() if share >= NEEDED})
    return 0 if passed and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
