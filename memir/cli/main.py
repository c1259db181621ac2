# SPDX-License-Identifier: Apache-2.0
"""The command `memir`: one file per verb beside this one, imported when the verb is asked for.

Building every verb's options takes longer than most people wait for `memir --help`; the list of verbs stands here.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from memir import __version__
from memir.cli.examples import START, epilog
from memir.cli.handler import run
from memir.errors import UsageError
from memir.interrupt import interrupt, swallowed
from memir.text import say


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
    "collect": _Verb("collect", "Collect a pod whole, from the API server and its node's side; custody proved."),
    "verify": _Verb("verify", "Check an evidence folder's hashes, custody chain and completeness."),
    "tools": _Verb("tools", "Tools that go to nodes: AVML, LiME."),
    "symbols": _Verb("symbols", "Write an ISF that volatility3 accepts, from the image alone."),
    "run": _Verb("run", "Run any volatility3 plugin, with pod columns added."),
    "plugins-path": _Verb("run", "Print the folder of memir's volatility3 plugins, for vol -p."),
    "extract": _Verb("extract", "Take files out of RAM, with a manifest of what of them is not there."),
    "pages": _Verb("pages", "Whose the node's RAM is: every page by pod and kind, as a table and a picture."),
    "findings": _Verb("findings", "What the tables of cases say together, the worst first; how a kind is decided."),
    "timeline": _Verb("timeline", "What happened when: processes, containers, files, logs, findings in one order."),
    "report": _Verb("report", "Write a case for others: one HTML page, Markdown, for a SIEM, for ATT&CK Navigator."),
    "snapshot": _Verb(
        "snapshot", "The Kubernetes API's view, read-only, as --cluster reads it; never a secret's value."
    ),
    "fetch-logs": _Verb("fetch_logs", "A cluster's logs from AWS, read-only, as --logs reads them."),
    "plan": _Verb("plan", "What to do about a pod, a node or an alert, written down before anything is done."),
    "respond": _Verb("respond", "Run a plan step by step, go on with it, or take it back; a dry run unless told."),
    "diff": _Verb("diff", "What differs between two cases: new, gone, changed; matched by workload, not by pid."),
    "ask": _Verb("ask", "Ask a case a responder's question by name, without SQL; --list has them."),
    "query": _Verb("query", "Ask a case's tables in SQL (DuckDB)."),
}


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


@functools.cache
def _made(name: str) -> Any:
    """A verb's command. Kept: a start asks for it twice, and its options take ten milliseconds to read."""
    holder = typer.Typer(rich_markup_mode=None, add_completion=False)
    holder.callback()(lambda: None)  # keeps it a group, even with one verb
    importlib.import_module(f"memir.cli.{VERBS[name].module}").register(holder)
    group: Any = typer.main.get_command(holder)
    command = group.commands[name]
    command.epilog = epilog(name)
    for inner_name, inner in getattr(command, "commands", {}).items():
        inner.epilog = epilog(f"{name} {inner_name}")
        # click cuts what it lists of a verb's verbs to one line; what is given as short is wrapped
        inner.short_help = inner.short_help or _first_paragraph(inner.help)
    return command


class _Verbs(TyperGroup):
    """A group whose commands are made when they are asked for."""

    listing = False
    """While a shell completes the name of a verb: names and one line each will do."""

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
        if self.listing:
            return TyperCommand(cmd_name, help=verb.help)
        return _made(cmd_name)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Verbs and options that begin so, without importing a verb."""
        self.listing = True
        try:
            return list(super().shell_complete(ctx, incomplete))
        finally:
            self.listing = False

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was asked for; a word that is none names the verbs that are near it."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, 3, 0.5)
            hint = f"do you mean {' or '.join(near)}?" if near else f"there are {', '.join(VERBS)}"
            ctx.fail(f"there is no verb {args[0]!r}: {hint}")
        from memir.cli.group import check_once

        name, command, words = super().resolve_command(ctx, args)
        if not hasattr(command, "commands"):  # a group looks at the words of its own verb
            check_once(ctx, command, words)
        return name, command, words

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of verbs, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


app = typer.Typer(
    name="memir",
    cls=_Verbs,
    help="Memory incident response for Kubernetes nodes: take a node's RAM, find every pod in it, hunt across pods.",
    epilog=START,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"memir {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and end."
    ),
    debug: bool = typer.Option(
        False, "--debug", help="Print tracebacks and the log of libraries; goes before or behind the verb."
    ),
) -> None:
    del version, debug


_COMPLETE = "_MEMIR_COMPLETE"
"""Set by the shell that completes a command line."""


class _NoPandas:
    """Arrow imports pandas, where it is installed, with its first array: a third of a second, and no verb needs it."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError("memir's verbs leave pandas out", name=name)


COLLECT = 200_000, 20, 50
"""Objects made until those are looked through for rings of garbage, which hardly any are (at 700, Python's own, that is
5 % of an analysis); how often until older ones are."""


def _no_empty(words: Sequence[str]) -> None:
    """Refuse an empty word, which a path would take for the current folder; query tells of an empty SQL itself."""
    for number, word in enumerate(words):
        if word == "--":
            return
        if word or (words[0] == "query" and number > 1 and not words[number - 1].startswith("-")):
            continue
        before = f"behind {words[number - 1]!r}" if number else "of memir"
        raise UsageError(f"the argument {before} is empty: is a variable not set?")


def invoke(words: Sequence[str]) -> None:
    """Parse the words of a command line and do what they say; every error comes out as an exception."""
    _no_empty(words)
    command: Any = typer.main.get_command(app)
    with command.make_context("memir", list(words)) as context:
        command.invoke(context)


def main() -> None:
    """Run the command line and end with its exit code.

    To be told to end, or to lose the terminal, is an interruption like Ctrl-C: what is going on is ended safely.
    """
    if _COMPLETE in os.environ:
        app(prog_name="memir")  # typer answers the shell, and ends
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # nohup asks to be left alone
            signal.signal(number, interrupt)
    sys.unraisablehook = swallowed
    gc.set_threshold(*COLLECT)
    atexit.register(gc.freeze)  # at the end Python looks for rings in all there is: a twelfth of an analysis
    if "run" in sys.argv[1:3]:  # volatility3's plugins are anyone's code
        sys.exit(run(invoke, sys.argv[1:]))
    finder: Any = _NoPandas
    sys.meta_path.insert(0, finder)
    try:
        code = run(invoke, sys.argv[1:])
    finally:
        sys.meta_path.remove(finder)
    sys.exit(code)
