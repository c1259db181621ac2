# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The kernel's symbol table for volatility3, straight from BTF and kallsyms: no file is read or validated.

A type or symbol is put into volatility3's words when it is asked for, so that 12,000 structs and 180,000
symbols cost nothing.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from volatility3.framework import interfaces
from volatility3.framework.symbols import intermed, linux
from volatility3.framework.symbols.linux import extensions
from volatility3.framework.symbols.linux.network import NetSymbols

from memir.symbols.isf import IsfTypes
from memir.symbols.isf_describe import VOID
from memir.symbols.isf_make import IsfSource, metadata

Json = dict[str, Any]


class _Section(Mapping[str, Json]):
    """A part of an ISF whose entries are made when they are asked for."""

    def __init__(self, names: Callable[[], Iterable[str]], entry: Callable[[str], Json | None]) -> None:
        self._names, self._entry = names, functools.cache(entry)

    def __getitem__(self, name: str) -> Json:
        value = self._entry(name)
        if value is None:
            raise KeyError(name)
        return value

    @functools.cached_property
    def _known(self) -> dict[str, None]:
        return dict.fromkeys(self._names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._entry(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _document(source: IsfSource) -> dict[str, Any]:
    types = source.types
    return {
        # volatility3's hidden_modules takes no table but dwarf2json's; what it checks for, types of symbols, is here.
        "metadata": metadata() | {"producer": {"name": "dwarf2json", "version": "0.9.0"}},
        "base_types": types.base_types,
        "user_types": _Section(lambda: types.structs, types.user_type),
        "enums": _Section(lambda: types.enums, types.enum),
        "symbols": _Section(lambda: source.symbols, source.symbol),
    }


class _Format(intermed.Version8Format):  # type: ignore[misc]  # volatility3 has no types
    """volatility3's reader of ISF 6.2.0, without a copy of all names each time one is looked for."""

    version = (0, 0, 0)  # volatility3 picks a reader by version: this one must not be picked for files

    @functools.cached_property
    def types(self) -> frozenset[str]:
        """Names of all types."""
        return frozenset((*self._json_object["user_types"], *self.natives.types))

    @functools.cached_property
    def _void(self) -> Any:
        return self.natives.get_type(f"{self.name}!void")

    def get_symbol(self, name: str) -> Any:
        """A symbol; those without a type share one template, as some plugins ask for every symbol there is."""
        if name not in self._symbol_cache:
            symbol = self._json_object["symbols"].get(name)
            if symbol is not None and symbol["type"] is VOID:
                address = symbol["address"] & self.config["symbol_mask"]
                self._symbol_cache[name] = interfaces.symbols.SymbolInterface(name, address, self._void)
        return super().get_symbol(name)


class _InMemory(intermed.IntermediateSymbolTable):  # type: ignore[misc]  # volatility3 has no types
    """Stands between volatility3's Linux table and the one that reads a file."""

    def __init__(self, context: Any, config_path: str, name: str, document: Any, symbol_mask: int) -> None:
        # Before anything reads the configuration: a branch that is not there yet is not the context's when it is.
        context.config[f"{config_path}.isf_url"] = "memir:"
        context.config[f"{config_path}.symbol_mask"] = symbol_mask
        self._delegate = _Format(context, config_path, name, document)
        natives = self._delegate.natives
        interfaces.symbols.SymbolTableInterface.__init__(self, context, config_path, name, natives)


class KernelTable(linux.LinuxKernelIntermedSymbols, _InMemory):  # type: ignore[misc]  # volatility3 has no types
    """volatility3's table of a Linux kernel, over what memir knows of it."""

    def __init__(self, context: Any, name: str, source: IsfSource | IsfTypes, symbol_mask: int) -> None:
        """symbol_mask: the bits of an address that the kernel's layer counts."""
        document = source.document if isinstance(source, IsfTypes) else _document(source)
        super().__init__(context, f"memir.{name}", name, document, symbol_mask)
        self._addresses, self._mask = source.symbols if isinstance(source, IsfTypes) else source, symbol_mask
        self.set_type_class("page", Page)
        # Plugins set these themselves, too late if one before them has had the table resolve the types.
        with contextlib.suppress(ValueError):
            NetSymbols.apply(self)

    @functools.cached_property
    def _by_address(self) -> list[tuple[int, str]]:
        symbols = self._addresses.symbols if isinstance(self._addresses, IsfSource) else self._addresses
        return sorted((address & self._mask, name) for name, address in symbols.items())

    def get_symbols_by_location(self, offset: int, size: int = 0) -> Iterable[str]:
        """Names of the symbols in offset..offset + size; volatility3's own way builds every symbol first."""
        ordered = self._by_address
        row = bisect.bisect_left(ordered, (offset, ""))
        while row < len(ordered) and ordered[row][0] <= offset + size:
            yield ordered[row][1]
            row += 1


class Page(extensions.page):  # type: ignore[misc]  # volatility3 has no types
    """A struct page; its physical address follows from the vmemmap that memir found."""

    def _intel_to_paddr(self) -> int:
        module = linux.LinuxUtilities.get_module_from_volobj_type(self._context, self)
        layer = self._context.layers[module.layer_name]
        number = (layer.canonicalize(self.vol.offset) - layer.config["vmemmap"]) & (1 << 64) - 1
        return int(number // self.vol.size * layer.page_size)
