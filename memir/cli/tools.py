# SPDX-License-Identifier: Apache-2.0
"""`memir tools`: the tools that go to nodes, each pinned by its hash."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.group import Group
from memir.errors import EXIT_EVIDENCE, UsageError
from memir.text import say, say_json

if TYPE_CHECKING:
    from memir.acquire.tools.store import Pinned, Store

app = typer.Typer(cls=Group, help="Tools that go to nodes: AVML, LiME.", no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[Path | None, typer.Option("--store", help="Tool store, instead of $MEMIR_TOOLS or the default.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(parent: typer.Typer) -> None:
    """Add `memir tools` to the command line."""
    parent.add_typer(app, name="tools")


@app.command("list")
def list_tools(store: Folder = None, as_json: Json = False) -> None:
    """Every tool in the store."""
    from memir.acquire.tools.store import RELEASES, Store

    place = Store(store)
    tools = place.list()
    _show(tools, as_json, place)
    if not tools:
        say(
            f"no tool is in {place.folder} yet: `memir tools add FILE` with AVML's program from {RELEASES}, or"
            " `memir tools build avml`", err=True,
        )  # fmt: skip


@app.command()
def add(
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help="avml, lime.ko, a folder of them, s3://...")],
    sha256: Annotated[str, typer.Option("--sha256", help="The hash that the one file must have.")] = "",
    version: Annotated[str, typer.Option("--version", help="AVML's version, checked on the node.")] = "",
    store: Folder = None,
    as_json: Json = False,
) -> None:
    """Pin tools: programs and modules by file, all modules of a folder, or those below an S3 prefix."""
    from memir.acquire.tools.fetch import expand
    from memir.acquire.tools.store import Store

    added = []
    with expand(sources) as paths:
        if sha256 and len(paths) != 1:
            raise UsageError(f"--sha256 is for one file, {len(paths)} were given")
        for path, origin in paths:
            added.append(Store(store).add(path, version=version, sha256=sha256, origin=origin))
    _show(added, as_json, Store(store))


@app.command("verify")
def verify_tools(store: Folder = None, as_json: Json = False) -> None:
    """Compare every file of the store with its pinned hash."""
    from memir.acquire.tools.store import Store

    rows = list(Store(store).verify())
    if as_json:
        say_json([{**asdict(tool), "wrong": wrong} for tool, wrong in rows], indent=2)
    else:
        for tool, wrong in rows:
            say(f"{'WRONG' if wrong else 'ok   '} {tool.file} {wrong}".rstrip())
    if any(wrong for _, wrong in rows):
        raise typer.Exit(EXIT_EVIDENCE)


@app.command()
def build(
    tool: Annotated[str, typer.Argument(help="avml, helper or lime.")],
    *,
    machine: Annotated[str, typer.Option("--machine", help="x86_64 or aarch64 (avml, helper).")] = "",
    version: Annotated[str, typer.Option("--version", help="AVML's version.")] = "",
    headers: Annotated[Path | None, typer.Option("--headers", help="Kernel headers (lime).")] = None,
    source: Annotated[Path | None, typer.Option("--source", help="LiME's source folder (lime).")] = None,
    store: Folder = None,
    as_json: Json = False,
) -> None:
    """Build AVML with cargo, the pod's helper with a C compiler (both static), or LiME against headers, and pin it."""
    from memir.acquire.tools.build import AVML_VERSION, build_avml, build_helper, build_lime
    from memir.acquire.tools.store import Store

    if tool == "avml":
        made = build_avml(Store(store), machine or platform.machine(), version or AVML_VERSION)
    elif tool == "helper":
        made = build_helper(Store(store), machine or platform.machine())
    elif tool == "lime":
        if headers is None:
            raise UsageError("LiME is built against a kernel: give --headers /usr/src/linux-headers-RELEASE")
        made = build_lime(Store(store), headers, source)
    else:
        raise UsageError(f"{tool!r}: write avml, helper or lime")
    _show([made], as_json, Store(store))


def _show(rows: Sequence[Pinned], as_json: bool, place: Store) -> None:
    if as_json:
        say_json([asdict(tool) for tool in rows], indent=2)
        return
    for tool in rows:
        what = f"{tool.tool} {tool.version}".strip() + (f" for {tool.kernel}" if tool.kernel else "")
        say(f"{tool.sha256[:16]}  {tool.machine:8} {what}  {tool.file}  from {tool.origin}")
    if rows:
        say(f"Kept in {place.folder}")
