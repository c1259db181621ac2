# SPDX-License-Identifier: Apache-2.0
"""Who owns the pages of a hit: processes by their page tables, files by the page cache, else what struct
page tells."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from memir.hunt.hexdump import hexdump, masked, printable, secret_span
from memir.hunt.hit import SECRET, Hit
from memir.hunt.hits import TABLE, UNPLACED
from memir.hunt.memory import SHIFT, Memory
from memir.hunt.wanted import Wanted
from memir.kernel import page
from memir.kernel.page import ANON, FILE, FREE, KERNEL
from memir.kernel.pagetable import U64
from memir.kernel.rmap import anonymous_regions
from memir.kernel.rows import distinct, rows_of
from memir.kernel.swap import BEYOND
from memir.kube.owner import NODE, PARTS, Owner
from memir.kube.ram import RamSource
from memir.kube.secret_names import PEOPLE
from memir.kube.secrets import Secret, Secrets, mask

MAX_PLACES = 64
"""Virtual addresses of one hit in one process that become rows."""
RANDOM = 20
"""Characters from which on a secret of no known kind is taken for random: 20 of base64 are 120 bits."""
_EMPTY: dict[str, Any] = {column.name: None for column in TABLE.columns}


class Attribution:
    """Turns hits into rows of the table `hits`, one a hit and owner."""

    def __init__(self, node: RamSource, memory: Memory) -> None:
        self._memory, self._gaps = memory, node.kernel.gaps
        self._image = {"image": str(node.kernel.memory.path), "node": node.name}
        self._owners = node.owners
        self.files = node.file_owners
        self._masks = node.secrets
        self.secrets: dict[str, Secret] = {}
        """What rules tagged `secret` matched, by hit_id."""
        self._clear: dict[str, tuple[str, str]] = {}

    def rows(self, hits: Iterable[Hit], kinds: frozenset[str], wanted: Wanted) -> list[dict[str, Any]]:
        """Rows of all hits; kinds: owners to keep (as --kinds); wanted: whose hits to keep."""
        ordered = sorted(hits, key=lambda hit: (hit.paddr, hit.rule_namespace, hit.rule, hit.string or "", hit.length))
        frames = distinct(np.array([frame for hit in ordered for frame in hit.pages], np.uint64))
        places = mapped_at(self._memory, frames)
        use = dict(zip(frames.tolist(), self._memory.pages.use_of(frames).tolist(), strict=True))
        mapping = self._mappings(frames)
        files = self.files.of(mapping.values())
        bare = [frame for frame, code in use.items() if code == ANON and frame not in places]
        anonymous = self._anonymous(np.array(bare, np.uint64))
        rows: list[dict[str, Any]] = []
        for hit in ordered:
            shared = self._shared(hit)
            mine: list[dict[str, Any]] = []
            mapped = self._processes(hit, places)
            if "process" in kinds:
                source = "page table; swapped out" if hit.paddr >= BEYOND else "page table"
                mine += [self._process_row(pid, va, source) for pid, va in mapped]
            first = hit.pages[0]
            file = files.get(mapping.get(first, 0))
            if file is not None and "files" in kinds:
                mine += [
                    {
                        "owner": "file cache",
                        "path": file.path,
                        "deleted": file.deleted,
                        "source": file.source,
                        **owner.columns(),
                    }
                    for owner in file.owners
                ]
            if not mapped and file is None:
                mine += self._unmapped(hit, anonymous.get(first, []), kinds) or self._other(use.get(first, 0), kinds)
            rows += [{**_EMPTY, **shared, **row} for row in mine if not wanted or _is_wanted(wanted, row)]
        return rows

    def revealed(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with what is masked in them in clear."""
        out = []
        for row in rows:
            data, context = self._clear.get(row["hit_id"], (row["data"], row["context"]))
            out.append({**row, "data": data, "context": context})
        return out

    def _shared(self, hit: Hit) -> dict[str, Any]:
        secret, hit_id = SECRET in hit.tags, id_of(hit)
        if secret:
            self._clear[hit_id] = (printable(hit.data), hexdump(hit.before, hit.data, hit.after))
        return {
            **self._image,
            "hit_id": hit_id,
            "rule": hit.rule,
            "namespace_rule": hit.rule_namespace,
            "tags": list(hit.tags),
            "meta": [f"{key}={value}" for key, value in hit.meta],
            "string": hit.string,
            "paddr": None if hit.paddr >= BEYOND else hit.paddr,
            "length": hit.length,
            "data": self._masked(hit, hit_id) if secret else printable(hit.data),
            "context": hexdump(hit.before, hit.data, hit.after, masked=secret),
        }

    def _masked(self, hit: Hit, hit_id: str) -> str:
        """How the match of a rule tagged `secret` is shown; takes note of the secret if it is whole."""
        text, secret = masked_secret(hit, self._masks)
        if secret is not None:
            self.secrets[hit_id] = secret
        return text

    def _process_row(self, pid: int, va: int | None, source: str = "page table") -> dict[str, Any]:
        owner = self._owners.process(pid)
        return {
            "owner": "process",
            "pid": pid,
            "vaddr": va,
            # no container and no pod would say that it is the node's own
            "source": source if owner is not None else f"{source}; {UNPLACED}",
            **(owner or NODE).columns(),
        }

    def _processes(self, hit: Hit, places: dict[int, list[tuple[int, int]]]) -> list[tuple[int, int]]:
        """(pid, virtual address) of the processes that have all pages of the hit in a row."""
        rest = [set(places.get(frame, ())) for frame in hit.pages[1:]]
        count: dict[int, int] = defaultdict(int)
        rows = []
        for mm, number in places.get(hit.pages[0], ()):
            if hit.mms is not None and mm not in hit.mms:
                continue
            if hit.kind == "process" and not all((mm, number + step) in shared for step, shared in enumerate(rest, 1)):
                continue
            count[mm] += 1
            if count[mm] > MAX_PLACES:
                self._gaps.add("hunt", f"page {hit.paddr:#x}", f"mapped more than {MAX_PLACES} times by one process")
                continue
            rows += [(pid, (number << 12) + hit.offset) for pid in self._memory.pids[mm]]
        return sorted(rows)

    def _anonymous(self, frames: U64) -> dict[int, list[tuple[int, int | None]]]:
        """(pid, virtual address if one is left) of the processes that anonymous pages were made for."""
        owners: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
        if not len(frames):
            return owners
        kernel, shift = self._memory.kernel, SHIFT
        mapping, index = page.owners(kernel, frames)
        row, vma = anonymous_regions(kernel, mapping)
        mm = kernel.pointer(vma, "vm_area_struct", "vm_mm", gap=False)
        start = kernel.pointer(vma, "vm_area_struct", "vm_start", gap=False) >> shift
        end = kernel.pointer(vma, "vm_area_struct", "vm_end", gap=False) >> shift
        offset = kernel.try_read(vma, "vm_area_struct", "vm_pgoff")[0].astype(np.uint64)
        inside = (index[row] >= offset) & (index[row] - offset < end - start)
        place = (start + index[row] - offset) << shift
        known = dict(zip(self._memory.mm.tolist(), self._memory.pids, strict=True))
        rows = zip(frames[row].tolist(), mm.tolist(), inside.tolist(), place.tolist(), strict=True)
        for frame, space, covered, va in rows:
            for pid in known.get(space, ()):
                owners[frame].append((pid, va if covered else None))
        return owners

    def _unmapped(self, hit: Hit, regions: list[tuple[int, int | None]], kinds: frozenset[str]) -> list[dict[str, Any]]:
        """Rows of processes that a page belongs to but no longer maps; one a process, with its address if
        known."""
        place: dict[int, int | None] = {}
        for pid, va in regions:
            place[pid] = va if va is not None else place.get(pid)
        if "process" not in kinds:
            return []
        return [
            self._process_row(pid, None if va is None else va + hit.offset, "anon_vma; not mapped now")
            for pid, va in sorted(place.items())
        ]

    def _other(self, use: int, kinds: frozenset[str]) -> list[dict[str, Any]]:
        if use in (KERNEL, FREE):
            name = "kernel" if use == KERNEL else "free"
            return [{"owner": name, "source": "struct page", **NODE.columns()}] if name in kinds else []
        if "unknown" not in kinds:
            return []
        source = {
            ANON: "struct page: anonymous, mapped by no process that was found",
            FILE: "struct page: a file's, but not in its page cache",
        }.get(use, "struct page does not tell")
        return [{"owner": "unknown", "source": source, **NODE.columns()}]

    def _mappings(self, frames: U64) -> dict[int, int]:
        """The address_space of frames that files own."""
        pages = self._memory.pages
        row = rows_of(pages.file_pfn, frames)
        return dict(zip(frames[row >= 0].tolist(), pages.mapping[row[row >= 0]].tolist(), strict=True))


