# SPDX-License-Identifier: Apache-2.0
"""A part of a plan: the steps that `--only` names. What is approved stays the whole plan.

RAM is wanted first, and facts that only AWS has may come later: what a step does not need must not hold it up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from memir.errors import UsageError
from memir.respond.plan import Kind, Plan, Step

MOST = 8
"""Steps or kinds that a message names."""
EVIDENCE: tuple[Kind, ...] = ("hold", "acquire", "collect", "snapshot-volumes")
ADVISED = 4
"""Of what may be run, so much is written out to be typed."""


def chosen(plan: Plan, only: Sequence[str]) -> tuple[Step, ...]:
    """The steps of these ids or kinds, in the plan's order; all of them for (). Raises UsageError for a word that is
    neither."""
    kinds, ids = {step.kind for step in plan.steps}, {step.id for step in plan.steps}
    for word in only:
        if word not in kinds and word not in ids:
            near = [ident for ident in ids if word and word in ident]
            there = f"steps {_some(sorted(near))}" if near else f"kinds {', '.join(sorted(kinds))}"
            raise UsageError(f"--only {word}: no step of the plan has this id or kind; there are {there}")
    return tuple(step for step in plan.steps if not only or step.id in only or step.kind in only)


def runnable(steps: Sequence[Step]) -> list[str]:
    """Words for --only: every step that memir does and whose facts are known; its kind where all of a kind are."""
    words: list[str] = []
    for step in steps:
        if not _does(step) or step.unresolved:
            continue
        whole = not any(other.unresolved for other in steps if other.kind == step.kind)
        word = step.kind if whole else step.id
        if word not in words:
            words.append(word)
    return words


def may_be_run(steps: Sequence[Step]) -> str:
    """`--only acquire --only collect`, of what keeps evidence and lacks no fact, RAM first; "" where all lacks one.

    What isolates or revokes is not advised: it stands after the RAM for a reason.
    """
    kept = [step for step in steps if step.kind in EVIDENCE]
    words = sorted(runnable(kept), key=lambda word: word not in ("acquire", "collect"))
    return " ".join(f"--only {word}" for word in words[:ADVISED])


def rest(plan: Plan, steps: Collection[Step], done: Collection[str]) -> Iterator[Step]:
    """What memir has still to do beside these steps. done: ids of steps that are done."""
    return (step for step in plan.steps if step not in steps and step.id not in done and _does(step))


def _does(step: Step) -> bool:
    return step.by != "hand" and not step.refused and bool(step.changes)


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:MOST]) + (f" and {len(words) - MOST} more" if len(words) > MOST else "")
