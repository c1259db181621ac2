# SPDX-License-Identifier: Apache-2.0
"""The public names: every one can be called, also after every submodule has been imported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import memir

ROOT = Path(__file__).resolve().parents[1]
NAMES = {
    "open", "Node", "View", "Hits", "Case", "analyze", "Analysis", "describe", "hunt_image", "hunt_images",
    "HuntResult", "compile_rules", "capture", "Gap", "Gaps", "MemirError",
}  # fmt: skip


def modules() -> list[str]:
    return [info.name for info in pkgutil.walk_packages(memir.__path__, "memir.") if not info.name.endswith("__main__")]


def test_the_names_are_these() -> None:
    assert set(memir.__all__) == NAMES == set(memir._HOME)
    assert len(memir.__all__) == len(NAMES)
    assert set(memir.__all__) <= set(dir(memir))


def test_no_name_is_a_modules() -> None:
    tops = {name.split(".")[1] for name in modules()}
    assert not tops & NAMES


def test_every_name_can_be_called_after_every_module_was_imported() -> None:
    """In a process of its own: names that this one has met already would prove nothing."""
    code = f"""
import importlib, pathlib, tempfile, pyarrow
for name in {modules()!r}:
    importlib.import_module(name)
import memir
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "notes").write_text("no image")
def raises(call, *words, **named):
    try:
        call(*words, **named)
    except memir.MemirError as error:
        return str(error) != ""
checks = {{
    "open": lambda: raises(memir.open, folder / "notes"),
    "Node": lambda: memir.Node.__name__ == "Node" and callable(memir.Node.sql),
    "View": lambda: len(memir.View("x", pyarrow.table({{"a": [1]}}))) == 1,
    "Hits": lambda: issubclass(memir.Hits, memir.View),
    "Case": lambda: raises(memir.Case, folder),
    "analyze": lambda: raises(memir.analyze, folder / "notes"),
    "Analysis": lambda: callable(memir.Analysis.document),
    "describe": lambda: raises(memir.describe, folder / "notes"),
    "hunt_image": lambda: raises(memir.hunt_image, folder / "notes", folder / "no.yar"),
    "hunt_images": lambda: raises(memir.hunt_images, [folder / "notes"], folder / "no.yar"),
    "HuntResult": lambda: callable(memir.HuntResult.document),
    "compile_rules": lambda: raises(memir.compile_rules, folder / "no.yar"),
    "capture": lambda: callable(memir.capture),
    "Gap": lambda: memir.Gap("a", "b", "c").count == 1,
    "Gaps": lambda: len(memir.Gaps()) == 0,
    "MemirError": lambda: str(memir.MemirError("x")) == "x",
}}
assert set(checks) == set(memir.__all__), set(checks) ^ set(memir.__all__)
print([name for name, check in checks.items() if not check()])
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'memir' has no attribute 'acquisitions'"):
        memir.acquisitions  # noqa: B018  (asking for it is the test)


def test_import_costs_nothing() -> None:
    code = (
        "import sys, memir\nprint(sorted(name for name in sys.modules if name.split('.')[0] in "
        "('numpy', 'pyarrow', 'duckdb', 'boto3', 'yara', 'volatility3') or name.startswith('memir.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_says_what_it_is(name: str) -> None:
    assert len(inspect.getdoc(getattr(memir, name)) or "") > 20
    assert getattr(importlib.import_module(memir._HOME[name]), name) is getattr(memir, name)
