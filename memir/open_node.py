# SPDX-License-Identifier: Apache-2.0
"""Opening a node: the image's memory, the kernel in it, what the Kubernetes API said, and the cache of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from memir.errors import UsageError, no_kernel
from memir.gaps import Gaps
from memir.node import Node, Progress
from memir.ram_node import RamNode

if TYPE_CHECKING:
    from memir.image.memory import PhysicalMemory
    from memir.kernel.engine import Kernel
    from memir.kernel.reference_image import ImageReference
    from memir.kernel.reference_text import Reference
    from memir.logs.stream import LogPath


def cache_folder(chosen: str | Path | None = None) -> Path:
    """The folder given, else $MEMIR_CACHE, else memir below the XDG cache folder."""
    import os

    if chosen is not None:
        return Path(chosen)
    if os.environ.get("MEMIR_CACHE"):
        return Path(os.environ["MEMIR_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"


def open_memory(
    image: str | Path,
    *,
    cache: str | Path | None = None,
    allow_truncated: bool = False,
    base: int | str | None = None,
    progress: Progress | None = None,
) -> PhysicalMemory:
    """The RAM of an image file, an evidence folder or an s3:// address.

    base: physical address of a raw image's first byte, a number or text as 0x40000000. ImageError if the image cannot
    be read, UsageError for an address that is none.
    """
    from memir.aws.image import open_image

    path: str | Path = str(image)
    if not path:
        raise UsageError("no image is named: its name is empty (a variable that is not set?)")
    if not str(image).startswith("s3://") and Path(image).is_dir():
        from memir.evidence.folder import is_evidence
        from memir.evidence.location import address_of

        if is_collected(image):
            from memir.collected.source import WHAT

            raise no_kernel(image, WHAT)
        if is_evidence(Path(image)):
            path = address_of(Path(image))
    try:
        number = int(base, 0) if isinstance(base, str) and base else base or None
    except ValueError as error:
        raise UsageError(f"base {base}: not a number; write it as 0x40000000") from error
    return open_image(
        path, allow_truncated=allow_truncated, cache=cache_folder(cache), progress=progress,
        base=number if isinstance(number, int) else None,
    )  # fmt: skip


def is_collected(image: str | Path) -> bool:
    """Whether it is a folder that a pod was collected into (`memir collect pod`). CustodyError for a bad receipt."""
    if str(image).startswith("s3://") or not Path(image).is_dir():
        return False
    from memir.evidence.pod_receipt import pod_receipt_of

    return pod_receipt_of(Path(image)) is not None


def cluster_beside(image: str | Path) -> Path | None:
    """The Kubernetes snapshot that was taken with an evidence folder; None if there is none."""
    if str(image).startswith("s3://") or not Path(image).is_dir():
        return None
    from memir.evidence.folder import cluster_of, is_evidence

    return cluster_of(Path(image)) if is_evidence(Path(image)) else None


def open(
    image: str | Path,
    *,
    cluster: str | Path | None = None,
    btf: str | Path | None = None,
    kallsyms: str | Path | None = None,
    isf: str | Path | None = None,
    base: int | str | None = None,
    cache: str | Path | None = None,
    allow_truncated: bool = True,
    progress: Progress | None = None,
    logs: Sequence[LogPath] | str | Path = (),
    secrets: bool = True,
    reference: str | Path | None = None,
) -> Node:
    """Open an image file, an evidence folder or an s3:// address and find the kernel in it; or a checkpoint archive.

    Or the folder of a collected pod (`memir collect pod`): its tables are those that such a folder can give.

    cluster: what the Kubernetes API said (pods.json, or a folder with it); that of an evidence folder is taken by
    itself. btf, kallsyms, isf: the kernel's types and addresses, where the image lacks them. cache: folder for unpacked
    images and decoded symbols. allow_truncated: open a file that lacks bytes its headers promise too; `node.coverage`
    says how much of the node's RAM is there. logs: files, folders and s3:// prefixes of audit logs, CloudTrail, flow
    logs, GuardDuty's findings and more, which become tables beside those of RAM; what lies in S3 is copied until the
    node is closed. secrets: False leaves out the table secrets, for which all RAM is searched; that is then a gap, and
    what needs the table is not looked for. reference: vmlinuz or vmlinux of the kernel's build, with which its text and
    read-only data are compared (table hooks); or another image of that build, what differs from which is counted and
    not judged. Raises ImageError, SymbolsError, ClusterError, LogsError (each an
    EvidenceError), RemoteError or UsageError.
    """
    from memir.logs.stream import log_files

    with ExitStack() as stack:
        named = logs_here([logs] if isinstance(logs, str | Path) else logs, stack)
        log_files(named)  # one that is not there is an error before long work
        node = _opened(image, cluster, btf, kallsyms, isf, base, cache, allow_truncated, progress, named, reference)
        if not secrets:
            node.leave_out("secrets", "left out as asked (--no-secrets): not looked for")
        node.at_close(stack.pop_all().close)
    return node


def logs_here(logs: Iterable[LogPath], stack: ExitStack) -> list[LogPath]:
    """The logs as files and folders that are here: objects of S3 are copied until the stack is closed.

    LogsError where nothing lies at an address, StorageError, AccessError.
    """
    from memir.aws.log_files import copied
    from memir.logs.stream import Renamed

    every = list(logs)
    there = [str(each) for each in every if isinstance(each, str) and each.startswith("s3://")]
    if not there:
        return every
    copies = stack.enter_context(copied(there))
    return [*(each for each in every if each not in there), *(Renamed(each.path, each.address) for each in copies)]


def _opened(
    image: str | Path,
    cluster: str | Path | None,
    btf: str | Path | None,
    kallsyms: str | Path | None,
    isf: str | Path | None,
    base: int | str | None,
    cache: str | Path | None,
    allow_truncated: bool,
    progress: Progress | None,
    named: list[LogPath],
    reference: str | Path | None,
) -> Node:
    from memir.checkpoint.archive import is_checkpoint
    from memir.kernel.find import find_kernel
    from memir.kube.ram import RamSource
    from memir.kube.snapshot import load_cluster
    from memir.symbols.locate import Given
    from memir.symbols.store import Store

    for_ram = {"cluster": cluster, "btf": btf, "kallsyms": kallsyms, "isf": isf, "base": base, "reference": reference}
    if is_collected(image):
        from memir.collected_node import open_collected

        return open_collected(image, logs=named, progress=progress, unused=for_ram)
    if is_checkpoint(image):
        from memir.checkpoint_node import open_checkpoint

        return open_checkpoint(image, logs=named, progress=progress, unused=for_ram)
    view = cluster if cluster is not None else cluster_beside(image)
    snapshot = load_cluster(Path(view)) if view is not None else None
    given = Given(*(Path(path) if path is not None else None for path in (btf, kallsyms, isf)))
    memory = open_memory(image, cache=cache, allow_truncated=allow_truncated, base=base, progress=progress)
    try:
        gaps = Gaps()
        if memory.missing:
            gaps.add("image", str(memory.path), "bytes that the headers promise are missing", memory.missing)
        source = RamSource(find_kernel(memory, given, Store(cache_folder(cache)), gaps), snapshot)
        if reference is not None:
            source.reference = _reference(Path(reference), source.kernel, cache)
    except BaseException:
        memory.close()
        raise
    return RamNode(source, cluster=str(view) if view is not None else None, progress=progress, logs=named)


def _reference(path: Path, kernel: Kernel, cache: str | Path | None) -> Reference | ImageReference:
    """Of the build's own file, or of another image in which a kernel of the build runs."""
    from memir.errors import EvidenceError, SymbolsError
    from memir.kernel.bzimage import is_kernel
    from memir.kernel.find import find_kernel
    from memir.kernel.reference_image import read_image_reference
    from memir.kernel.reference_text import read_reference
    from memir.symbols.store import Store

    if is_kernel(path) or not path.exists():
        return read_reference(path, kernel)
    with ExitStack() as opened:
        try:
            memory = opened.enter_context(open_memory(path, cache=cache))
            other = find_kernel(memory, store=Store(cache_folder(cache)))
        except SymbolsError as error:
            raise SymbolsError(f"--reference {path}: neither a vmlinuz or vmlinux nor an image with a kernel in it: "
                               f"{error}") from error  # fmt: skip
        except EvidenceError as error:
            raise SymbolsError(f"--reference {path}: neither a vmlinuz or vmlinux nor an image: {error}") from error
        return read_image_reference(path, other, kernel)
