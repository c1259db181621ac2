"""The command `memir`: one file per verb beside this one, imported when the verb is asked for.

Building every verb's options takes longer than most people wait for `memir --help`; the list of verbs stands here.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

from memir import __version__
from memir.errors import EXIT_INTERRUPTED, MemirError


@dataclass(frozen=True, slots=True)
class _Verb:
    """module: in memir.cli; its register() adds the verb. help: one line."""

    module: str
    help: str


VERBS = {
    "info": _Verb("info", "What an image is: format, size, kernel, paging, KASLR, symbols."),
    "analyze": _Verb("analyze", "Find every process, container and pod in an image; keep it as a case."),
    "hunt": _Verb("hunt", "Scan RAM with YARA rules; every hit with its process, file, container and pod."),
    "acquire": _Verb("acquire", "Take a live node's RAM: nothing on its disk, custody proved."),
    "verify": _Verb("verify", "Check an evidence folder's hashes, custody chain and completeness."),
    "tools": _Verb("tools", "Tools that go to nodes: AVML, LiME."),
    "symbols": _Verb("symbols", "Write an ISF that volatility3 accepts, from the image alone."),
    "run": _Verb("run", "Run any volatility3 plugin, with pod columns added."),
    "plugins-path": _Verb("run", "Print the folder of memir's volatility3 plugins, for vol -p."),
    "query": _Verb("query", "Ask a case's tables in SQL (DuckDB)."),
}


class _Verbs(TyperGroup):
    """A group whose commands are made when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs, in the order in which an incident needs them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the one verb that was asked for."""
        del ctx
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        holder = typer.Typer(rich_markup_mode=None, add_completion=False)
        holder.callback()(lambda: None)  # keeps it a group, even with one verb
        importlib.import_module(f"memir.cli.{verb.module}").register(holder)
        group: Any = typer.main.get_command(holder)
        return group.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of verbs, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


app = typer.Typer(
    name="memir",
    cls=_Verbs,
    help="Memory incident response for Kubernetes nodes: take a node's RAM, find every pod in it, hunt across pods.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memir {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and end."
    ),
) -> None:
    del version


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; an error of memir's is a message on stderr and its exit code.

    To be told to end, or to lose the terminal, is an interruption like Ctrl-C: what is going on is ended safely.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup asks to be left alone
            signal.signal(number, _stop)
    try:
        app()
    except MemirError as error:
        from memir.text import safe

        lines = [safe(line) for line in str(error).split("\n")]
        print("memir: " + "\n       ".join(lines), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("memir: interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has enough; leave quietly, as other tools do
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
