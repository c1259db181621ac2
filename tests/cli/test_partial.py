# SPDX-License-Identifier: Apache-2.0
"""An image that lacks RAM: the share is said first, the case is written, and the exit code is 3."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.images import cache, case
from tests.kernel.accounts import HOLE, X86, X86_RAM, put, raw, with_hole

RULE = 'rule swapper { strings: $a = "swapper/0" condition: $a }'
CUT = 0xB80_0000
SHARE = 1 - (X86_RAM[1][1] - CUT) / sum(end - start for start, end in X86_RAM)

ALLOWED: list[Any] = [
    ([], 3), pytest.param(["--allow-truncated"], 0, marks=pytest.mark.long("the exit code alone differs")),
]  # fmt: skip


@pytest.fixture
def memir(command: Command) -> Command:
    return lambda *words: command(*words, "--cache", cache())


@pytest.mark.parametrize(("more", "code"), ALLOWED)
def test_analyze(more: list[str], code: int, tmp_path: Path, memir: Command) -> None:
    path = put(tmp_path, raw(X86)[:CUT])
    run = memir("analyze", str(path), "-o", str(tmp_path / "case"), *more)
    assert run.returncode == code, run.stderr
    first = run.stdout.splitlines()[0]
    assert first.startswith("RAM ")
    assert f"{100 * SHARE:.1f} % of the node's RAM" in first
    assert "hidden task" not in run.stdout
    assert (tmp_path / "case" / "case.json").is_file()


@pytest.mark.parametrize(("more", "code"), [([], 3), (["--allow-truncated"], 0)])
def test_hunt(more: list[str], code: int, tmp_path: Path, memir: Command) -> None:
    path = put(tmp_path, raw(X86)[:CUT])
    (tmp_path / "rule.yar").write_text(RULE)
    run = memir("hunt", str(path), "-r", str(tmp_path / "rule.yar"), "--json", "-o", str(tmp_path / "case"), *more)
    assert run.returncode == code, run.stderr
    assert json.loads(run.stdout)["gaps"]
    assert (tmp_path / "case" / "case.json").is_file()


@pytest.mark.parametrize(("more", "code"), ALLOWED)
def test_hunt_through_several(more: list[str], code: int, tmp_path: Path, memir: Command) -> None:
    path = put(tmp_path, raw(X86)[:CUT])
    (tmp_path / "rule.yar").write_text(RULE)
    words = ["hunt", str(path), str(case(X86).image), "-r", str(tmp_path / "rule.yar"), "--kinds", "kernel", *more]
    run = memir(*words)
    assert run.returncode == code, run.stderr
    first = run.stdout.splitlines()[0]
    assert first.startswith(f"{path}: {100 * SHARE:.1f} % of the node's RAM is in the image")
    assert "100.0 %" in run.stdout
    lines = memir(*words, "--jsonl")
    assert lines.returncode == code
    assert f"{path}: {100 * SHARE:.1f} % of the node's RAM" in lines.stderr
    assert all(json.loads(line)["rule"] == "swapper" for line in lines.stdout.splitlines())


@pytest.mark.parametrize(("more", "code"), ALLOWED)
@pytest.mark.parametrize("verb", ["info", "symbols", "run"])
def test_other_verbs(verb: str, more: list[str], code: int, tmp_path: Path, memir: Command) -> None:
    """The file's base and layout are found, the share is told, and what there is comes out."""
    path = put(tmp_path, raw(X86)[:CUT])
    words = {
        "info": ["info", str(path)],
        "symbols": ["symbols", str(path), "-o", str(tmp_path / "symbols.json")],
        "run": ["run", "linux.pods", str(path)],
    }[verb]
    people, document = memir(*words, *more), memir(*words, "--json", *more)
    assert (people.returncode, document.returncode) == (code, code), people.stderr + document.stderr
    assert f"{100 * SHARE:.1f} % of the node's RAM is in the image" in people.stdout + people.stderr
    assert json.loads(document.stdout)["ram_share"] == pytest.approx(SHARE)


@pytest.mark.parametrize("verb", ["info", "symbols", "run"])
def test_other_verbs_with_a_hole_left_out(verb: str, tmp_path: Path, memir: Command) -> None:
    """A file whose hole was squeezed out: memir reads it in the layout that explains it, whatever the verb."""
    data = with_hole()
    path = put(tmp_path, data[: HOLE[0]] + data[HOLE[1] :])
    words = {
        "info": ["info", str(path)],
        "symbols": ["symbols", str(path), "-o", str(tmp_path / "symbols.json")],
        "run": ["run", "linux.pods", str(path)],
    }[verb]
    run = memir(*words, "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["ram_share"] == 1.0


def test_every_task_lies_in_what_is_missing(tmp_path: Path, memir: Command) -> None:
    """The share first, a case of what is there, and 3: not one line that says nothing of the image."""
    data, parts = raw(X86), ((0x1000, 0x9F000), (0x4000000, 0xBFE0000))
    path = tmp_path / "high.lime"
    header = struct.Struct("<IIQQQ")
    path.write_bytes(b"".join(header.pack(0x4C694D45, 1, low, high - 1, 0) + data[low:high] for low, high in parts))
    run = memir("analyze", str(path), "-o", str(tmp_path / "case"))
    assert run.returncode == 3, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].startswith("RAM         67.1 % of the node's RAM is in the image")
    assert "0 processes (0 in containers, 0 kernel threads)" in run.stdout
    assert "task: none could be read: all may lie in the RAM that the image lacks" in run.stdout
    assert "hidden" not in run.stdout
    assert (tmp_path / "case" / "case.json").is_file()
    (tmp_path / "rule.yar").write_text(RULE)
    run = memir("hunt", str(path), "-r", str(tmp_path / "rule.yar"), "--kinds", "kernel")
    assert run.returncode == 3, run.stderr
    assert run.stdout.startswith("67.1 % of the node's RAM is in the image")
