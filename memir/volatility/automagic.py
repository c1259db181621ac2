# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The one automagic that memir needs: whatever asks for a kernel, its memory or its symbols gets the one that is known.

It is an automagic because plugins that run other plugins (timeliner) hand automagics on to them.
"""

from __future__ import annotations

from typing import Any

from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from memir.volatility.layers import KernelPages


class KnownKernel(interfaces.automagic.AutomagicInterface):  # type: ignore[misc]  # volatility3 has no types
    """Names the context's kernel to every requirement that asks for one; does nothing in contexts of others."""

    exclusion_list = ("windows", "mac")  # volatility3 gives it to plugins for no other system

    def __init__(self, context: Any, config_path: str, *, layer: str = "", module: str = "") -> None:
        """layer, module: their names in the context. volatility3 itself makes this class without, among all others."""
        super().__init__(context, config_path)
        self._layer, self._module = layer, module

    def __call__(self, context: Any, config_path: str, requirement: Any, progress_callback: Any = None) -> list[Any]:
        """Fill the configuration of the plugin whose requirements are those of `requirement`."""
        del progress_callback
        if self._layer not in context.layers or not isinstance(context.layers[self._layer], KernelPages):
            return []
        for part in requirement.requirements.values():
            path = f"{config_path}.{requirement.name}.{part.name}"
            if isinstance(part, requirements.ModuleRequirement | requirements.SymbolTableRequirement):
                context.config[path] = self._module
            elif isinstance(part, requirements.TranslationLayerRequirement):
                context.config[path] = self._layer
        return []