def masked_secret(hit: Hit, masks: Secrets) -> tuple[str, Secret | None]:
    """(how the match of a rule tagged `secret` is shown, the secret; None if it is not whole)."""
    expression = dict(hit.meta).get(SECRET)
    span = secret_span(hit.data, expression)
    if span is None or hit.length > len(hit.data):
        return masked(hit.data, expression), None
    value = hit.data[slice(*span)].decode("utf-8", "backslashreplace")
    text, inside = masks.text(value)
    chosen = next((secret for secret in inside if secret.kind in PEOPLE), None)
    if chosen is not None:
        return printable(text.encode()), chosen
    # where nothing but the rule says what it is: what is short may be a word, which its hash would give away
    secret = inside[0] if inside else masks.add("secret" if len(value) < RANDOM else "key", None, value)
    return mask(secret) if secret.kind in PEOPLE else masked(hit.data, expression), secret


def id_of(hit: Hit) -> str:
    """hit_id of a hit: the same in every hunt through the image."""
    # a short secret could be guessed from a hash that everything else in the row is known of
    text = repr(hit.key) + ("" if SECRET in hit.tags else hit.data.hex())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def mapped_at(memory: Memory, frames: U64) -> dict[int, list[tuple[int, int]]]:
    """Where address spaces map these frames (sorted, unique): frame -> (address space, virtual page)."""
    maps = memory.mappings
    first = maps.pa >> SHIFT
    low = np.searchsorted(frames, first)
    high = np.searchsorted(frames, first + (maps.size >> SHIFT))
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for leaf in np.flatnonzero(high > low).tolist():
        mm, base, begin = int(maps.owner[leaf]), int(maps.va[leaf]) >> 12, int(first[leaf])
        for frame in frames[low[leaf] : high[leaf]].tolist():
            places[frame].append((mm, base + frame - begin))
    return places


def _is_wanted(wanted: Wanted, row: dict[str, Any]) -> bool:
    return wanted.has(Owner(*(row[name] for name in PARTS)), row.get("pid"))
