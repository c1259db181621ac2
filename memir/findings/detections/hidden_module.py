# SPDX-License-Identifier: Apache-2.0
"""A kernel module that some of the kernel's own lists lack."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look


def _find(look: Look) -> Iterator[Match]:
    severity, reason = _judge(look)
    for row in look.rows("modules"):
        if row["hidden"]:
            yield Match(
                severity, reason,
                f"module {short(row['name'] or 'without a name')} is known to {', '.join(row['seen_by'])}, not to "
                f"{', '.join(row['missing_from'])}",
                {}, (Proof("modules", f"module = {row['module']}"),), subject=f"{row['name']} {row['module']}",
            )  # fmt: skip


def _judge(look: Look) -> tuple[Severity, str]:
    if any(gap.kind == "RAM" for gap in look.facts.gaps):
        return "medium", "the image lacks RAM"
    if look.facts.span is None or look.facts.span >= 1:
        return "high", "those that lack it were read to their end, but not at one moment: it may have been unloaded"
    return "critical", "those that lack it were read to their end, and all at one moment"


DETECTION = Detection(
    kind="hidden-module",
    title="Kernel module taken from lists",
    how="The list of /proc/modules, sysfs, the tree of addresses or the search of module memory has a module that "
    "another one lacks, though that was read to its end. Critical; high where RAM was read while the node ran, medium "
    "where the image lacks RAM.",
    technique="T1014",
    tables=("modules",),
    find=_find,
    why="Modules do not leave these lists while they are loaded: it is a rootkit.",
    check_next=(
        "its text: where it hooks (system calls, ftrace, netfilter)",
        "do not trust what the node itself shows",
    ),
    benign=("a module that was loaded or unloaded while RAM was read",),
    missed=("code in the kernel that was never a module: eBPF, patched text", "a module that freed its struct module"),
    gaps=("module",),
    also_known=(
        "Falco: Linux Kernel Module Injection Detected",
        "GuardDuty: DefenseEvasion:Runtime/KernelModuleLoaded",
    ),
)
