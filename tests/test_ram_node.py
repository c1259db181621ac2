# SPDX-License-Identifier: Apache-2.0
"""A node of an image's RAM: which image, how much of it, and what is asked of it that only RAM has."""

from __future__ import annotations

import hashlib

import pytest

import memir
from memir.errors import UsageError
from memir.ram_node import RamNode, of_ram
from tests.checkpoint.sample import archive
from tests.images import cache, case

IMAGE = case("s-6.1-small").image


def test_a_node_of_ram() -> None:
    with memir.open(IMAGE, cache=cache()) as node:
        assert of_ram(node) is node
        assert isinstance(node, RamNode)
        assert repr(node) == f"<memir.Node {node.name}, Linux 6.1.0-50-cloud-amd64 x86_64, {IMAGE}>"
        assert node.anchors.release == "6.1.0-50-cloud-amd64"
        assert node.coverage.whole
        assert node.smear() is node.source.smear
        assert node.identity.build_id == "bb603a9147d3efe4744bf83c83eee397c591cc20"
        digest = hashlib.sha256(IMAGE.read_bytes()).hexdigest()
        assert (evidence := node.facts(digest).evidence) is not None
        assert evidence.sha256 == digest
        assert len(node.hunt(kinds="kernel", workers=1)) == 0


def test_a_part_of_a_node_is_none() -> None:
    with memir.open(archive()) as node, pytest.raises(UsageError, match="is a checkpoint archive, which has no kernel"):
        of_ram(node)
