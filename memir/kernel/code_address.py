# SPDX-License-Identifier: Apache-2.0
"""include/linux/kallsyms.h: in which code an address lies, and at which symbol; hooks, whose code is asked for."""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from memir.kernel.module_kallsyms import by_address
from memir.kernel.module_witnesses import Modules, parts

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

Area = Literal["kernel", "init", "module", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Hook:
    """A word of the kernel's that names code, or a path, which somebody may have changed or added.

    name: what it stands for, in the kernel's words. address: where the word lies. target: the code that it names, 0 for
    text. value: the text. net: address of the struct net that it belongs to.
    """

    kind: str
    name: str
    address: int
    target: int = 0
    value: str | None = None
    net: int = 0
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """Where an address lies. symbol: the one that it lies in, of a module's only where it starts.

    names: all symbols that start where that one does. distance: bytes from their start. module: address of its struct
    module.
    """

    area: Area
    symbol: str | None = None
    distance: int = 0
    module: int = 0
    names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def start(self) -> bool:
        """Whether it is where a symbol starts."""
        return self.symbol is not None and self.distance == 0

    @property
    def text(self) -> str | None:
        """The symbol and the distance from its start, as the kernel prints them."""
        return f"{self.symbol}+{self.distance:#x}" if self.symbol is not None and self.distance else self.symbol


class CodeMap:
    """The text of the kernel and of its modules."""

    def __init__(self, kernel: Kernel, modules: Modules) -> None:
        self._kernel = kernel
        self._modules = modules
        self._kernel_text = self._span("_stext", "_etext")
        self._init_text = self._span("_sinittext", "_einittext")
        (base, size), *_ = parts(kernel, modules.module)
        if kernel.types.has("module", "core_layout.text_size"):  # before 6.4 one piece had text, read-only and data
            size = kernel.try_read(modules.module, "module", "core_layout.text_size")[0].astype(np.uint64)
        self._base, self._size = base, np.where(modules.whole, size, np.uint64(0))

    @property
    def known(self) -> bool:
        """Whether it is known where the kernel's own text lies; nothing can be judged otherwise."""
        return self._kernel_text[1] > 0

    @property
    def complete(self) -> bool:
        """Whether every start of a function is known: a symbol file (ISF) has but one address for each name."""
        return self._kernel.symbols.source != "ISF"

    @functools.cached_property
    def modules_known(self) -> bool:
        """Whether every module is known for sure, so that code in none of them is nobody's."""
        complete = [self._modules.judged[name].all() for name in ("list", "kset")]
        return bool(all(complete) and self._modules.whole.all() and len(self._modules))

    def find(self, target: int) -> Code:
        """In what code the address lies."""
        if self._inside(target, self._kernel_text):
            return self._kernel_symbol("kernel", target)
        if self._inside(target, self._init_text):
            return self._kernel_symbol("init", target)
        inside = np.flatnonzero((self._base <= np.uint64(target)) & (np.uint64(target) - self._base < self._size))
        if not len(inside):
            return Code("elsewhere")
        module = int(self._modules.module[inside[0]])
        symbol = self._symbols_of(module).get(target)
        return Code("module", symbol, 0, module)

    def symbol_at(self, address: int) -> str | None:
        """The kernel's symbol that an address lies in, be it text or data, and the distance from its start."""
        return self._kernel_symbol("kernel", address).text

    def next_symbol(self, address: int) -> int:
        """The first kernel symbol above an address; 0 if there is none."""
        place = bisect.bisect_right(self._addresses, address)
        return self._addresses[place] if place < len(self._addresses) else 0

    def _span(self, first: str, last: str) -> tuple[int, int]:
        symbols = self._kernel.symbols
        return (symbols[first], symbols[last]) if first in symbols and last in symbols else (0, 0)

    @staticmethod
    def _inside(target: int, span: tuple[int, int]) -> bool:
        return span[0] <= target < span[1]

    @functools.cached_property
    def _order(self) -> tuple[list[int], list[bytes]]:
        symbols = self._kernel.symbols
        names = symbols.names.split(b"\0")[:-1]
        order = np.argsort(symbols.addresses, kind="stable")
        return symbols.addresses[order].tolist(), [names[row] for row in order.tolist()]

    @property
    def _addresses(self) -> list[int]:
        return self._order[0]

    def _kernel_symbol(self, area: Area, target: int) -> Code:
        place = bisect.bisect_right(self._addresses, target) - 1
        if place < 0:
            return Code(area)
        first = bisect.bisect_left(self._addresses, self._addresses[place])
        names = [name.decode("utf-8", "backslashreplace") for name in self._order[1][first : place + 1]]
        # which of them stands first differs by where the symbols come from: a symbol file has them by name
        names.sort(key=lambda name: (len(name) - len(name.lstrip("_")), name))
        return Code(area, names[0], target - self._addresses[place], 0, tuple(names))

    @functools.lru_cache(maxsize=64)  # noqa: B019  (of one node, as long as it)
    def _symbols_of(self, module: int) -> dict[int, str]:
        """A module's own symbols, by address."""
        return by_address(self._kernel, module)
