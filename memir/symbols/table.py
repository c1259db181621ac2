# SPDX-License-Identifier: Apache-2.0
"""Symbol addresses by name, whatever they were read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memir.errors import KallsymsError

_MASK = 2**64 - 1
MAX_TEXT = 128 << 20
"""Bytes of a copy of /proc/kallsyms: one of 200,000 symbols has 10 MB."""


class Symbols(Mapping[str, int]):
    """Name to virtual address as this boot of the kernel has it (KASLR applied).

    Of several symbols with one name (static ones) the first in address order is kept, as kallsyms_lookup_name does.
    """

    def __init__(
        self, names: bytes, addresses: NDArray[np.uint64], source: str, extra: Mapping[str, int] | None = None
    ) -> None:
        """names: NUL-terminated names in the order of addresses (uint64, virtual); extra: more, from elsewhere."""
        self.names = names
        self.addresses = addresses
        self.source = source
        self.extra = dict(extra or {})
        self._index: dict[bytes, int] | None = None

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, int]], source: str) -> Symbols:
        """From (name, address) pairs, any order."""
        ordered = sorted(pairs, key=lambda pair: pair[1])
        names = b"".join(name.encode() + b"\0" for name, _ in ordered)
        return cls(names, np.array([address & _MASK for _, address in ordered], np.uint64), source)

    def with_extra(self, extra: Mapping[str, int]) -> Symbols:
        """The same with these names from elsewhere, which count where the table has none."""
        return self._of_same_names(self.addresses, extra)

    def shifted(self, shift: int) -> Symbols:
        """The same names, every address moved by `shift` bytes modulo 2**64; per-cpu offsets stay where they are."""
        moved = np.where(
            self.addresses >= np.uint64(1 << 63), self.addresses + np.uint64(shift & _MASK), self.addresses
        )
        extra = {name: (address + shift) & _MASK for name, address in self.extra.items()}
        return self._of_same_names(moved, extra)

    def _of_same_names(self, addresses: NDArray[np.uint64], extra: Mapping[str, int]) -> Symbols:
        """With other addresses, or more names: the index of 200,000 names is made once."""
        same = Symbols(self.names, addresses, self.source, extra)
        same._index = self._index
        return same

    def _lookup(self) -> dict[bytes, int]:
        if self._index is None:
            names = self.names.split(b"\0")[:-1]
            last = len(names) - 1
            self._index = dict(zip(reversed(names), range(last, -1, -1), strict=True))
        return self._index

    def __getitem__(self, name: str) -> int:
        row = self._lookup().get(name.encode())
        return int(self.addresses[row]) if row is not None else self.extra[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name.encode() in self._lookup() or name in self.extra)

    def __iter__(self) -> Iterator[str]:
        known = self._lookup()
        yield from (name.decode("utf-8", "replace") for name in known)
        yield from (name for name in self.extra if name.encode() not in known)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def read_kallsyms_text(path: Path) -> Symbols:
    """Symbols from a copy of /proc/kallsyms taken as root; those of modules are left out.

    KallsymsError if the file is not of that form, or if every address is 0 (kptr_restrict hid them).
    """
    pairs: list[tuple[str, int]] = []
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise KallsymsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > MAX_TEXT:
        raise KallsymsError(f"{path}: more than {MAX_TEXT >> 20} MiB: no copy of /proc/kallsyms is as long")
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if b"\t" in line or not line.strip():
            continue
        parts = line.split()
        problem = f"{path}: line {number} is not `address type name`"
        try:
            name, address = parts[2].decode(), int(parts[0], 16)
        except (IndexError, ValueError) as error:
            raise KallsymsError(problem) from error
        # NUL ends a name in the table: one inside would give every name behind it another's address
        if "\0" in name or not 0 <= address <= _MASK:
            raise KallsymsError(problem)
        pairs.append((name, address))
    if not any(address for _, address in pairs):
        raise KallsymsError(f"{path}: every address is 0: read /proc/kallsyms as root (kptr_restrict)")
    return Symbols.from_pairs(pairs, "kallsyms file")
