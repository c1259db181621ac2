# SPDX-License-Identifier: Apache-2.0
"""OCI specs and runtime states found in raw memory, where no file leads to them any more.

A container's config.json is unlinked when it exits, but its pages, containerd's copies of it (heap, the
page cache of its database) and the kubelet's stay until they are reused. On a real node there are some ten
copies of each. Whoever runs in a container can write such a document into its own memory: a carved one is
a hint, and one in the page cache of the runtime's own file is a witness.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from memir.gaps import Gaps
from memir.kube.oci import OciSpec, spec_of
from memir.kube.runc import RuntimeState, state_of
from memir.kube.tornjson import LIMIT, Document, read_object

MIN_DOCUMENT = 256
"""No runtime writes a spec or state this short; what opens again sooner is not one."""
_ALIKE = 16  # documents that begin with the same bytes; what begins so and is none of them is read
MAX_DOCUMENTS = 200_000
"""A node has a few hundred; memory filled with openings must not hold up the rest."""

Bytes = bytes | bytearray | memoryview | mmap.mmap

_SPEC = re.compile(rb'\{"ociVersion":')
_STATE = re.compile(rb'\{"id":"[0-9A-Za-z_.+-]{1,128}","init_process_pid":')
T = TypeVar("T", OciSpec, RuntimeState)


@dataclass(frozen=True, slots=True)
class Carved(Generic[T]):
    """A document found at `offset` bytes into what was searched, of which `length` bytes were read.

    crossings: page borders inside it. Unless the bytes searched were in their file's order, two documents
        may have met at each; what contradicts itself is in the document's `doubts`.
    """

    offset: int
    length: int
    crossings: int
    value: T


def carve_specs(
    chunk: Bytes,
    where: str,
    base: int = 0,
    page_size: int = 4096,
    *,
    in_order: bool = False,
    gaps: Gaps | None = None,
    known: Mapping[bytes, Sequence[bytes]] | None = None,
) -> Iterator[Carved[OciSpec]]:
    """Find OCI specs in raw memory.

    where: text put before a document's address, which is `base` (the chunk's own, bytes) plus its offset.
    in_order: the chunk is a file's bytes or a process's, in order, so a page's successor is the true one.
        If not, of a document that does not parse only what lies in its first page is given: further on,
        anything may follow. One that parses whole is given as it is; `crossings` says how far to trust it.
    known: whole documents that were read before (by_start): where one of them stands again it is passed over.

    Linear in the chunk whatever it holds; of more than MAX_DOCUMENTS the rest is a gap. Specs found are not
    unique: see `best_by_container`.
    """
    pages = _Pages(base, page_size, in_order, where, gaps)
    for offset, document, crossings in _documents(chunk, _SPEC, pages, ("env", "mounts"), known or {}):
        spec = spec_of(document, f"{where}{base + offset:#x}")
        if spec is not None:
            yield Carved(offset, document.length, crossings, spec)


def carve_states(
    chunk: Bytes,
    where: str,
    base: int = 0,
    page_size: int = 4096,
    *,
    in_order: bool = False,
    gaps: Gaps | None = None,
) -> Iterator[Carved[RuntimeState]]:
    """Find runc's state.json in raw memory; as `carve_specs`. (crun's status has no start to look for.)"""
    pages = _Pages(base, page_size, in_order, where, gaps)
    for offset, document, crossings in _documents(chunk, _STATE, pages, ("labels",), {}):
        state = state_of(document, f"{where}{base + offset:#x}")
        if state is not None:
            yield Carved(offset, document.length, crossings, state)


def by_start(texts: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Documents by their first bytes; of those that begin alike only a few, as each is held against what is found."""
    known: dict[bytes, list[bytes]] = {}
    for text in texts:
        if len(text) >= MIN_DOCUMENT and len(alike := known.setdefault(text[:MIN_DOCUMENT], [])) < _ALIKE:
            alike.append(text)
    return known


def best_by_container(specs: Iterable[OciSpec]) -> dict[str, OciSpec]:
    """One spec a container id: from a file before carved, whole before torn, without doubts before with.

    A spec with no container id is left out: a torn one, or one with a cgroup of its own choosing.
    """
    best: dict[str, OciSpec] = {}
    for spec in specs:
        if spec.container_id is None:
            continue
        old = best.get(spec.container_id)
        if old is None or _rank(spec) > _rank(old):
            best[spec.container_id] = spec
    return best


def _rank(spec: OciSpec) -> tuple[bool, bool, int, int]:
    known = sum(part is not None for part in (spec.pod_uid, spec.container_name, spec.args, spec.mounts))
    return spec.where.startswith(("/", "tmpfs:")), spec.complete, -len(spec.doubts), known


@dataclass(frozen=True, slots=True)
class _Pages:
    base: int
    size: int
    in_order: bool
    where: str
    gaps: Gaps | None


def _documents(
    chunk: Bytes,
    start: re.Pattern[bytes],
    pages: _Pages,
    part_lists: tuple[str, ...],
    known: Mapping[bytes, Sequence[bytes]],
) -> Iterator[tuple[int, Document, int]]:
    view = memoryview(chunk)
    offsets = start.finditer(chunk)
    here = next(offsets, None)
    read = 0
    while here is not None:
        after = next(offsets, None)
        offset = here.start()
        # Inside a document its own opening would be escaped, so the next one ends it: no byte is read twice.
        end = min(offset + LIMIT, after.start() if after else len(view))
        here = after
        if after is not None and end - offset < MIN_DOCUMENT:
            continue
        read += 1
        if read > MAX_DOCUMENTS:
            if pages.gaps is not None:
                pages.gaps.add("carved documents", f"{pages.where}{pages.base + offset:#x}", "too many")
            return
        alike = known.get(bytes(view[offset : offset + MIN_DOCUMENT]), ())
        if any(view[offset : offset + len(text)] == text for text in alike):
            continue
        document = read_object(view[offset:end], part_lists)
        if document is None:
            continue
        first = (pages.base + offset) % pages.size
        if not document.complete and not pages.in_order and first + document.length > pages.size:
            document = read_object(view[offset : offset + pages.size - first], part_lists)
            if document is None:
                continue
        crossings = (first + max(document.length, 1) - 1) // pages.size
        if crossings and not pages.in_order:
            note = f"crosses {crossings} page borders of unordered memory"
            document = replace(document, doubts=(*document.doubts, note))
        yield offset, document, crossings
