# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What asks for the kernel, its memory or its symbols gets the one that is known, and nothing else is filled in."""

from __future__ import annotations

from typing import Any

import pytest
from volatility3.framework import contexts
from volatility3.framework.configuration import requirements

from memir.kube.ram import RamSource
from memir.volatility.automagic import KnownKernel
from memir.volatility.context import LAYER, MODULE, build_context

ASKED = (
    requirements.ModuleRequirement(name="kernel", description="kernel"),
    requirements.TranslationLayerRequirement(name="primary", description="memory"),
    requirements.SymbolTableRequirement(name="symbols", description="symbols"),
    requirements.IntRequirement(name="number", description="the user's", optional=True),
)


@pytest.fixture(scope="module")
def context(small_node: RamSource) -> Any:
    return build_context(small_node.kernel.memory, small_node.kernel.anchors)


def filled(context: Any, automagic: KnownKernel) -> dict[str, Any]:
    """What the automagic puts into the configuration of a plugin that asks for `ASKED`."""
    plugin = requirements.MultiRequirement(name="asks")
    for requirement in ASKED:
        plugin.add_requirement(requirement)
    assert automagic(context, "here", plugin) == []
    found = {requirement.name: context.config.get(f"here.asks.{requirement.name}", None) for requirement in ASKED}
    for name, value in found.items():
        if value is not None:
            del context.config[f"here.asks.{name}"]
    return found


def test_the_known_kernel_is_named(context: Any) -> None:
    automagic = KnownKernel(context, "known", layer=LAYER, module=MODULE)
    assert filled(context, automagic) == {"kernel": MODULE, "primary": LAYER, "symbols": MODULE, "number": None}


def test_nothing_is_said_of_layers_that_are_not_ours(context: Any) -> None:
    nothing = {"kernel": None, "primary": None, "symbols": None, "number": None}
    assert filled(context, KnownKernel(context, "known")) == nothing
    assert filled(context, KnownKernel(context, "known", layer="memory_layer", module=MODULE)) == nothing
    empty = contexts.Context()
    assert filled(empty, KnownKernel(empty, "known", layer=LAYER, module=MODULE)) == nothing


def test_other_systems_do_not_get_it() -> None:
    assert KnownKernel.exclusion_list == ("windows", "mac")
