# SPDX-License-Identifier: Apache-2.0
"""What is looked at before anything is changed on the node."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memir.acquire.facts import NodeFacts
from memir.acquire.scripts import facts_script
from memir.acquire.tools.base import Tool
from memir.acquire.transports.base import Transport
from memir.errors import AccessError, NodeError
from memir.evidence.iomem import parse_iomem, parse_kcore
from memir.evidence.plan import Check, Level, Plan
from memir.evidence.ranges import Range, total

NEEDED = ("base64", "mkfifo", "nice", "setsid", "sha256sum", "stat")
CLOCK_WARN = 2.0
SPARE = 64 << 20  # what the node goes on to need while the run's files lie in its memory


@dataclass(frozen=True, slots=True)
class NodeState:
    """The node's facts, the physical ranges to expect, and who holds the node's lock ("" nobody)."""

    facts: NodeFacts
    ram: tuple[Range, ...]
    kcore: tuple[Range, ...]
    running: str


def parse_lines(out: bytes) -> Mapping[str, bytes]:
    """The `name base64` lines of a node script; lines that are not whole or not base64 are left out."""
    values: dict[str, bytes] = {}
    for line in out.splitlines():
        name, _, packed = line.partition(b" ")
        try:
            values[name.decode("ascii")] = base64.b64decode(packed.strip(), validate=True)
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    return values


def survey(transport: Transport) -> NodeState:
    """Ask the node. Raises NodeError when it does not answer as a Linux node does."""
    before = time.time()
    result = transport.run(facts_script(), timeout=60)
    after = time.time()
    values = parse_lines(result.out)
    if "kernel" not in values or "uid" not in values:
        raise NodeError(f"the node did not answer the preflight script: {result.error.strip()[:300] or result.code}")
    return read_facts(values, (before + after) / 2)


def read_facts(values: Mapping[str, bytes], now: float) -> NodeState:
    """Facts from the script's answers; `now` is the controller's clock in the middle of the call."""

    def word(name: str) -> str:
        return values.get(name, b"").decode("utf-8", "replace").strip()

    memory: dict[str, str] = dict(re.findall(r"^(\w+):\s+(\d{1,15}) kB$", word("meminfo"), re.MULTILINE))
    lockdown = re.search(r"\[(\w+)\]", word("lockdown"))
    secure = word("secure_boot").split()
    kcore = values.get("kcore", b"")
    ram = parse_iomem(values.get("iomem", b""))
    clock = re.fullmatch(r"(\d{1,12})(\.\d{1,9})?N?", word("clock").replace(".N", ""))
    facts = NodeFacts(
        hostname=word("hostname"),
        kernel=word("kernel"),
        machine=word("machine"),
        boot_id=word("boot_id"),
        lockdown=lockdown[1] if lockdown else "none",
        secure_boot=secure[-1] == "1" if secure else None,
        module_signatures_forced={"Y": True, "N": False}.get(word("sig_enforce")),
        kcore=kcore[:4] == b"\x7fELF",
        uid=int(word("uid")) if word("uid").isdigit() else -1,
        ram_bytes=total(ram),
        mem_total=int(memory.get("MemTotal") or 0) << 10,
        free_bytes=int(memory.get("MemAvailable") or memory.get("MemFree") or 0) << 10,
        swap=len(word("swaps").splitlines()) > 1,
        commands=frozenset(word("commands").split()),
        clock_offset=float(clock[0].rstrip("N")) - now if clock else 0.0,
        tmpfs=word("tmpfs"),
        iomem=values.get("iomem", b""),
    )
    return NodeState(facts, ram, parse_kcore(kcore), " since ".join(word("running").split("\n")[:2]))


def judge(state: NodeState, tool: Tool | None, need: int) -> list[Check]:
    """Checks of the node; `need` is the bytes that the tool's files take on tmpfs. tool: None where there is none."""
    facts = state.facts
    out = [
        Check("kernel", "ok", f"{facts.kernel} {facts.machine}"),
        _root(facts),
        _commands(facts),
        _memory(facts, need),
        _tmpfs(facts),
        _clock(facts),
        _running(state),
        _ram(state),
    ]
    if facts.swap:
        advice = "memir uses noswap where the kernel has it (6.4 and later)"
        out.append(Check("swap", "warn", "swap is on: pages of tmpfs may reach the swap device", advice))
    out.append(Check("lockdown", "warn" if facts.lockdown != "none" else "ok", facts.lockdown))
    return out + (list(tool.check(facts)) if tool is not None else [])


def refuse(checks: Sequence[Check]) -> None:
    """Raises NodeError (AccessError if it is all about rights) that names every failed check."""
    failed = [check for check in checks if check.level == "fail"]
    if failed:
        words = "; ".join(f"{c.name}: {c.detail}" + (f" ({c.advice})" if c.advice else "") for c in failed)
        rights = all(check.name == "root" or ":" in check.name for check in failed)
        raise (AccessError if rights else NodeError)(f"nothing was changed, {words}")


def _root(facts: NodeFacts) -> Check:
    if facts.uid == 0:
        return Check("root", "ok", "scripts run as root")
    return Check("root", "fail", f"scripts run as user id {facts.uid}", "connect as root or with sudo")


def _commands(facts: NodeFacts) -> Check:
    lacking = [name for name in NEEDED if name not in facts.commands]
    if lacking:
        return Check("commands", "fail", f"the node lacks {', '.join(lacking)}", "use a privileged pod")
    return Check("commands", "ok", f"{len(facts.commands)} found")


def _memory(facts: NodeFacts, need: int) -> Check:
    want = need + SPARE
    detail = f"{facts.free_bytes:,} bytes available, {want:,} wanted"
    return Check("free memory", "ok" if facts.free_bytes >= want else "fail", detail, "free some first")


def _tmpfs(facts: NodeFacts) -> Check:
    if not facts.tmpfs:
        return Check("tmpfs", "fail", "neither /dev/shm nor /run is a tmpfs", "mount a tmpfs at /dev/shm")
    if "noexec" in facts.tmpfs.splitlines()[0] and "mount" not in facts.commands:
        return Check("tmpfs", "fail", "tmpfs is noexec and the node has no mount command")
    return Check("tmpfs", "ok", facts.tmpfs.splitlines()[0])


def _clock(facts: NodeFacts) -> Check:
    level: Level = "warn" if abs(facts.clock_offset) > CLOCK_WARN else "ok"
    return Check("clock", level, f"node minus controller: {facts.clock_offset:+.2f} s")


def _running(state: NodeState) -> Check:
    if state.running:
        return Check("lock", "fail", f"a run is going on: {state.running}", "wait for it, or let its watchdog end it")
    return Check("lock", "ok", "no other run")


def _ram(state: NodeState) -> Check:
    if not state.ram:
        return Check("/proc/iomem", "fail", "shows no System RAM", "CAP_SYS_ADMIN in the first user namespace")
    return Check("/proc/iomem", "ok", f"{len(state.ram)} ranges, {total(state.ram):,} bytes of RAM")


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found before the run: nothing on the node has changed yet."""

    state: NodeState
    tool: Tool
    plan: Plan
    checks: tuple[Check, ...]
