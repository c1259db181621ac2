# SPDX-License-Identifier: Apache-2.0
"""How every verb ends: exceptions become one message and one exit code, and standard output is written out."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from memir import __version__
from memir.errors import EXIT_DONE, EXIT_EVIDENCE, EXIT_INTERNAL, EXIT_INTERRUPTED, MemirError, worst
from memir.text import flush, say

if TYPE_CHECKING:
    from logging import Handler

_ClickError: type[BaseException] = typer.BadParameter.__mro__[2]
"""ClickException: typer brings its own click or uses the one installed, as its version has it."""


# what a name, its rights or its disk may be to blame for, wherever the file is first touched; no fault of memir's
_OF_THE_FILE = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR, errno.EPERM,
    errno.EROFS, errno.ESTALE,
})  # fmt: skip


def run(invoke: Callable[[Sequence[str]], None], words: Sequence[str]) -> int:
    """Do what `invoke` does with the words of a command line; gives the exit code, and never raises.

    If several codes apply (a verb's and that of an output that cannot be written), errors.worst says which it is.
    """
    _streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # help texts, which typer prints, go out in any encoding too
            stream.reconfigure(errors="backslashreplace")
    words, debug = _without_debug(words)
    _quiet_libraries(debug)
    codes = [_guarded(lambda: invoke(words), debug)]
    codes.append(_guarded(flush, debug))
    return worst(codes)


def _guarded(step: Callable[[], None], debug: bool) -> int:
    try:
        step()
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("memir: interrupted", err=True)
        return EXIT_INTERRUPTED
    except MemirError as error:
        _traceback(debug)
        first, *more = str(error).split("\n")
        say(f"memir: {first}", *(f"       {line}" for line in more), err=True)
        return error.exit_code
    except BrokenPipeError:  # of a library that prints by itself
        return EXIT_DONE
    except OSError as error:
        if error.filename is None or error.errno not in _OF_THE_FILE:
            return _internal(error, debug)
        _traceback(debug)
        say(f"memir: {os.fsdecode(error.filename)}: cannot be used: {error.strerror}", err=True)
        return EXIT_EVIDENCE
    except _ClickError as error:
        return _usage(error)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_INTERNAL if end.code else EXIT_DONE
    except Exception as error:  # noqa: BLE001  the one handler of what nobody expected: exit 70, details kept
        return _internal(error, debug)
    return EXIT_DONE


def _usage(error: BaseException) -> int:
    """A command line that cannot be parsed: its usage and what is wrong, exit 2."""
    context = getattr(error, "ctx", None)
    message: str = error.format_message()  # type: ignore[attr-defined]  # ClickException has it
    if type(error).__name__ == "NoArgsIsHelpError":
        say(*message.split("\n"), err=True)
    else:
        if context is not None:
            say(*context.get_usage().split("\n"), err=True)
        say(*f"memir: {message}".split("\n"), err=True)
        if context is not None and "--help" in context.help_option_names:
            say(f"Try '{context.command_path} --help' for its options.", err=True)
    return int(error.exit_code)  # type: ignore[attr-defined]  # ClickException has it


def _internal(error: Exception, debug: bool) -> int:
    import tempfile

    if debug:
        _traceback(debug)
    summary = f"{type(error).__name__}: {error}".split("\n")[0]
    for folder in (_state_folder(), Path(tempfile.gettempdir())):
        try:
            place = _write_details(folder)
        except OSError:
            continue
        say(f"memir: internal error: {summary[:300]}: details are in {place}: please report it with them", err=True)
        return EXIT_INTERNAL
    say(f"memir: internal error: {summary[:300]}: no folder for details could be written: see --debug", err=True)
    return EXIT_INTERNAL


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "memir"


def _write_details(folder: Path) -> Path:
    """The traceback and what it needs to be understood, in a file of its own that only its owner can read."""
    import platform
    import tempfile
    import time
    import traceback

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    descriptor, name = tempfile.mkstemp(prefix=f"error-{stamp}-", suffix=".txt", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"memir {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"command: {sys.argv!r}\n\n{traceback.format_exc()}")
    return Path(name)


def _traceback(debug: bool) -> None:
    if debug:
        import traceback

        say(*traceback.format_exc().rstrip("\n").split("\n"), err=True)


def _without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """--debug may stand behind the verb too; what is behind `--` is someone else's."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return [*kept, *words[end:]], len(kept) < end


def _quiet_libraries(debug: bool) -> None:
    """Warnings and log lines of libraries do not reach the terminal, where they are taken for memir's own."""
    import logging
    import warnings

    if debug:
        logging.getLogger().addHandler(_log_lines())
        logging.getLogger().setLevel(logging.INFO)
        logging.captureWarnings(True)
        return
    logging.lastResort = None
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _streams() -> None:
    """Standard streams that are closed lead nowhere: a file that is opened later must not take their place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _log_lines() -> Handler:
    """A log handler that prints as memir prints."""
    import logging

    class _LogLines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(*f"{record.name}: {record.getMessage()}".split("\n"), err=True)

    return _LogLines()
