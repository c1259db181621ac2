# SPDX-License-Identifier: Apache-2.0
"""Programs that the kernel starts as root of the node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource
from tests.findings.real import every, of_source
from tests.kernel.hooked import IMAGES, changed

KIND = "usermode-helper"


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    ("variable", "value", "severity", "path"),
    [
        ("core_pattern", b"|/proc/4026/root/tmp/x %p", "high", "/proc/4026/root/tmp/x"),
        ("modprobe_path", b"/tmp/x", "high", "/tmp/x"),
        ("core_pattern", b"/var/core/%e.%p", "low", "/var/core/%e.%p"),
    ],
)
def test_a_path_that_was_changed(
    name: str, variable: str, value: bytes, severity: str, path: str, node_of: Callable[[str], RamSource]
) -> None:
    """The bytes of a real kernel's variable changed."""
    node = node_of(name)
    (row,) = of_source(changed(node, {node.kernel.symbols[variable]: value + b"\0"}), KIND)
    assert (row["severity"], row["path"], row["title"]) == (severity, path, f"{variable} is {value.decode()}")


def test_not_there(image: str) -> None:
    assert [row["title"] for row in every(image) if row["kind"] == KIND] == []
