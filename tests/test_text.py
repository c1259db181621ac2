# SPDX-License-Identifier: Apache-2.0
"""Text made safe, and the one output function: encodings, a full disk, a reader that has gone."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir import text
from memir.errors import OutputError

ROOT = Path(__file__).resolve().parents[1]
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x07\n", "\\e[31mred\\x07\\n"),
        ("a\u202eb\x9b2J", "a\\u202eb\\x9b2J"),
        ("caf\u00e9 \udcff", "caf\u00e9 \\udcff"),
        ("\U000f0000", "\\U000f0000"),
    ],
)
def test_safe(hostile: str, harmless: str) -> None:
    assert text.safe(hostile) == harmless


def test_safe_is_cut_where_a_limit_is_given() -> None:
    assert text.safe("abcdef", 4) == "abc…"
    assert text.safe("abcd", 4) == "abcd"


@given(st.text())
def test_nothing_that_a_terminal_acts_on_is_left(hostile: str) -> None:
    assert not CONTROLS.search(text.safe(hostile))


def test_width() -> None:
    assert (text.width("abc"), text.width("日本"), text.width("e\u0301")) == (3, 4, 1)


def test_counted() -> None:
    assert [text.counted(number, "fact") for number in (0, 1, 1200)] == ["0 facts", "1 fact", "1,200 facts"]
    assert text.counted(2, "process", "processes") == "2 processes"


def test_say(capsys: pytest.CaptureFixture[str]) -> None:
    text.say("one", "two\nthree\x1b[2J")
    text.say()
    text.say("to stderr", err=True)
    text.say_all(f"line {number}" for number in range(1000))
    text.say_raw("a,b\n\x1b,2\n")
    captured = capsys.readouterr()
    lines = captured.out.split("\n")
    assert lines[:3] == ["one", "two\\nthree\\e[2J", ""]
    assert lines[3:1003] == [f"line {number}" for number in range(1000)]
    assert lines[1003:] == ["a,b", "\\e,2", ""]
    assert captured.err == "to stderr\n"


def test_say_json(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    text.say_json(
        {"a": float("nan"), "b": [float("inf"), 1.5], "c": "\x1b\x7fé", "t": moment, "n": np.int64(7), "raw": b"\xff"}
    )
    out = capsys.readouterr().out
    assert out.isascii()
    assert not CONTROLS.search(out.rstrip("\n"))
    assert json.loads(out) == {
        "a": None, "b": [None, 1.5], "c": "\x1b\x7fé", "t": "2026-01-02T03:04:05.000678+00:00", "n": 7, "raw": "\\xff",
    }  # fmt: skip


def test_status_is_one_line_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    text.status("hunting \x1b[2J" + "x" * 500)
    shown = capsys.readouterr().err
    assert shown.startswith("\r\x1b[Khunting \\e[2J")
    assert len(shown) < 100


def python(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT, timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", b"caf\xe9 \\u2502"), ("ascii", b"caf\\xe9 \\u2502")])
def test_output_in_another_encoding(encoding: str, shown: bytes) -> None:
    ran = python(
        "from memir.text import *\nsay('caf\u00e9 \u2502')\nsay(str(can_show('\u2502')))", PYTHONIOENCODING=encoding
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, shown + b"\nFalse\n", b"")


def test_can_show_and_an_escape_where_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    assert (text.can_show("caf\u00e9"), text.can_show("\u2502")) == (True, False)
    text.say("caf\u00e9 \u2502")
    text.flush()
    assert raw.getvalue() == b"caf\xe9 \\u2502\n"


def test_nobody_reads_and_nobody_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed output takes nothing; a full disk is an error on standard output and none on standard error."""
    monkeypatch.setattr(sys, "stdout", None)
    text.say("nobody")
    text.flush()
    with Path("/dev/full").open("w") as full, Path("/dev/full").open("w", buffering=1) as unbuffered:
        monkeypatch.setattr(sys, "stderr", full)
        text.say("x", err=True)
        text.flush()
        monkeypatch.setattr(sys, "stdout", unbuffered)
        with pytest.raises(OutputError, match="standard output: cannot be written: No space left on device"):
            text.say("x")
        # from then on it leads nowhere, so that the end of the process is no second error
        text.say("y")
        text.flush()


def test_a_full_disk_is_an_error() -> None:
    code = (
        "import sys\nfrom memir.text import *\nsys.stdout = open('/dev/full', 'w')\n"
        "try:\n    say('x')\n    flush()\nexcept OutputError as error: say(str(error), err=True)"
    )
    ran = python(code.replace("import *\n", "import *\nfrom memir.errors import OutputError\n"))
    assert (ran.returncode, ran.stderr) == (0, b"standard output: cannot be written: No space left on device\n")
    assert OutputError.exit_code == 3


def test_a_reader_that_has_gone_ends_nothing() -> None:
    code = "from memir.text import *\nfor n in range(100000): say(str(n))\nflush()\nsay('went on', err=True)"
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c \"$CODE\" | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, check=True, cwd=ROOT, env={"CODE": code, "PATH": "/usr/bin:/bin"}, timeout=60,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == (b"0\n0\n", b"went on\n")


def test_nothing_else_prints() -> None:
    """No print(), no typer.echo, no console of rich's, no writing to standard streams outside memir/text.py.

    What runs on the node (memir/acquire/node*) is no part of the command line: its output is read by memir.
    """
    printing = []
    for path in [*sorted((ROOT / "memir").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]:
        name = path.relative_to(ROOT).as_posix()
        if name == "memir/text.py" or name.startswith("memir/acquire/node"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("print", "Console", "rich.print") or called.split(".")[-1] in ("echo", "secho"):
                    printing.append(f"{name}:{node.lineno}: {called}")
                if re.fullmatch(r"sys\.(__)?std(out|err)(__)?(\.buffer)?\.write(lines)?", called):
                    printing.append(f"{name}:{node.lineno}: {called}")
    assert printing == []
