# SPDX-License-Identifier: Apache-2.0
"""One handler for all verbs: exit codes, one line for a fault of memir's, details in a file, traceback with --debug."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import typer

from memir.cli import handler
from memir.errors import Interrupted, PartialError, UsageError
from tests.cli.conftest import Memir

MEMIR = [sys.executable, "-m", "memir"]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, last = list(root.handlers), root.level, logging.lastResort
    with warnings.catch_warnings():
        yield
    root.handlers[:], logging.lastResort = handlers, last
    root.setLevel(level)
    logging.captureWarnings(False)


def raising(error: BaseException) -> Callable[[Sequence[str]], None]:
    def invoke(words: Sequence[str]) -> None:
        raise error

    return invoke


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("no\x1b[2J"), 2, "memir: no\\e[2J\n"),
        (PartialError("part\nmore"), 4, "memir: part\n       more\n"),
        (Interrupted("stopped"), 130, "memir: stopped\n"),
        (KeyboardInterrupt(), 130, "memir: interrupted\n"),
        (typer.Exit(5), 5, ""),
        (BrokenPipeError(), 0, ""),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), 3,
         f"memir: {'x' * 300}: cannot be used: File name too long\n"),
        (PermissionError(errno.EACCES, "Permission denied", b"a\xff\x1b"), 3,
         "memir: a\\udcff\\e: cannot be used: Permission denied\n"),
        (SystemExit(3), 3, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_codes(error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert handler.run(raising(error), []) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", message)


def test_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Sequence[str]] = []
    assert handler.run(seen.append, ["run", "--debug", "x", "--", "--debug"]) == 0
    assert seen == [["run", "x", "--", "--debug"]]
    assert capsys.readouterr().out == ""


def test_a_fault_of_memirs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert handler.run(raising(ZeroDivisionError("by\x1bzero\nagain")), []) == 70
    (details,) = (tmp_path / "state" / "memir").iterdir()
    shown = capsys.readouterr().err
    assert shown == (
        f"memir: internal error: ZeroDivisionError: by\\ezero: details are in {details}: please report it with them\n"
    )
    assert "Traceback (most recent call last)" in details.read_text()
    assert details.stat().st_mode & 0o777 == 0o600


def test_traceback_with_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert handler.run(raising(ZeroDivisionError("zero")), ["--debug"]) == 70
    assert "Traceback (most recent call last):\n" in capsys.readouterr().err
    assert handler.run(raising(UsageError("wrong")), ["--debug"]) == 2
    assert "Traceback (most recent call last):\n" in capsys.readouterr().err


def test_details_that_cannot_be_kept_where_they_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert handler.run(raising(ZeroDivisionError("zero")), []) == 70
    assert f"details are in {tmp_path}/error-" in capsys.readouterr().err


def test_libraries_are_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    def invoke(words: Sequence[str]) -> None:
        logging.getLogger("urllib3").warning("Retrying")
        warnings.warn("old", FutureWarning, stacklevel=1)

    assert handler.run(invoke, []) == 0
    assert capsys.readouterr().err == ""
    assert handler.run(invoke, ["--debug"]) == 0
    assert "urllib3: Retrying\n" in capsys.readouterr().err


@pytest.mark.parametrize(("word", "near"), [("inof", "info"), ("analyse", "analyze"), ("qury", "query")])
def test_a_verb_that_is_none(word: str, near: str, memir: Memir) -> None:
    ran = memir(word)
    assert (ran.code, ran.out) == (2, "")
    assert f"memir: there is no verb '{word}': do you mean {near}" in ran.err


def shell(line: str, **environment: str) -> tuple[int, bytes, bytes]:
    ran = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False, timeout=120,
        env={**os.environ, "MEMIR": f"{sys.executable} -m memir", **environment},
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


def test_output_to_a_full_disk() -> None:
    code, _, err = shell("$MEMIR --version > /dev/full")
    assert (code, err) == (3, b"memir: standard output: cannot be written: No space left on device\n")


def test_a_reader_that_ends_first() -> None:
    code, out, err = shell("$MEMIR --help | head -1")
    assert (code, err) == (0, b"")
    assert out.startswith(b"Usage: memir")


def test_closed_streams() -> None:
    assert shell("$MEMIR --version >&-") == (0, b"", b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_is_no_utf8(encoding: str, tmp_path: Path) -> None:
    code, out, err = shell(
        f"$MEMIR analyze '{tmp_path}'/$'no-\\xff\\e-image' -o '{tmp_path}'/$'case\\xff'", PYTHONIOENCODING=encoding
    )
    assert (code, out) == (3, b"")
    assert err == f"memir: {tmp_path}/no-\\udcff\\e-image: cannot be opened: No such file or directory\n".encode()
