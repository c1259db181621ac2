# SPDX-License-Identifier: Apache-2.0
"""Volatility3's symbol file (ISF 6.2.0) made from a kernel's BTF, its table of addresses and its banner.

Parts can be had by name, which costs next to nothing, or all at once.
Schema: volatility3/schemas/schema-6.2.0.json.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import lzma
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from memir import __version__
from memir.errors import IsfError
from memir.symbols import btf_format as f
from memir.symbols.btf import STRUCTS, BtfTypes
from memir.symbols.isf_describe import VOID, Describer, Json
from memir.symbols.isf_symbols import SYMBOL_ALIASES, SYMBOL_TYPES
from memir.symbols.table import Symbols


class IsfSource:
    """One kernel as an ISF. Nothing changes but caches; safe to share between threads."""

    def __init__(
        self, types: BtfTypes, symbols: Mapping[str, int], banner: bytes, lengths: Mapping[str, int] | None = None
    ) -> None:
        """symbols: name to virtual address as linked, without KASLR. banner: the text of linux_banner.
        lengths: elements of arrays by symbol, where the image told them (array_lengths).

        IsfError if the banner is not one: volatility3 knows a kernel by it. It gets the newline and NUL that
        it has in the kernel, if they are missing.
        """
        if not banner.startswith(b"Linux version "):
            raise IsfError(f"linux_banner is {banner[:40]!r}: it must start with 'Linux version '")
        self.banner = banner.rstrip(b"\0\n") + b"\n\0"
        self.types = Describer(types)
        self._blob = types.blob
        self._symbols = symbols
        self._lengths = lengths or {}
        self._extra = {new: symbols[old] for new, old in SYMBOL_ALIASES.items() if old in symbols}
        # volatility3 needs the text of this one only, and a kernel without KALLSYMS_ALL does not list it.
        self._extra["linux_banner"] = 0

    @functools.cached_property
    def symbols(self) -> dict[str, int]:
        """Every symbol with its address as linked, those made up for volatility3 included."""
        if not isinstance(self._symbols, Symbols):
            return {**self._extra, **self._symbols}
        # The same, for 180,000 symbols at once: of several of one name the first counts, so that it is put in last.
        names = self._symbols.names.decode(errors="replace").split("\0")[:-1]
        every = dict(zip(reversed(names), reversed(self._symbols.addresses.tolist()), strict=True))
        return self._extra | self._symbols.extra | every

    def address(self, name: str) -> int | None:
        """A symbol's address as linked; None if there is none."""
        address = self._symbols.get(name)
        return self._extra.get(name) if address is None else address

    def symbol(self, name: str) -> Json | None:
        """A symbol's address, type and, for linux_banner, text; None if there is none."""
        address = self.address(name)
        if address is None:
            return None
        if name == "linux_banner":
            text = {"kind": "array", "count": len(self.banner), "subtype": self.types.base("char")}
            data = base64.b64encode(self.banner).decode("ascii")
            return {"type": text, "address": address, "constant_data": data}
        return {"type": self._symbol_type(name), "address": address}

    def document(self) -> Json:
        """The whole ISF, ready for JSON; BtfError if a type is malformed."""
        types, variables = self.types, self._variables
        symbols: Json = {name: {"type": VOID, "address": address} for name, address in self.symbols.items()}
        for name in symbols.keys() & {*SYMBOL_TYPES, *(text.decode(errors="replace") for text in variables)}:
            symbols[name] = self.symbol(name)
        return {
            "metadata": metadata(),
            "base_types": types.base_types,
            "user_types": {name: types.user_type(name) for name in types.structs},
            "enums": {name: types.enum(name) for name in types.enums},
            "symbols": symbols,
        }

    def write(self, path: Path) -> None:
        """Write the ISF to a file, whole or not at all, packed if its name ends in .xz; IsfError if it cannot be."""
        data = json.dumps(self.document(), separators=(",", ":"), check_circular=False).encode("ascii")
        if path.suffix == ".xz":
            data = lzma.compress(data, preset=1)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if path.exists() and not path.is_file():  # a pipe or a device is written to: a rename would replace it
                path.write_bytes(data)
                return
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise IsfError(f"{path}: cannot be written: {error.strerror}") from error

    @functools.cached_property
    def _variables(self) -> dict[bytes, int]:
        """Variables of which BTF has the type: those of every CPU, and with a recent pahole all of them."""
        return self._blob.names((f.VAR,))

    def _symbol_type(self, name: str) -> Json:
        text = SYMBOL_TYPES.get(name)
        if text is not None:
            return self._declared(name, text)
        number = self._variables.get(name.encode(errors="replace"))
        return VOID if number is None else self.types.descriptor(self._blob.raw(number).size_or_type)

    def _declared(self, name: str, text: str) -> Json:
        """The descriptor of a type as `SYMBOL_TYPES` writes it."""
        if text.endswith("]"):
            inner, _, digits = text[:-1].rpartition(" [")
            count = self._lengths.get(name) or (int(digits) if digits else self._room(name, inner))
            return {"kind": "array", "count": count, "subtype": self._declared(name, inner)}
        if text.endswith(" *"):
            return {"kind": "pointer", "subtype": self._declared(name, text[:-2])}
        if not text.startswith("struct "):
            typedef = self._blob.named((f.TYPEDEF,), text)
            return self.types.base(text) if typedef is None else self.types.descriptor(typedef)
        number = self._blob.named(STRUCTS, text.removeprefix("struct "))
        if number is None and name == "tk_core":
            number = self._tk_core
        return VOID if number is None else self.types.descriptor(number)

    def _room(self, name: str, text: str) -> int:
        """How many elements fit between a symbol and the next one."""
        if text.startswith("struct "):
            size = (self.types.user_type(text.removeprefix("struct ")) or {"size": 0})["size"]
        else:
            size = self.types.base_types.get(text, {"size": 4})["size"]
        following = int(np.searchsorted(self._addresses, np.uint64(self.symbols[name]), "right"))
        room = int(self._addresses[following]) - self.symbols[name] if following < len(self._addresses) else 0
        return min(room, 1 << 26) // size if size else 0

    @functools.cached_property
    def _addresses(self) -> npt.NDArray[np.uint64]:
        return np.sort(np.fromiter(self.symbols.values(), np.uint64, len(self.symbols)))

    @functools.cached_property
    def _tk_core(self) -> int | None:
        """Before Linux 6.13 (struct tk_data) tk_core was an anonymous {seqcount; struct timekeeper}."""
        timekeeper = self._blob.named(STRUCTS, "timekeeper")
        for name, number in self.types.structs.items():
            if name.startswith("unnamed_") and timekeeper in self._blob.raw(number).words[1::3]:
                return number
        return None


def metadata() -> Json:
    """The ISF's `metadata`; no date, so that the same kernel gives the same bytes."""
    producer = {"name": "memir", "version": __version__}
    return {"linux": {"symbols": [], "types": []}, "producer": producer, "format": "6.2.0"}
