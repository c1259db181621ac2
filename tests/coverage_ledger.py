# SPDX-License-Identifier: Apache-2.0
"""What was measured of each module and its test file as they are: tests/coverage.txt, a line a module, sorted.

MODULE PERCENT DIGEST: of its lines, per cent that its test file covers; SHA-256 (first 16 digits) of both files' bytes.
A module whose files are as they were is not measured at each run, but for a tenth of them, another one with each
change of the list: what other files change would show there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.modules import ROOT, its_test

LEDGER = ROOT / "tests" / "coverage.txt"
SHARE = 10  # one of so many is measured although nothing in it changed


@dataclass(frozen=True)
class Entry:
    """One line."""

    per_cent: int
    digest: str


def digest(module: Path) -> str:
    """Of a module and its test file as they lie there."""
    data = hashlib.sha256()
    for path in (module, its_test(module)):
        data.update(hashlib.sha256((ROOT / path).read_bytes()).digest())
    return data.hexdigest()[:16]


def read() -> dict[str, Entry]:
    """The list, by module; a line that is not one of it raises ValueError."""
    entries = {}
    for line in LEDGER.read_text().splitlines():
        module, share, digested = line.split()
        entries[module] = Entry(int(share), digested)
    return entries


def write(measured: Mapping[Path, float]) -> None:
    """Put what was measured into the list; modules that are no more leave it."""
    entries = read() if LEDGER.is_file() else {}
    for module, share in measured.items():
        entries[module.as_posix()] = Entry(int(share), digest(module))
    kept = {module: entry for module, entry in sorted(entries.items()) if (ROOT / module).is_file()}
    LEDGER.write_text("".join(f"{module} {entry.per_cent} {entry.digest}\n" for module, entry in kept.items()))


def due(chosen: Sequence[Path]) -> list[Path]:
    """Those to be measured: new, changed, or this list's tenth."""
    entries = read() if LEDGER.is_file() else {}
    turn = int(hashlib.sha256(repr(sorted(entries.items())).encode()).hexdigest(), 16) % SHARE
    found = []
    for module in chosen:
        entry, now = entries.get(module.as_posix()), digest(module)
        if entry is None or entry.digest != now or int(now, 16) % SHARE == turn:
            found.append(module)
    return found
