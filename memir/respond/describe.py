# SPDX-License-Identifier: Apache-2.0
"""A plan, a run and an undo in lines for people."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

from memir.respond.choose import may_be_run
from memir.respond.plan import Change, Plan, Step
from memir.respond.run import Done
from memir.respond.undo import Undone
from memir.text import counted


def plan_lines(plan: Plan, *, whole: bool) -> Iterator[str]:
    """Whom the plan is about, and its steps. whole: each request, right and limit, as a dry run prints."""
    yield f"Plan        {plan.id}, made {plan.made}"
    asked = ", ".join(f"{key} {value}" for key, value in plan.query.items())
    yield from _wrap(asked, "For         ")
    taken = f", taken {plan.source.taken}" if plan.source.taken else ""
    yield from _wrap(f"{plan.source.where} ({plan.source.kind}{taken})", "Facts from  ")
    for pod in plan.pods:
        where = f"{pod.namespace}/{pod.name} on {pod.node or 'no node'}, {pod.workload or 'no owner'}"
        yield from _wrap(f"{where}, UID {pod.uid} ({pod.reason})", "Pod         ")
    for node in plan.nodes:
        instance = node.instance_id or "no EC2 instance is known"
        group = f" {node.group}" if node.group else ""
        yield from _wrap(f"{node.name}, {instance}, {node.kind}{group}", "Node        ")
    yield from _wrap(f"{plan.order}: {plan.order_reason}", "Order       ")
    for note in plan.notes:
        yield from _wrap(note, "Note        ")
    yield ""
    for number, step in enumerate(plan.steps, 1):
        yield from step_lines(step, number, whole=whole)


def lacking_lines(plan: Plan) -> Iterator[str]:
    """What a plan lacks and what can be done about it; nothing where it lacks nothing."""
    if missing := plan.unresolved():
        yield (
            f"Unresolved  {counted(len(missing), 'fact')}: a step that lacks one is not run. --check fills in what AWS"
            " knows, a plan made anew the rest"
        )
        if known := may_be_run(plan.steps):
            yield f"            evidence whose facts are known can be kept before: {known}"


def step_lines(step: Step, number: int, *, whole: bool) -> Iterator[str]:
    """A step: what, why, what it changes, what it does not do, how it is taken back."""
    state = _state(step)
    low, high = step.seconds
    yield f"{number:2}. {step.title} [{step.id}]{f'  {state}' if state else ''}"
    if not whole:
        important = [limit for limit in step.limits if limit[:3].isupper()]
        for text in (step.refused, *step.unresolved, *important):
            if text:
                yield from _wrap(text, "      - ")
        return
    yield from _wrap(step.why, "    why       ")
    yield from _wrap(f"{low} to {high} s" if high else "no time", "    time      ")
    for change in step.changes:
        yield from _change(change)
    yield from (f"    command   {command}" for command in step.command if step.by == "hand")
    for label, texts in (
        ("refused", [step.refused] if step.refused else []), ("unresolved", step.unresolved),
        ("may", [right.words() for right in step.permissions]), ("sets off", step.triggers), ("but", step.limits),
        ("undo", [step.undo]),
    ):  # fmt: skip
        for text in texts:
            yield from _wrap(text, f"    {label:9} ")
    yield ""


def _state(step: Step) -> str:
    if step.refused:
        return "REFUSED"
    if step.unresolved:
        return "UNRESOLVED"
    if step.by == "hand":
        return "by hand"
    return "" if step.changes else "nothing to do"


def _change(change: Change) -> Iterator[str]:
    for call in change.calls:
        yield from _wrap(call, "    request   ")
    for line in change.manifest.rstrip().splitlines():
        yield f"                {line}"
    if change.irreversible:
        yield from _wrap(f"{change.id} cannot be undone, because {change.irreversible}", "    note      ")


def done_lines(done: Done) -> Iterator[str]:
    """What became of a step of a run."""
    yield f"{done.outcome.upper():12} {done.step.title} [{done.step.id}]"
    for detail in done.details:
        yield from _wrap(detail, "             ")


def undone_lines(outcome: Undone) -> Iterator[str]:
    """What became of a change at undo."""
    yield from _wrap(f"{outcome.change}: {outcome.words}", f"{'KEPT' if outcome.kept else 'UNDONE':12} ")


def checked_lines(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """(right, allowed | denied | unknown, why) of rights that were asked for."""
    for right, answer, why in rows:
        yield from _wrap(f"{right}{f': {why}' if why else ''}", f"{answer:10} ")


def _wrap(text: str, head: str) -> list[str]:
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 160) - 1)
    rest = " " * len(head)
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    ) or [head.rstrip()]
