# SPDX-License-Identifier: Apache-2.0
"""Signals while something is held back and after it, and while a module is loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import memir
from memir.interrupt import held_back

ROOT = Path(__file__).parents[1]


def test_the_first_changes_nothing_and_the_second_interrupts() -> None:
    steps = []
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("written")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(KeyboardInterrupt), held_back():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("not reached")
        assert steps == ["written"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_holds_nothing_back() -> None:
    usual = signal.getsignal(signal.SIGINT)
    seen: list[bool] = []

    def work() -> None:
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT) is usual)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


LOADED = """
import os, signal, sys
import memir.interrupt as here
signal.signal(signal.SIGINT, here.interrupt)
steps = []
sys.steps = steps
try:
    import slow
    steps.append("imported")
    import time
    time.sleep(20)
except KeyboardInterrupt:
    steps.append("interrupted")
print(*steps)
"""


@pytest.mark.parametrize(
    ("module", "steps"),
    [
        ("os.kill(os.getpid(), signal.SIGINT)\nsys.steps.append('loaded')", "loaded imported interrupted"),
        ("import below\nsys.steps.append('loaded')", "below loaded imported interrupted"),
        # whoever asks a second time does not wait for the import
        ("os.kill(os.getpid(), signal.SIGINT)\nos.kill(os.getpid(), signal.SIGINT)\nsys.steps.append('loaded')",
         "interrupted"),
    ],
    ids=["in the module", "in one that it loads", "a second one"],
)  # fmt: skip
def test_a_module_is_loaded_first(module: str, steps: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(f"import os, signal, sys\n{module}\n")
    # as long as it is looked whether the import has ended, and longer
    (tmp_path / "below.py").write_text(
        "import os, signal, sys, time\n"
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nsys.steps.append('below')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, steps), done.stderr


FINALIZER = """
import signal, sys, time
import memir.interrupt as here
signal.signal(signal.SIGINT, here.interrupt)
if sys.argv[1] == "memir":
    sys.unraisablehook = here.swallowed
class Thing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        print("not reached")
class Wrong:
    def __del__(self):
        raise ValueError("another fault")
try:
    Thing()
    Wrong()
    time.sleep(0.5)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("hook", "out", "lost"), [("memir", "interrupted", False), ("python", "went on", True)])
def test_an_interruption_in_a_finalizer_is_not_lost(hook: str, out: str, lost: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FINALIZER, hook], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip(), "KeyboardInterrupt" in done.stderr) == (0, out, lost), done.stderr
    assert "ValueError: another fault" in done.stderr


NATIVE = """
import enum, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
usual = enum.Enum.__init__
def once(self, *words, **names):
    usual(self, *words, **names)
    if "duckdb" in sys.modules and not sys.stopped:
        sys.stopped = True
        signal.raise_signal(signal.SIGINT)
sys.stopped = False
enum.Enum.__init__ = once
from memir.cli.main import main
main()
"""


def test_a_native_module_is_loaded_first(tmp_path: Path) -> None:
    """DuckDB makes its enums as it is loaded: an exception from there ended the process by SIGABRT."""
    memir.open(ROOT / "samples" / "s-6.1-small.raw.zst").save(tmp_path / "case", tables=["processes"])
    done = subprocess.run(
        [sys.executable, "-c", NATIVE, "query", str(tmp_path / "case"), "select sum(sqrt(a.range * b.range)) "
         "from range(10000000) a, range(1000000) b"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "memir: interrupted\n")
