# SPDX-License-Identifier: Apache-2.0
"""What the verbs print: nothing that a terminal would act on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from memir.cli.main import VERBS
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from tests.cli.conftest import Memir
from tests.images import case

NASTY = b"\x1b[31m\x07\x9b2J\n\0"


def test_help_lists_the_verbs(memir: Memir) -> None:
    ran = memir("--help")
    assert (ran.code, ran.err) == (0, "")
    assert set(VERBS) >= {"info", "symbols", "analyze", "run", "hunt", "acquire", "verify", "query", "plugins-path"}
    for verb in VERBS:
        assert re.search(rf"^  {verb}  +\S", ran.out, re.M), verb


@pytest.fixture(scope="module")
def nasty_image(raw_image: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The image with escape codes in the name and the arguments of one process of a container, and its pid."""
    path = tmp_path_factory.mktemp("nasty") / "nasty.raw"
    data = bytearray(raw_image.read_bytes())
    memory = case("s-6.1-small").open()
    kernel = Kernel(memory, locate(memory))
    row = next(
        one
        for one in RamSource(kernel).processes.rows
        if one.args and one.args[0].startswith("/app/server") and one.pid
    )
    task = np.array([row.task], np.uint64)
    comm, _ = kernel.space.physical(kernel.embedded(task, "task_struct", "comm"))
    mm = kernel.read(task, "task_struct", "mm").astype(np.uint64)
    root, _ = kernel.space.physical(kernel.read(mm, "mm_struct", "pgd").astype(np.uint64))
    start = kernel.read(mm, "mm_struct", "arg_start").astype(np.uint64)
    args, found = kernel.space.user_physical(root, start)
    assert found[0]
    data[int(comm[0]) : int(comm[0]) + len(NASTY)] = NASTY
    data[int(args[0]) : int(args[0]) + len(NASTY) - 1] = NASTY[:-1]
    path.write_bytes(data)
    return path, row.pid


def test_escape_codes_are_not_emitted(nasty_image: tuple[Path, int], memir: Memir, tmp_path: Path) -> None:
    """In no verb's output does a byte of the image reach the terminal as a control."""
    image, pid = nasty_image
    shown = [
        memir("analyze", image, "-o", tmp_path / "case"),
        memir("query", tmp_path / "case", f"select comm, args from processes where pid = {pid}"),
        memir("run", "linux.containerps", image),
        memir("run", "linux.pslist", image),
    ]
    for ran in shown:
        assert ran.code == 0
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ran.out + ran.err) == []
        assert "[31m" in ran.out  # it is there, harmless
    assert "\\e[31m" in shown[1].out
    document = memir("analyze", image, "--tables", "processes", "--json")
    assert document.out.isascii()
    assert "\x1b" not in document.out
    (row,) = [one for one in document.json()["rows"]["processes"] if one["pid"] == pid]
    assert row["comm"] == "\x1b[31m\x07\\x9b2J\n"
    assert row["args"][0].startswith("\x1b[31m\x07")
