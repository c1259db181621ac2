# SPDX-License-Identifier: Apache-2.0
"""Hold the instance: what Auto Scaling may no longer do."""

import dataclasses

from memir.respond.steps.hold_instance import hold_instance
from tests.respond.steps.facts import FACTS, NODE


def test_with_and_without_facts() -> None:
    assert hold_instance(NODE, None).unresolved == ("the Auto Scaling group of i-0ab",)
    processes, protection = hold_instance(NODE, FACTS).changes
    assert (processes.target, processes.before, processes.after) == (
        "ng", {"suspended": ("AZRebalance",)}, {"suspended": ("AZRebalance", "ReplaceUnhealthy")},
    )  # fmt: skip
    assert (protection.target, protection.before, protection.needs) == ("i-0ab", {"protected": False}, {"group": "ng"})
    alone = hold_instance(NODE, dataclasses.replace(FACTS, group="", spot=True))
    assert alone.changes == () and alone.limits[1].startswith("the instance is in no Auto Scaling group")
    assert alone.limits[2].startswith("THIS IS A SPOT INSTANCE")
