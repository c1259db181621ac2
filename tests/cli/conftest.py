# SPDX-License-Identifier: Apache-2.0
"""The command line run in this process, as `memir` runs it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from memir.cli.main import main
from tests.acquire.rigs.nodes import avml, make_node, node, sshd  # noqa: F401  (fixtures)
from tests.images import case


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document on stdout: one line, nothing before or behind it."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Memir = Callable[..., Ran]


def exit_code(*words: object) -> int:
    """Of `memir WORDS` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["memir", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
    return 0


@pytest.fixture
def memir(capsys: pytest.CaptureFixture[str]) -> Memir:
    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = exit_code(*words)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(memir: Memir) -> Command:
    """As a process of its own would have ended, without the second of its start."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        ran = memir(*words)
        return subprocess.CompletedProcess([*map(str, words)], ran.code, ran.out, ran.err)

    return run


@pytest.fixture(scope="session")
def raw_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """s-6.1-small unpacked: raw physical memory, sparse."""
    path = tmp_path_factory.mktemp("image") / "node.raw"
    with case("s-6.1-small").open() as memory, path.open("wb") as file:
        for start, view in memory.views(1 << 20, skip_zeros=True):
            file.seek(start)
            file.write(view.data)
        file.truncate(memory.end)
    return path


@pytest.fixture(scope="session")
def analysed_once(raw_image: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The case that `memir analyze raw_image --json` makes, and what it printed; for tests that only read it."""
    folder = tmp_path_factory.mktemp("analysed")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert exit_code("analyze", raw_image, "-o", folder / "case", "--json", "--cache", folder / "cache") == 0
    return folder / "case", Ran(0, out.getvalue(), "").json()


@pytest.fixture
def analysed(analysed_once: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy of that case, to do with as a test likes."""
    return shutil.copytree(analysed_once[0], tmp_path / "case", copy_function=shutil.copy2)


def registered(module: ModuleType) -> list[str]:
    """The verbs that a module's register() adds."""
    app = typer.Typer()
    module.register(app)
    return [str(command.name) for command in app.registered_commands]
