# SPDX-License-Identifier: Apache-2.0
"""Memory of processes out of RAM: an ELF core each, or its regions as raw bytes, with a manifest of what is absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.errors import UsageError
from memir.extract import elf_core
from memir.extract.elf_core import PAGE, Mapped, Segment
from memir.extract.output import Output
from memir.extract.place import component
from memir.extract.space import Region, Space, spaces
from memir.extract.whose import check_names, folder_of, is_of
from memir.kernel import pt_regs
from memir.kernel.pagetable import U64
from memir.kernel.space import u64
from memir.kernel.swap import is_swapped

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.node import Node

SCHEMA = 1
_BATCH = 2048  # pages gathered at once: 8 MiB
_FLAGS = {"r": 4, "w": 2, "x": 1}  # PF_R, PF_W, PF_X


@dataclass(frozen=True)
class Thread:
    """registers: `entry` those of its last entry into the kernel, `running` the same of one that runs, so that they may
    be old, None not known: then the core has none of it."""

    tid: int
    comm: str | None
    registers: str | None


@dataclass(frozen=True)
class ProcessMemory:
    """One process as the manifest has it. sizes in bytes: mapped all regions, present what is in RAM and in the file,
    unpacked what of that was swapped out and lay compressed in RAM; absent the rest, swapped what of that is in swap.
    regions: each with its holes."""

    pid: int
    comm: str | None
    exe: str | None
    args: list[str] | None
    start_time: str | None
    namespace: str | None
    pod_name: str | None
    pod_uid: str | None
    container_id: str | None
    container_name: str | None
    mapped: int
    present: int
    absent: int
    swapped: int | None
    unpacked: int
    threads: list[Thread]
    regions: list[dict[str, Any]]
    file: str | None = None
    sha256: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class WantedMemory:
    """Whose: of pods (name, namespace/name, UID), containers (name or id), processes; all empty: every process."""

    pod: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    pid: tuple[int, ...] = ()


def extract_memory(
    node: Node, output: Path, wanted: WantedMemory | None = None, *, raw: bool = False
) -> list[ProcessMemory]:
    """Write the memory of the processes that are wanted below `output`, and manifest.json; gives what it lists.

    raw: a file for each run of pages that are there, named by its addresses, in place of cores. UsageError if no such
    process has memory, or the folder has something in it; OutputError if it cannot be written: what is done is kept.
    """
    _ = node.source.kernel  # UsageError for a part of a node, which has none
    rows = chosen(node, wanted or WantedMemory())
    place = Output(output)
    done: list[ProcessMemory] = []
    document = {"schema": SCHEMA, "image": str(node.memory.path)}
    listed: list[dict[str, Any]] = []
    with place.kept(listed, len(rows), document, "processes"):
        for entry in written(node, place, rows, raw=raw):
            done.append(entry)
            listed.append(asdict(entry))
    return done


def chosen(node: Node, wanted: WantedMemory) -> list[dict[str, Any]]:
    """Rows of the table processes whose memory is wanted and known. UsageError if there are none."""
    rows = node["processes"].to_arrow().to_pylist()
    if wanted.pid and (absent := set(wanted.pid) - {row["pid"] for row in rows}):
        raise UsageError(f"there is no process {', '.join(map(str, sorted(absent)))}")
    kept = [row for row in rows if is_of(row, wanted.pod, wanted.container)]
    kept = [row for row in kept if not wanted.pid or row["pid"] in wanted.pid]
    known = set(_mm_of(node, [row["pid"] for row in kept]))
    having = [row for row in kept if row["pid"] in known]
    if not having:
        check_names(node, wanted.pod, wanted.container)
        raise UsageError("no process with memory is what was asked for: the table processes has those that there are")
    return having


def _mm_of(node: Node, pids: Sequence[int]) -> dict[int, int]:
    processes = node.source.processes
    space = node.source.kernel.pointer(processes.living, "task_struct", "mm", gap=False)
    homes = {row.tgid: int(mm) for row, mm in zip(processes.rows, space.tolist(), strict=True) if mm}
    return {pid: homes[pid] for pid in pids if pid in homes}


def written(
    node: Node, place: Output, rows: list[dict[str, Any]], *, raw: bool, below: str | None = None
) -> Iterator[ProcessMemory]:
    """Write each process and give its entry; OSError if the folder cannot be written.

    below: the folder that all go into; None: one for each container.
    """
    source, kernel = node.source, node.source.kernel
    homes = _mm_of(node, [row["pid"] for row in rows])
    mm = np.array([homes[row["pid"]] for row in rows], np.uint64)
    threads = source.processes.threads
    for row, home, space in zip(rows, mm.tolist(), spaces(source, mm), strict=True):
        own = np.flatnonzero(threads.tgid == row["pid"])
        task = threads.task[own]
        registers = pt_regs.registers(kernel, task)
        states = [
            None if not known else "running" if running else "entry"
            for known, running in zip(registers.known.tolist(), registers.running.tolist(), strict=True)
        ]
        entry = ProcessMemory(
            **{name: row[name] for name in ("pid", "comm", "exe", "args", "namespace", "pod_name", "pod_uid",
                                            "container_id", "container_name")},
            start_time=row["start_time"].isoformat() if row["start_time"] else None,
            mapped=space.mapped, present=len(space.pa) * PAGE, absent=space.mapped - len(space.pa) * PAGE,
            swapped=source.swapped.get(row["pid"], 0) * PAGE, unpacked=int(is_swapped(space.pa).sum()) * PAGE,
            threads=[Thread(int(threads.pid[place_of]), _name(threads.comm[place_of]), state)
                     for place_of, state in zip(own.tolist(), states, strict=True)],
            regions=[region.document() for region in space.regions],
        )  # fmt: skip
        folder = below or folder_of(row)
        if raw:
            entry.files.extend(_raw(kernel, place, f"{folder}/{row['pid']}", space))
            yield entry
            continue
        notes = _notes(kernel, row, home, space, threads.pid[own].tolist(), registers)
        segments = [segment for region in space.regions for segment in _segments(region)]
        head = elf_core.headers(elf_core.MACHINES[kernel.anchors.arch], notes, segments)
        name = f"{folder}/{row['pid']}-{component(row['comm'] or '')}.core"
        digest = place.write(name, _chain(head, _bytes(kernel, space.pa)))
        yield ProcessMemory(**{**vars(entry), "file": name, "sha256": digest})


def _name(comm: bytes | None) -> str | None:
    return None if comm is None else comm.decode("utf-8", "backslashreplace")


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _bytes(kernel: Kernel, pa: U64) -> Iterator[bytes]:
    """The pages at these physical addresses, which are in the image, in order."""
    for begin in range(0, len(pa), _BATCH):
        yield kernel.memory.gather(pa[begin : begin + _BATCH], PAGE)[0].tobytes()


def _segments(region: Region) -> Iterator[Segment]:
    flags = sum(bit for letter, bit in _FLAGS.items() if letter in region.permissions)
    for start, end in region.spans:
        yield Segment(start, end - start, flags)


def _notes(
    kernel: Kernel, row: dict[str, Any], mm: int, space: Space, tids: list[int], registers: pt_regs.Registers
) -> bytes:
    parts = [
        elf_core.prstatus(tid, row["ppid"] or 0, words.tobytes())
        for tid, words, known in sorted(
            zip(tids, registers.words, registers.known.tolist(), strict=True), key=lambda each: each[0] != row["pid"]
        )
        if known
    ]
    arguments = " ".join(row["args"] or ()).encode("utf-8", "surrogateescape")
    name = (row["comm"] or "").encode("utf-8", "surrogateescape")
    parts.append(
        elf_core.prpsinfo(
            state=row["state"] or "?", pid=row["pid"], ppid=row["ppid"] or 0, uid=row["uid"] or 0, gid=0, name=name,
            arguments=arguments,
        )
    )  # fmt: skip
    vector, ok = kernel.try_read(u64(mm), "mm_struct", "saved_auxv")
    if ok[0]:
        parts.append(elf_core.note(elf_core.NT_AUXV, vector[0].astype("<u8").tobytes()))
    mapped = [
        Mapped(region.start, region.end, region.offset, region.name.encode("utf-8", "surrogateescape"))
        for region in space.regions
        if region.mapped_file
    ]
    return b"".join([*parts, elf_core.files(mapped)])


def _raw(kernel: Kernel, place: Output, folder: str, space: Space) -> Iterator[dict[str, Any]]:
    """One file a run of pages that are there: no file has a byte that is not in RAM."""
    row = 0
    for region in space.regions:
        for start, end in region.spans:
            count = (end - start) // PAGE
            name = f"{folder}/{start:012x}-{end:012x}.{region.permissions}.bin"
            digest = place.write(name, _bytes(kernel, space.pa[row : row + count]))
            yield {"file": name, "start": start, "end": end, "sha256": digest}
            row += count
