# SPDX-License-Identifier: Apache-2.0
"""All RAM is looked through for secrets: by shape, and for the values that are known; with whose memory it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.hunt.secret_shapes import Exposed, shapes
from memir.kube.ram import RamSource

if TYPE_CHECKING:
    from memir.hunt.hit import Hit

HOLDERS = {"process": "memory", "file cache": "file", "kernel": "kernel", "free": "free", "unknown": "unknown"}
"""Word of the table secrets by word of the table hits."""
_SECONDS = 60  # that one unit may take


@dataclass(frozen=True)
class Place:
    """A secret in a place. secret: what it is; fingerprint: of a value that was known before, else None.

    row: owner, pid, path, deleted, source and the owner's columns, as the table hits has them. paddr: where, in
    a page that was swapped out the virtual address.
    """

    secret: Exposed | None
    fingerprint: str | None
    row: Mapping[str, Any]
    paddr: int


def sweep(source: RamSource, known: Mapping[str, str]) -> list[Place]:
    """Every place of every secret. known: clear values by fingerprint, which are looked for as they are.

    What could not be scanned is a gap. A value of less than SHORTEST bytes is not looked for.
    """
    import yara

    from memir.hunt.memory import read_memory
    from memir.hunt.owner import Attribution, id_of
    from memir.hunt.rules import RuleSet
    from memir.hunt.scan import Scan
    from memir.hunt.secret_rules import KNOWN, MOST, rules_text
    from memir.hunt.units import KINDS, file_units, process_units, window_units
    from memir.hunt.wanted import Wanted

    text, names = rules_text(known)
    source.gaps.add("secret", "values", f"more than {MOST}: not looked for in memory", max(0, len(known) - MOST))
    compiled = yara.compile(source=text)
    rules = RuleSet((compiled,), (), sum(1 for _ in compiled), monotone=True)
    kernel, threads = source.kernel, source.processes.threads
    workers = os.cpu_count() or 1
    memory = read_memory(kernel, threads.task, threads.tgid, workers)
    units = process_units(memory, np.ones(len(memory.mm), bool), True, None)
    units += file_units(memory, None)
    units += window_units(memory, KINDS)
    scan = Scan(kernel.memory, rules, kernel.gaps, _SECONDS)
    scan.run(units, workers)
    content: dict[str, list[tuple[Exposed | None, str | None]]] = {}
    kept: list[Hit] = []
    for hit in scan.hits.values():
        if hit.rule == KNOWN:
            secrets: list[tuple[Exposed | None, str | None]] = [(None, names[str(hit.string)])]
        else:
            secrets = [(secret, None) for secret in shapes(hit.rule, hit.data)]
        if secrets:
            hit.tags, hit.data, hit.before, hit.after = (), b"", b"", b""  # the clear text goes no further
            content[id_of(hit)] = secrets
            kept.append(hit)
    rows = Attribution(source, memory).rows(kept, frozenset(KINDS), Wanted())
    return [
        Place(secret, fingerprint, row, int(row["vaddr"] if row["paddr"] is None else row["paddr"]))
        for row in rows
        for secret, fingerprint in content[row["hit_id"]]
    ]
