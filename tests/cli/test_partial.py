# SPDX-License-Identifier: Apache-2.0
"""An image that lacks RAM: the share is said first, the case is written, and the exit code is 3."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import cache
from tests.kernel.accounts import X86, X86_RAM, put, raw

RULE = 'rule swapper { strings: $a = "swapper/0" condition: $a }'
CUT = 0xB80_0000
SHARE = 1 - (X86_RAM[1][1] - CUT) / sum(end - start for start, end in X86_RAM)


def memir(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "memir", *words, "--cache", str(cache())]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(("more", "code"), [([], 3), (["--allow-truncated"], 0)])
def test_analyze(more: list[str], code: int, tmp_path: Path) -> None:
    path = put(tmp_path, raw(X86)[:CUT])
    run = memir("analyze", str(path), "-o", str(tmp_path / "case"), *more)
    assert run.returncode == code, run.stderr
    first = run.stdout.splitlines()[0]
    assert first.startswith("RAM ")
    assert f"{100 * SHARE:.1f} % of the node's RAM" in first
    assert "hidden task" not in run.stdout
    assert (tmp_path / "case" / "case.json").is_file()


@pytest.mark.parametrize(("more", "code"), [([], 3), (["--allow-truncated"], 0)])
def test_hunt(more: list[str], code: int, tmp_path: Path) -> None:
    path = put(tmp_path, raw(X86)[:CUT])
    (tmp_path / "rule.yar").write_text(RULE)
    run = memir("hunt", str(path), "-r", str(tmp_path / "rule.yar"), "--json", "-o", str(tmp_path / "case"), *more)
    assert run.returncode == code, run.stderr
    assert json.loads(run.stdout)["gaps"]
    assert (tmp_path / "case" / "case.json").is_file()
