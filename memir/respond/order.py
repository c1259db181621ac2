# SPDX-License-Identifier: Apache-2.0
"""The order of a plan's steps, and the one thing that stands in its way: a step that ends the line of another.

RAM is taken over SSM, which signs in with the node's role, or through a pod, whose kubelet does: a role that is taken
away first, as the published order has it, or an isolated node, leaves no way in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from memir.errors import UsageError
from memir.respond.plan import Kind, Order, Plan, Step

ORDERS: Mapping[Order, tuple[tuple[Kind, ...], str]] = {
    "memory-first": (
        (
            "hold", "acquire", "collect", "snapshot-volumes", "isolate-pod", "detach", "revoke", "pause",
            "isolate-node", "cordon", "suspend",
        ),
        "RAM before isolation: a cut line or a dead token tells the intruder, and ends the connections that memory"
        " shows. --order aws isolates first.",
    ),
    "aws": (
        (
            "isolate-pod", "detach", "revoke", "cordon", "hold", "acquire", "collect", "pause", "snapshot-volumes",
            "isolate-node", "suspend",
        ),
        "The order of AWS's EKS best practices: isolate, revoke, cordon, protect, then capture. Connections end before"
        " memory is taken.",
    ),
}  # fmt: skip
LINES = {
    "ssm": "SSM signs in with the node's role",
    "pod": "the kubelet, which starts the pod and answers for it, signs in with the node's role",
}
"""Ways to a node's RAM that end with the role, and why. SSH does not."""


def in_order(steps: Sequence[Step], order: Order) -> tuple[list[Step], list[str]]:
    """(steps, notes): by kind; a step that would end the line of an acquisition stands after it, and a note says so."""
    kinds, _ = ORDERS[order]
    ordered = sorted(steps, key=lambda step: kinds.index(step.kind))
    notes = []
    for cut, needed, why in list(cut_lines(ordered)):
        ordered.remove(cut)
        ordered.insert(max(ordered.index(step) for step in needed) + 1, cut)
        notes.append(
            f"step {cut.id} stands after {needed[0].id}, not where the order has it: {why}, and the RAM could not be"
            " taken any more"
        )
    return ordered, notes


def cut_lines(steps: Sequence[Step]) -> Iterator[tuple[Step, list[Step], str]]:
    """(step, the acquisition and collections after it that need the line that it ends, why)."""
    for number, cut in enumerate(steps):
        later = steps[number + 1 :]
        captures = [step for step in later if step.kind == "acquire" and step.subject == cut.subject]
        for capture in captures:
            if why := _ends(cut, capture):
                yield cut, [capture, *(step for step in later if step.kind == "collect")], why


def check_order(plan: Plan) -> None:
    """Raises UsageError for a plan that was put in an order in which a step cuts off a later one."""
    for cut, needed, why in cut_lines(plan.steps):
        raise UsageError(
            f"step {cut.id} stands before {needed[0].id}, and {why}: put it after that one in the file, or take one of"
            " them out"
        )


def _ends(cut: Step, capture: Step) -> str:
    """Why nothing is acquired after a step, "" if that is still possible."""
    if cut.refused or capture.refused or len(capture.command) < 3:
        return ""
    way = capture.command[2]
    if cut.kind == "isolate-node":
        return "an isolated node is reached over no network"
    takes_role = any(change.kind == "ec2-profile" for change in cut.changes) or cut.id.startswith("revoke-profile-")
    return LINES.get(way, "") if takes_role else ""
