# SPDX-License-Identifier: Apache-2.0
"""A place where the kernel calls code that is not its own."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look

_SQL = """
    select * from hooks where judgement in ('unexpected', 'review') and kind not in ('core_pattern', 'modprobe_path')
"""


def _find(look: Look) -> Iterator[Match]:
    for hook in look.ask(_SQL):
        severity: Severity = "critical" if hook["judgement"] == "unexpected" else "low"
        target = hook["symbol"] or (f"{hook['target']:#x}" if hook["target"] else "code that is not known")
        called = "()" if hook["module"] and hook["symbol"] else ""  # a function's name may be any word
        leads = f"leads to {short(target)}{called}{' of module ' + short(hook['module']) if hook['module'] else ''}"
        if hook["source"] == "--reference" and not hook["target"]:
            leads = "differs from the kernel's build"
        yield Match(
            severity, hook["why"] or "the table hooks says no more", f"{hook['kind']} {short(hook['name'])} {leads}",
            {}, (Proof("hooks", f"address = {hook['address']}"),),
            subject=f"{hook['kind']} {hook['name']} {hook['address']}",
        )  # fmt: skip


DETECTION = Detection(
    kind="kernel-hook",
    title="Kernel that calls code which is not its own",
    how="The table hooks judges system calls, interrupts, ftrace, kprobes, tracepoints, netfilter and terminals: what "
    "leads "
    "outside of the kernel's and its modules' text is unexpected (critical), what is rare but has its uses is low.",
    technique="T1014",
    tables=("hooks",),
    find=_find,
    why="A rootkit lives there: it hides files, processes and connections and opens doors.",
    check_next=("the code at the target, and the memory around it", "hidden-module, hidden-task, hidden-socket",
                "do not trust what the node itself shows"),
    benign=("live patches, security sensors and tracers that use kprobes and ftrace (review)",),
    missed=("patched instructions and read-only data, which are compared with --reference alone", "eBPF programs"),
    gaps=("hook", "ftrace", "kprobe", "netfilter"),
    also_known=("Google Cloud: Unexpected system call handler", "Google Cloud: Unexpected ftrace handler"),
)  # fmt: skip
