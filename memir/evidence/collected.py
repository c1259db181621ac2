# SPDX-License-Identifier: Apache-2.0
"""What a collection of a pod records in the manifest, and whether it is whole.

::

    EVIDENCE/
      api/         the API server's view: pod.json, node.json, events.json, logs/CONTAINER.log, CONTAINER.previous.log
      node/        the node's: processes.jsonl, net/, mounts/, runtime/, logs/, deleted/, containers/ID/upper.tar ...
                   and upper.files.jsonl, made here of the tar while it came (layer_list.py)
      clear/       what holds values that memir masks elsewhere: processes.jsonl (arguments, environment), memory/
      manifest.jsonl, receipt.json ...     as of an acquisition (folder.py)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memir.evidence.layer_list import SUFFIX

API, NODE, CLEAR = "api", "node", "clear"
FACTS = "node/collector.json"
"""What the collector said beside its files, written at its end."""
FOLDERS = tuple(f"{name}/" for name in (API, NODE, CLEAR))
"""What the names of its files begin with."""


@dataclass(frozen=True, slots=True)
class CollectedContainer:
    """A container as the API had it. kind: container, init, sidecar, ephemeral. image_id: with its digest. state:
    running, waiting, terminated; "" if not known."""

    name: str
    kind: str
    container_id: str = ""
    image: str = ""
    image_id: str = ""
    state: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class CollectedPod:
    """Which pod. asked_api: False where it was named by UID and the API server was not asked."""

    namespace: str
    name: str
    uid: str
    node: str
    asked_api: bool
    containers: tuple[CollectedContainer, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectedGap:
    """What could not be had. missing: the collection is not whole without it."""

    kind: str
    where: str
    why: str
    count: int = 1
    missing: bool = False


@dataclass(frozen=True, slots=True)
class CollectedLayer:
    """A layer's tar and the list of its files. kind: upper, rootfs. sha256: of the list. problem: why the list stops
    before the tar's end, "" if it does not. files, whiteouts, opaque: how many are in it."""

    container_id: str
    kind: str
    tar: str
    list: str
    sha256: str
    problem: str = ""
    files: int = 0
    whiteouts: int = 0
    opaque: int = 0


@dataclass(frozen=True, slots=True)
class CollectionBegin:
    """What is to be collected. where: s3://... of the files, "" if they are in the folder."""

    pod: CollectedPod
    memory: bool
    rootfs: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """The collection came to its end, or did not.

    exit_code: of the collector on the node, None if none arrived. sent: files that the node said it sent, None if its
    last line never came. received: files of its stream that are stored. processes: of the pod on the node. where:
    s3://... of the files, "" if they are in the folder.
    """

    pod: CollectedPod
    exit_code: int | None
    sent: int | None
    received: int
    bytes: int
    processes: int
    seconds: float
    memory: bool
    rootfs: bool
    gaps: tuple[CollectedGap, ...] = ()
    where: str = ""
    layers: tuple[CollectedLayer, ...] = ()


def of_node(name: str) -> bool:
    """Whether a file of a collection came from the node: not what the API server gave or what was made here."""
    return name.startswith((f"{NODE}/", f"{CLEAR}/")) and name != FACTS and not name.endswith(SUFFIX)


def cut_files(collection: Collection | None) -> frozenset[str]:
    """Files that were being written when the stream or the controller was cut."""
    return frozenset(gap.where for gap in (collection.gaps if collection is not None else ()) if gap.kind == "file")


REFUSED = frozenset({
    "memory, environment, open files", "environment, open files", "environment", "open files", "file", "files",
})  # fmt: skip
"""Kinds of gaps of what the kernel refuses a reader without SYS_PTRACE, and files that are other users'."""


def refused_alone(collection: Collection) -> bool:
    """Whether all that a collection from within a pod lacks is what the kernel refused; the stream came whole."""
    whole = collection.exit_code == 0 and collection.sent == collection.received
    missing = [gap for gap in collection.gaps if gap.missing]
    return whole and bool(missing) and all(
        gap.kind in REFUSED and ("SYS_PTRACE" in gap.why or gap.why == "Permission denied" or "lets us" in gap.why)
        for gap in missing
    )  # fmt: skip


def collection_problems(collection: Collection, names: Iterable[str]) -> list[str]:
    """Why a collection is not whole, in words; empty: it is. names: of the files that the manifest records."""
    wrong = []
    if collection.sent is None:
        wrong.append("the node's last line never came: the stream was cut, or the node stopped")
    if collection.exit_code != 0:
        wrong.append(f"the collector on the node ended with {collection.exit_code}")
    if collection.sent is not None and collection.sent != collection.received:
        wrong.append(f"the node sent {collection.sent:,} files, {collection.received:,} are stored")
    recorded = sum(of_node(name) for name in names)
    if recorded < collection.received:
        wrong.append(f"{collection.received:,} files came from the node, {recorded:,} are recorded")
    for gap in collection.gaps:
        if gap.missing:
            times = f" ({gap.count:,} times)" if gap.count > 1 else ""
            wrong.append(f"{gap.kind} {gap.where}: {gap.why}{times}")
    return wrong
