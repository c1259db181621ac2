# SPDX-License-Identifier: Apache-2.0
"""What the long run takes, and what may be skipped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import longer
from tests.images import ROOT, ImageCase, cases

# by what a test reads: itself, a constant, a list of parameters, a helper, a fixture
MORE = {
    "image/test_lime.py": {"test_fuzz"},
    "kube/test_bolt.py": {"test_mutated_files"},
    "acquire/test_cuts.py": {"test_cut_at_random_bytes"},
    "volatility/test_stock.py": {"test_stock_volatility_is_right_with_our_symbols"},
}
SAME = ("kernel/test_list.py", "case/test_identity.py", "acquire/test_fleet.py", "cli/test_verify.py")


def test_tests_that_do_more_with_ci() -> None:
    def tests(name: str) -> set[str]:
        return {word for word in longer._names_that_do_more(ROOT / "tests" / name) if word.startswith("test_")}

    assert {name: tests(name) for name in MORE} == MORE
    assert [name for name in SAME if tests(name)] == []


def test_names_are_followed(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text("""
from tests.fuzz import cases, mutations
from tests.images import case
import os
LONG = bool(os.environ.get("CI"))
def rounds():
    return 3 if LONG else 1
@pytest.fixture
def many():
    return cases(5)
def test_a(): assert rounds()
def test_b(many): ...
def test_c(): case("x"), mutations([b""], 3)
@pytest.mark.parametrize("number", range(rounds()))
def test_d(number): ...
class TestE:
    def test_f(self): cases()
""")
    found = longer._names_that_do_more(file)
    assert {name for name in found if name.lower().startswith("test")} == {"test_a", "test_b", "test_d", "TestE"}


def test_images_that_are_not_samples(tmp_path: Path) -> None:
    sample = next(name for name, image in cases().items() if image.sample)
    other = ImageCase("other", tmp_path / "other.raw", tmp_path / "other.truth.txt")
    known = {
        sample: False,
        "no image": False,
        7: False,
        (sample, "no image"): False,
        other: True,
        (sample, other): True,
    }
    assert {value: longer._is_new(value) for value in known} == known


def collected(*options: str) -> set[str]:
    """Tests of one file, by name, as a run with these options chooses them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", *options, "tests/volatility/test_columns.py"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line.split("::")[1] for line in out.splitlines() if "::" in line}


def test_marked_long() -> None:
    """Left out of tests/run, done in the long run, and by whoever names the file."""
    every, shorter, longer_ones = collected(), collected("--shorter"), collected("--longer")
    assert shorter and longer_ones and shorter | longer_ones == every and not shorter & longer_ones
    assert {name for name in every if "s-5.10-small-v1" in name} == longer_ones


def test_what_tests_run_installs_is_no_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMIR_TESTS_RUN", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no rustc"):
        longer.not_here("no rustc")
    monkeypatch.setenv("MEMIR_TESTS_RUN", "1")
    with pytest.raises(pytest.fail.Exception, match="no rustc: tests/run installs it"):
        longer.not_here("no rustc")


@pytest.mark.parametrize(("seconds", "done"), [(21 * 60, True), (19 * 60, False), (-60, False), (None, True)])
def test_a_node_that_would_not_be_done_is_named(seconds: int | None, done: bool) -> None:
    """MEMIR_UNTIL: what it leaves out is said by name with the minutes."""
    script = (ROOT / "tests/run").read_text()
    function = script[script.index("left() {") : script.index("tests() {")]
    until = {} if seconds is None else {"MEMIR_UNTIL": str(int(time.time()) + seconds)}
    ran = subprocess.run(
        ["bash", "-uc", f'{function}\nleft "Kubernetes node" 20 && echo runs'], capture_output=True, text=True,
        check=False, env={"PATH": os.environ["PATH"], **until},
    )  # fmt: skip
    if done:
        assert ran.stdout == "runs\n"
    else:
        minutes = {19 * 60: "18|19", -60: "-1|0"}[seconds or 0]
        assert re.fullmatch(
            rf"not run here: Kubernetes node: it takes 20 minutes, and ({minutes}) are left\n", ran.stdout
        )


def test_ci_runs_both_with_a_time_to_be_done_by() -> None:
    assert "export MEMIR_UNTIL\nbash tests/run\nexec bash tests/run --all\n" in (ROOT / ".ci/run").read_text()
