# SPDX-License-Identifier: Apache-2.0
"""Programs that the kernel starts: as /proc/sys had them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.umh import VARIABLES, helper_paths
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, kinds

NodeOf = Callable[[str], RamSource]


def test_as_built(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    values = {hook.kind: hook.value for hook in helper_paths(node.kernel)}
    has = "core_pattern" in node.kernel.symbols
    assert values == ({"core_pattern": "core", "modprobe_path": "/sbin/modprobe"} if has else {})
    assert has or kinds(node) >= set(VARIABLES)


@pytest.mark.parametrize("name", IMAGES)
def test_changed_and_emptied(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    place = node.kernel.symbols["core_pattern"]
    (core, _) = helper_paths(changed(node, {place: b"|/tmp/x %p\0"}).kernel)
    assert (core.kind, core.value, core.address, core.target) == ("core_pattern", "|/tmp/x %p", place, 0)
    torn = changed(node, {place: bytes(64)})
    assert [hook.kind for hook in helper_paths(torn.kernel)] == ["modprobe_path"] and kinds(torn) == {"core_pattern"}
