# SPDX-License-Identifier: Apache-2.0
"""A plan is a document: it comes back from JSON as it was, warnings and all."""

from __future__ import annotations

from memir.documents import decode, encode
from memir.evidence.plan import Check, Plan, Step, Trace


def test_a_plan_as_a_document() -> None:
    plan = Plan((Step("connect", "node", "ssh"),), (Trace("journal", "the login"),), ("acquire first",))
    document = encode(plan)
    assert document["steps"] == [{"what": "connect", "where": "node", "command": "ssh", "changes": False}]
    assert document["traces"] == [{"where": "journal", "what": "the login", "stays": True}]
    assert decode(Plan, document, "plan") == plan
    assert encode(Check("root", "ok", "as root"))["level"] == "ok"
