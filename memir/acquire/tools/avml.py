# SPDX-License-Identifier: Apache-2.0
"""AVML: a static program that reads /proc/kcore (https://github.com/microsoft/avml)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from memir.acquire.facts import NodeFacts, NodeRun
from memir.acquire.node_files import node_script
from memir.acquire.tools.base import ToolFile
from memir.acquire.transports.base import Result, Script
from memir.errors import NodeError
from memir.evidence.plan import Check, Format, Trace


class Avml:
    """Writes a LiME stream, or AVML's own compressed one."""

    name = "avml"

    def __init__(self, file: ToolFile, machine: str, format: Format, version: str = "") -> None:
        self.files: tuple[ToolFile, ...] = (file,)
        self.machine, self.format, self.version = machine, format, version
        self.old = False

    def check(self, facts: NodeFacts) -> Sequence[Check]:
        """/proc/kcore must be there and readable, and the program be for this processor."""
        out = []
        if self.machine != facts.machine:
            out.append(Check("avml", "fail", f"is for {self.machine}, the node is {facts.machine}", "give --tool-path"))
        if facts.lockdown == "confidentiality":
            out.append(Check("/proc/kcore", "fail", "blocked by lockdown=confidentiality", "no tool can read this RAM"))
        elif not facts.kcore:
            out.append(Check("/proc/kcore", "fail", "cannot be read", "CONFIG_PROC_KCORE and CAP_SYS_RAWIO are needed"))
        return out or (Check("/proc/kcore", "ok", "readable"),)

    def probe(self, run: NodeRun) -> Script:
        """Ask for the version and both command lines: before 0.19 there was no `acquire`."""
        path = run.path(self.files[0].name)
        return Script(node_script("avml_help", PROGRAM=path), "probe", path)

    def learn(self, result: Result) -> None:
        """The version and the command line. Raises NodeError if it is not AVML, or not the version pinned."""
        version = re.search(r"^avml (\d+(?:\.\d+){1,3}\S*)", result.text, re.MULTILINE)
        if not version:
            answer = (result.text + result.error).strip()[:200]
            raise NodeError(f"{self.files[0].source} does not answer as AVML does on the node: {answer!r}")
        if self.version and self.version != version[1]:
            raise NodeError(f"{self.files[0].source} is pinned as AVML {self.version} but says {version[1]}")
        self.version = version[1]
        self.old = not re.search(r"^\s+acquire\s", result.text, re.MULTILINE)
        if "--source" not in result.text:
            raise NodeError(f"AVML {self.version} has no --source: it may join two sources; use 0.3 or later")

    def command(self, run: NodeRun) -> str:
        """Always with a source: AVML opens the destination again when it falls back to another."""
        words = [run.path(self.files[0].name)] + ([] if self.old else ["acquire"])
        words += ["--compress"] if self.format == "avml" else []
        return shlex.join([*words, "--source", "/proc/kcore", run.fifo])

    def cleanup(self, run: NodeRun) -> str:
        """It leaves nothing loaded."""
        del run
        return ""

    def explain(self, code: int | None, log: str) -> str:
        """What its exit code means."""
        last = log.strip()[-400:]
        if code == 0:
            return "done"
        if "locked down" in log or "Operation not permitted" in log:
            return f"AVML was refused /proc/kcore (lockdown, or CAP_SYS_RAWIO is missing): {last}"
        words = {
            None: "AVML was killed before it ended",
            1: "AVML failed",
            2: "AVML did not understand its command line",
            126: "AVML cannot be executed on the node (another processor, or noexec)",
            127: "AVML is not there any more",
            134: "AVML panicked",
            137: "AVML was killed (out of memory, or the watchdog)",
        }
        return f"{words.get(code, f'AVML ended with {code}')}: {last}" if last else words.get(code, f"AVML: {code}")

    def traces(self) -> Sequence[Trace]:
        """It only reads."""
        return (Trace("audit log", "the execution of avml and its opening of /proc/kcore, if auditing is on"),)
