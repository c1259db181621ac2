# SPDX-License-Identifier: Apache-2.0
"""LiME: a kernel module that writes RAM (https://github.com/504ensicsLabs/LiME)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from memir.acquire.facts import NodeFacts, NodeRun
from memir.acquire.tools.base import ToolFile
from memir.acquire.transports.base import Result
from memir.evidence.plan import Check, Format, Trace

GUARDDUTY = "DefenseEvasion:Runtime/KernelModuleLoaded"


class Lime:
    """Loads a module that was built for exactly this kernel; it dumps while it loads, then it is removed."""

    name = "lime"
    format: Format = "lime"

    def __init__(self, file: ToolFile, modinfo: Mapping[str, str], *, signed: bool, machine: str) -> None:
        self.files: tuple[ToolFile, ...] = (file,)
        self.modinfo, self.signed, self.machine = modinfo, signed, machine
        self.version = modinfo.get("version") or modinfo.get("srcversion", "")

    @property
    def kernel(self) -> str:
        """The kernel release that the module was built for."""
        return (self.modinfo.get("vermagic", "").split() or [""])[0]

    def check(self, facts: NodeFacts) -> Sequence[Check]:
        """The vermagic must be this kernel's, and the kernel must take the module."""
        out = []
        if self.modinfo.get("name", "lime") != "lime":
            out.append(Check("lime", "fail", f"the module is {self.modinfo['name']!r}, not lime", "give another"))
        if self.kernel != facts.kernel or self.machine != facts.machine:
            what = f"built for {self.kernel} {self.machine}, the node runs {facts.kernel} {facts.machine}"
            advice = "build it with `memir tools build lime --headers`, or use --tool avml"
            out.append(Check("vermagic", "fail", what, advice))
        if facts.lockdown != "none" and not self.signed:
            out.append(Check("lime", "fail", f"unsigned, and lockdown is {facts.lockdown}", "use --tool avml"))
        elif facts.module_signatures_forced and not self.signed:
            out.append(Check("lime", "fail", "unsigned, and the kernel wants signed modules", "use --tool avml"))
        elif facts.secure_boot and not self.signed:
            out.append(Check("lime", "warn", "unsigned, and Secure Boot is on", "--tool avml is safer"))
        lacking = [name for name in ("insmod", "rmmod") if name not in facts.commands]
        if lacking:
            out.append(Check("lime", "fail", f"the node lacks {', '.join(lacking)}", "use --tool avml"))
        return out or (Check("vermagic", "ok", self.modinfo["vermagic"]),)

    def probe(self, run: NodeRun) -> str:
        """Nothing to ask: a module has no command line."""
        del run
        return ""

    def learn(self, result: Result) -> None:
        """Nothing to learn."""

    def command(self, run: NodeRun) -> str:
        """Always timeout=0: otherwise a stall makes LiME pad with zeros and say nothing."""
        words = ["insmod", run.path(self.files[0].name), f"path={run.fifo}", "format=lime", "timeout=0"]
        return shlex.join(words)

    def cleanup(self, run: NodeRun) -> str:
        """Unload."""
        del run
        return "rmmod lime 2>/dev/null || ! grep -q '^lime ' /proc/modules"

    def explain(self, code: int | None, log: str) -> str:
        """What insmod's exit code means."""
        last = log.strip()[-400:]
        if code == 0:
            return "done"
        if "Key was rejected" in log or "Required key not available" in log or "Operation not permitted" in log:
            return f"the kernel refuses the unsigned module: use --tool avml ({last})"
        if "Invalid module format" in log or "Exec format" in log:
            return f"the module is not for this kernel (vermagic or module layout): {last}"
        if "File exists" in log:
            return f"a module named lime is loaded already: look who loaded it ({last})"
        return f"insmod ended with {code}: {last}"

    def traces(self) -> Sequence[Trace]:
        """A module load cannot be hidden, and must not be."""
        return (
            Trace("kernel taint", "out-of-tree (and unsigned) module taint, until the next boot"),
            Trace("kernel log", "lime's messages and the taint line"),
            Trace("GuardDuty", f"{GUARDDUTY}, if runtime monitoring is on"),
        )
