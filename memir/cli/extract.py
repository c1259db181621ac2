# SPDX-License-Identifier: Apache-2.0
"""`memir extract files|memory|container IMAGE -o DIR`: files of the page cache, memory of processes, or both of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    BucketOwnerOption,
    CacheOption,
    ClusterOption,
    ImageArgument,
    IsfOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    print_json,
    progress,
)
from memir.cli.group import Group
from memir.errors import EXIT_DONE, EXIT_EVIDENCE
from memir.text import say

_FEW = 5  # files that are named
_MOST = 20  # files with holes that are named; the manifest has all


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(
        cls=Group, help="Take files and memory out of RAM.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("files")(files)
    group.command("memory")(memory)
    group.command("container")(container)
    app.add_typer(group, name="extract")


def files(
    image: ImageArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New or empty folder.")],
    pod: Annotated[list[str] | None, typer.Option("--pod", help="Of this pod: NAME, NAMESPACE/NAME or UID.")] = None,
    container: Annotated[list[str] | None, typer.Option("--container", help="Of this container: name or id.")] = None,
    pid: Annotated[list[int] | None, typer.Option("--pid", help="What this process has open or mapped.")] = None,
    path: Annotated[str | None, typer.Option("--path", metavar="GLOB", help="Paths, as '/tmp/*'.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only files that have no name any more.")] = False,
    tar: Annotated[bool, typer.Option("--tar", help="One tar a container instead of a folder.")] = False,
    cluster: ClusterOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Write files as far as the page cache has them, and manifest.json: owner, mode, times, hash, what is not in RAM.

    Exit 0: done, holes and all. 2: no such file, or DIR is not empty. 3: the image lacks a part of the node's RAM.
    """
    import memir
    from memir.extract.files import Wanted, extract_files

    wanted = Wanted(tuple(pod or ()), tuple(container or ()), tuple(pid or ()), path, deleted)
    with (
        progress() as line,
        memir.open(
            image, cluster=cluster, btf=btf, kallsyms=kallsyms, isf=isf, base=base, cache=cache, progress=line
        ) as node,
    ):
        done = extract_files(node, output, wanted, tar=tar)
        whole = node.coverage.whole
    written = [entry for entry in done if entry.file]
    holed = [entry for entry in written if entry.holes]
    if json:
        print_json({"output": str(output), "listed": len(done), "written": len(written), "with_holes": len(holed)})
    else:
        files = "1 file" if len(written) == 1 else f"{len(written):,} files"
        say(f"{files} written to {output}, {len(done) - len(written)} only listed in manifest.json")
        for entry in written if len(written) <= _FEW else ():
            say(f"  {output / str(entry.file)}")
        for entry in holed[:_MOST]:
            say(
                f"  not whole: {entry.path}: {entry.lacking:,} of {entry.size:,} bytes are not in RAM and read as zeros"
            )
        if len(holed) > _MOST:
            say(f"  and {len(holed) - _MOST} more that are not whole: see holes in manifest.json")
    if not whole:
        raise typer.Exit(EXIT_DONE if allow_truncated else EXIT_EVIDENCE)


def memory(
    image: ImageArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New or empty folder.")],
    pod: Annotated[list[str] | None, typer.Option("--pod", help="Of this pod: NAME, NAMESPACE/NAME or UID.")] = None,
    container: Annotated[list[str] | None, typer.Option("--container", help="Of this container: name or id.")] = None,
    pid: Annotated[list[int] | None, typer.Option("--pid", help="Of this process.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Runs of pages as plain files, in place of ELF cores.")] = False,
    cluster: ClusterOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Write the memory of processes as ELF cores that gdb opens, and manifest.json: regions, hashes, holes.

    A page that is not in RAM is in no segment, so that a debugger says so. Memory holds secrets in clear. Exit 0: done,
    holes and all. 2: no such process, or DIR is not empty. 3: the image lacks RAM, or DIR cannot be written.
    """
    import memir
    from memir.extract.memory import WantedMemory, extract_memory

    wanted = WantedMemory(tuple(pod or ()), tuple(container or ()), tuple(pid or ()))
    with (
        progress() as line,
        memir.open(
            image, cluster=cluster, btf=btf, kallsyms=kallsyms, isf=isf, base=base, cache=cache, progress=line
        ) as node,
    ):
        done = extract_memory(node, output, wanted, raw=raw)
        whole = node.coverage.whole
    if json:
        sums = {name: sum(getattr(entry, name) for entry in done) for name in ("mapped", "present", "absent")}
        print_json({"output": str(output), "processes": len(done), **sums})
    else:
        what, many = "memory" if raw else "cores", "process" if len(done) == 1 else "processes"
        say(f"{what} of {len(done)} {many} written to {output}, listed in manifest.json")
        for entry in done[:_MOST]:
            say(f"  {entry.pid} {entry.comm}: {entry.present:,} of {entry.mapped:,} bytes are in RAM"
                + (f", {entry.unpacked:,} of them unpacked from swap" if entry.unpacked else "")
                + ("" if entry.swapped in (0, None) else f", {entry.swapped:,} were swapped out"))  # fmt: skip
        if len(done) > _MOST:
            say(f"  and {len(done) - _MOST} more: see manifest.json")
    if not whole:
        raise typer.Exit(EXIT_DONE if allow_truncated else EXIT_EVIDENCE)


def container(
    image: ImageArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New or empty folder.")],
    ident: Annotated[str, typer.Option("--container", metavar="ID", help="Its id, the start of it, or its name.")],
    cluster: ClusterOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Write all that RAM has of one container: files, volumes, memory, spec, rows of tables, a manifest with hashes.

    Secrets are masked in spec.json and tables/; files and memory have them in clear. Exit 0: done, holes and all. 2: no
    such container, or DIR is not empty. 3: the image lacks a part of the node's RAM, or DIR cannot be written.
    """
    import memir
    from memir.extract.container import extract_container

    with (
        progress() as line,
        memir.open(
            image, cluster=cluster, btf=btf, kallsyms=kallsyms, isf=isf, base=base, cache=cache, progress=line
        ) as node,
    ):
        copy = extract_container(node, output, ident)
        whole = node.coverage.whole
    if json:
        print_json({"output": str(output), **vars(copy)})
    else:
        say(
            f"{copy.title} ({copy.container_id[:12]}) written to {output}",
            f"  rootfs/   {copy.files} files, {copy.holed} of them not whole; {copy.listed} more only listed",
            f"  memory/   cores of {copy.processes} processes",
            f"  tables/   {', '.join(f'{name} {count}' for name, count in copy.rows.items())}",
            "  spec.json and manifest.json; files and memory hold secrets in clear",
        )
    if not whole:
        raise typer.Exit(EXIT_DONE if allow_truncated else EXIT_EVIDENCE)
