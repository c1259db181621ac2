# SPDX-License-Identifier: Apache-2.0
"""Isolate the node: groups of ours, then every interface with the groups that it has."""

from memir.respond.steps.isolate_node import isolate_node
from tests.respond.steps.facts import FACTS, NODE


def test_with_and_without_facts() -> None:
    assert isolate_node("memir-1", NODE, None).unresolved == ("the network interfaces of i-0ab and their groups",)
    step = isolate_node("memir-1", NODE, FACTS)
    names = {"open": "memir-1-i-0ab-open", "closed": "memir-1-i-0ab-closed"}
    assert [(change.kind, change.target, change.before) for change in step.changes] == [
        ("ec2-group", names["open"], {}), ("ec2-group", names["closed"], {}),
        ("ec2-groups", "eni-1", {"groups": ("sg-1", "sg-2")}), ("ec2-groups", "eni-2", {"groups": ("sg-3",)}),
    ]  # fmt: skip
    assert step.changes[3].calls == (
        f"ec2:ModifyNetworkInterfaceAttribute eni-2 (branch) Groups {names['open']}",
        f"ec2:ModifyNetworkInterfaceAttribute eni-2 (branch) Groups {names['closed']}",
    )
    assert step.changes[2].needs == {"vpc": "vpc-1", **names}
    assert any("SSM" in text for text in step.triggers)
