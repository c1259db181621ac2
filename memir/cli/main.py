"""The command `memir`: one file per verb beside this one."""

from __future__ import annotations

import os
import sys

import typer

from memir import __version__
from memir.cli import acquire, analyze, hunt, info, query, run, symbols, tools, verify
from memir.errors import EXIT_INTERRUPTED, MemirError

app = typer.Typer(
    name="memir",
    help="Memory incident response for Kubernetes nodes: take a node's RAM, find every pod in it, hunt across pods.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verb in (info, analyze, hunt, acquire, verify, tools, symbols, run, query):
    verb.register(app)


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


def main() -> None:
    """Run the command line; an error of memir's is one line on stderr and its exit code."""
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
