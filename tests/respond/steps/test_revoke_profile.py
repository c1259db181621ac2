# SPDX-License-Identifier: Apache-2.0
"""Revoke the node's role: the profile taken, and what stays open said."""

from memir.respond.steps.revoke_profile import revoke_profile
from tests.respond.steps.facts import FACTS, NODE


def test_with_and_without_facts() -> None:
    assert revoke_profile(NODE, None).unresolved == ("the instance profile of i-0ab",)
    step = revoke_profile(NODE, FACTS)
    assert [(change.before, change.after) for change in step.changes] == [
        ({"profile": "arn:aws:iam::1:instance-profile/n"}, {"profile": None})
    ]
    assert "up to 6 hours" in step.limits[0]
