# SPDX-License-Identifier: Apache-2.0
"""What reaches the node's disk is said by the guide as the receipt's `traces` say it, and README speaks of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guide/acquire.md").read_text()
ON_DISK = re.compile(r"/var/[a-z]+/[a-z]+|journal|auth\.log|wtmp|lastlog|image store|_script\.sh")


def traces(name: str) -> list[str]:
    """The texts of a transport's Trace records."""
    texts = []
    for node in ast.walk(ast.parse((ROOT / "memir/acquire/transports" / name).read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == "traces":
            values = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
            texts += [value for value in values if isinstance(value, str)]
    return texts


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("ssm/transport.py", {"/var/log/amazon", "/var/lib/amazon", "_script.sh"}),
        ("pod/transport.py", {"image store", "/var/lib/containerd", "/var/lib/cni", "/var/log/pods"}),
        ("ssh/transport.py", {"journal", "auth.log", "wtmp", "lastlog"}),
    ],
)
def test_the_guide_says_what_the_receipt_says(name: str, least: set[str]) -> None:
    places = {place for text in traces(name) for place in ON_DISK.findall(text)}
    assert places >= least
    assert {place for place in places if place not in GUIDE} == set()


def test_nobody_is_told_that_nothing_reaches_the_disk() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "What a way in leaves on the node all the same" in " ".join(readme.split())
    for text in (readme, GUIDE):
        assert "writes nothing to the node's disk" not in " ".join(text.split())
