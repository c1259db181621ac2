# SPDX-License-Identifier: Apache-2.0
"""A dry run: every check that can be made, and the plan in any case, so that it can be approved beforehand.

What cannot be reached is a failed check with its reason, and what could not be asked because of it is named. A run
itself stops at the first of these (run.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from memir.acquire.preflight import NodeState, judge, survey
from memir.acquire.receipt import signer_of, signing_key
from memir.acquire.resume import lock_check, same_signer
from memir.acquire.run import Acquisition
from memir.acquire.sinks.base import DirectSink
from memir.acquire.sinks.file import FileSink, folder_check
from memir.acquire.steps import make_plan
from memir.acquire.timestamp import check_url
from memir.acquire.tools.base import Tool
from memir.acquire.tools.store import choose
from memir.errors import MemirError
from memir.evidence.plan import Check, Plan

T = TypeVar("T")
OF_THE_NODE = "kernel, rights, memory, tmpfs, clock, lock, /proc/iomem, lockdown, /proc/kcore"
"""What the preflight script asks for."""


@dataclass
class DryRun:
    """What a dry run shows. not_asked: what could not be looked at, and why."""

    plan: Plan
    checks: list[Check] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Check]:
        """The checks for which a run would be refused."""
        return [check for check in self.checks if check.level == "fail"]


def dry_run(run: Acquisition) -> DryRun:
    """Look at everything that a run looks at before it changes anything. The caller closes the transport."""
    checks, not_asked = _own(run), list[str]()
    _try(checks, "store", lambda: checks.extend(run.sink.check()))
    if not isinstance(run.sink, FileSink) and run.previous is None:
        checks.append(folder_check(run.evidence))
    state, tool = None, None
    if _try(checks, "connection", run.transport.connect):
        _try(checks, "rights", lambda: checks.extend(run.transport.check()))
        state = _value(checks, "preflight", lambda: survey(run.transport))
    if state is None:
        not_asked.append(f"the node: {OF_THE_NODE}")
    else:
        tool = _tool(run, checks, state)
        _node(run, checks, state, tool)
    if tool is None:
        not_asked.append("the tool: which file goes to the node, its size and hash")
    plan = make_plan(
        run.transport, tool, run.sink, grace=run.options.grace, cluster=run.snapshot is not None,
        isolating=run.options.isolating,
    )  # fmt: skip
    return DryRun(plan, checks, not_asked)


def _own(run: Acquisition) -> list[Check]:
    """What is on the controller: the key, the address of the time stamp authority."""
    path = run.options.sign_key
    checks = key_checks(path)
    if run.options.timestamp_url:
        _try(checks, "time stamp authority", lambda: check_url(run.options.timestamp_url))
    if run.previous is not None and not any(check.level == "fail" for check in checks):
        previous = run.previous
        _try(checks, "signing key", lambda: same_signer(previous, signer_of(signing_key(path))))
    return checks


def key_checks(path: Path | None) -> list[Check]:
    """Whether the key of --sign-key can sign; nothing where none was given."""
    checks: list[Check] = []
    if _value(checks, "signing key", lambda: signing_key(path), "openssl genpkey -algorithm ed25519 -out sign.pem"):
        checks.append(Check("signing key", "ok", str(path)))
    return checks


def _tool(run: Acquisition, checks: list[Check], state: NodeState) -> Tool | None:
    if run.previous is not None:
        return run.previous.tool_of(state.facts.machine)
    chosen = run.options
    return _value(
        checks, "tool", lambda: choose(state.facts, chosen.tool, chosen.format, chosen.tool_path, run.store)
    )  # fmt: skip


def _node(run: Acquisition, checks: list[Check], state: NodeState, tool: Tool | None) -> None:
    if run.previous is not None:
        checks += [lock_check(run.previous, state.running), Check("kernel", "ok", state.facts.kernel)]
    else:
        checks += judge(state, tool, sum(file.size for file in tool.files) if tool else 0)
    sink = run.sink
    if isinstance(sink, DirectSink):
        _try(checks, "the node's way to the store", lambda: checks.extend(sink.check_node(run.transport)))
    span = getattr(sink, "check_span", None)
    if span is not None:
        _try(checks, "credentials", lambda: checks.append(span(state.facts.ram_bytes, run.options.limit_rate)))


def _try(checks: list[Check], name: str, ask: Callable[[], object]) -> bool:
    """Whether the question was answered; a refusal is a failed check."""
    try:
        ask()
    except MemirError as error:
        checks.append(Check(name, "fail", str(error)))
        return False
    return True


def _value(checks: list[Check], name: str, ask: Callable[[], T], advice: str = "") -> T | None:
    try:
        return ask()
    except MemirError as error:
        checks.append(Check(name, "fail", str(error), advice))
        return None
