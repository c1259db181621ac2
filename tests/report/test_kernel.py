# SPDX-License-Identifier: Apache-2.0
"""The line about the kernel: counts, what is wrong by name, and what was not looked at."""

from __future__ import annotations

from typing import Any

from memir.report.kernel import kernel_line, not_checked
from memir.tables.hooks import CHECKS

NEVER = "changes of text and read-only data"
ELSEWHERE = "BPF of routes/xt_bpf/other qdiscs"


def module(name: str | None, hidden: bool | None = False) -> dict[str, Any]:
    return {"name": name, "hidden": hidden}


def hook(judgement: str | None, kind: str = "netfilter") -> dict[str, Any]:
    return {"kind": kind, "judgement": judgement}


def test_nothing_wrong_claims_no_more_than_was_looked_at() -> None:
    tables = {
        "modules": [module("a"), module("b")],
        "hooks": [hook("expected")],
        "bpf": [{"kind": "program"}, {"kind": "map"}],
    }
    assert kernel_line(tables, []) == (
        f"2 modules, none seen to hide; 1 BPF program; no unexpected hook; not checked: {ELSEWHERE}, {NEVER}"
    )
    assert kernel_line({}, []) is None


def test_what_could_not_be_checked_is_named() -> None:
    gaps = [{"kind": kind} for kind in ("module scan", "kprobes", "args")]
    assert kernel_line({"modules": [module("a")], "hooks": []}, gaps) == (
        "1 module, none seen to hide; no unexpected hook where it could be checked; "
        f"not checked: kprobes, modules by all witnesses, {NEVER}"
    )
    assert kernel_line({"bpf": [], "hooks": []}, [{"kind": "BPF programs"}]) == (
        f"no unexpected hook where it could be checked; not checked: BPF programs, {ELSEWHERE}, {NEVER}"
    )
    line = kernel_line({"hooks": []}, [{"kind": kind} for kind in CHECKS])
    assert line == f"no unexpected hook where it could be checked; not checked: {', '.join(CHECKS)}, {NEVER}"


def test_what_is_wrong_is_named() -> None:
    tables = {
        "modules": [module("rootkit", True), module(None, True), module("c", None)],
        "hooks": [hook("unexpected", "system call"), hook("unexpected"), hook("review"), hook(None)],
    }
    assert kernel_line(tables, []) == (
        "3 modules, 2 hidden (rootkit, without name), 1 not judged; 2 unexpected hooks (netfilter 1, system call 1), "
        f"1 to review, 1 not judged; not checked: {NEVER}"
    )


def test_hidden_tasks_are_those_of_the_findings() -> None:
    def of(*pids: int) -> list[dict[str, Any]]:
        return [{"kind": "hidden-task", "pid": pid} for pid in pids]

    tables = {"modules": [module("a")], "findings": [*of(7, 7), {"kind": "miner", "pid": 8}]}
    rest = f"1 module, none seen to hide; not checked: {NEVER}"
    assert kernel_line(tables, []) == f"1 hidden task (pid 7); {rest}"
    assert kernel_line(tables | {"findings": of(5, 4, 3, 2, 1)}, []) == f"5 hidden tasks (pid 1, 2, 3, 4, ...); {rest}"
    assert kernel_line({"findings": of(7)}, []) == f"1 hidden task (pid 7); not checked: {NEVER}"


def test_not_checked() -> None:
    """What no table looks at yet, and what a gap kept from being looked at."""
    never = "changes of text and read-only data"
    assert not_checked((), ()) == [never]
    assert not_checked(("bpf", "hooks"), ()) == ["BPF of routes/xt_bpf/other qdiscs", never]
    assert not_checked(("hooks",), {"ftrace", "module list", "args"}) == ["ftrace", "modules by all witnesses", never]


def test_text_that_was_compared_with_a_reference() -> None:
    assert kernel_line({"hooks": [hook("unexpected", "text")]}, [{"kind": "kernel text"}]) == (
        "1 unexpected hook (text 1); not checked: "
        "text and read-only data where the kernel writes itself, and pages that are not there"
    )
