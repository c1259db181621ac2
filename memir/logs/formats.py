# SPDX-License-Identifier: Apache-2.0
"""Every format of logs, modules by its file: one that is added touches that file, its test and the generated pages."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from typing import Any

from memir.logs.format import Format

FOLDER = "memir.logs"


@functools.cache
def formats() -> tuple[Format, ...]:
    """The formats, in the order of their files' names."""
    return tuple(each for module in _modules("FORMATS") for each in module.FORMATS)


@functools.cache
def derived() -> dict[str, str]:
    """Tables that are made of another table of logs and of the node: the other's name by theirs."""
    return {module.TABLE.name: module.DERIVED_FROM for module in _modules("DERIVED_FROM")}


def _modules(name: str) -> list[Any]:
    modules = []
    for info in pkgutil.iter_modules(importlib.import_module(FOLDER).__path__, FOLDER + "."):
        spec = importlib.util.find_spec(info.name)
        text = getattr(spec.loader, "get_source", lambda _: None)(info.name) if spec is not None else None
        if text is not None and f"\n{name} = " in text:
            modules.append(importlib.import_module(info.name))
    return modules
