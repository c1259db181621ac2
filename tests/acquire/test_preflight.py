# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from memir.acquire.facts import NodeFacts
from memir.acquire.preflight import NEEDED, NodeState, judge, parse_lines, read_facts, refuse, survey
from memir.acquire.tools.store import Store, choose
from memir.acquire.transports.local import LocalTransport
from memir.errors import AccessError, NodeError
from memir.evidence.plan import Check
from tests.fuzz import cases

CASES = cases(300)
SAID = {
    "hostname": b"ip-10-0-0-7\n", "kernel": b"6.12.40-64.114.amzn2023.x86_64\n", "machine": b"x86_64\n", "uid": b"0\n",
    "clock": b"1000.500000000\n", "lockdown": b"none [integrity] confidentiality\n", "sig_enforce": b"N\n",
    "secure_boot": b"   6   0   0   0   1\n", "meminfo": b"MemTotal: 16 kB\nMemFree: 5 kB\nMemAvailable: 1000 kB\n",
    "swaps": b"Filename Type\n/dev/zram0 partition\n", "iomem": b"00001000-0009ffff : System RAM\n",
    "kcore": b"\x7fELF\x02\x01", "tmpfs": b"tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0\n",
    "commands": "\n".join(NEEDED).encode(), "running": b"",
}  # fmt: skip


def test_facts() -> None:
    seen = read_facts(SAID, 998.0)
    facts = seen.facts
    assert (facts.hostname, facts.kernel, facts.uid) == ("ip-10-0-0-7", "6.12.40-64.114.amzn2023.x86_64", 0)
    assert (facts.lockdown, facts.secure_boot, facts.module_signatures_forced) == ("integrity", True, False)
    assert (facts.free_bytes, facts.swap, facts.kcore) == (1_024_000, True, True)
    assert facts.clock_offset == pytest.approx(2.5)
    assert (seen.ram, seen.running) == (((0x1000, 0xA0000),), "")


def test_this_machine(avml: Path, tmp_path: Path) -> None:
    seen = survey(LocalTransport())
    assert seen.facts.kernel == os.uname().release
    assert seen.facts.machine == os.uname().machine
    assert abs(seen.facts.clock_offset) < 5
    assert set(NEEDED) <= seen.facts.commands
    assert seen.facts.free_bytes > 1 << 20


def levels(avml: Path, **changes: object) -> dict[str, str]:
    facts = replace(read_facts(SAID, 1000.0).facts, free_bytes=1 << 30, lockdown="none", swap=False)
    facts = replace(facts, **changes)  # type: ignore[arg-type]  # the fields are NodeFacts'
    tool = choose(
        NodeFacts(kernel="x", machine="x86_64", kcore=True), "avml", "lime", avml, Store(Path("/nonexistent"))
    )
    checks = judge(NodeState(facts, ((0x1000, 0xA0000),), (), ""), tool, 1000)
    return {check.name: check.level for check in checks if check.level != "ok"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"uid": 1000}, {"root": "fail"}),
        ({"commands": frozenset()}, {"commands": "fail"}),
        ({"free_bytes": 1 << 20}, {"free memory": "fail"}),
        ({"tmpfs": ""}, {"tmpfs": "fail"}),
        ({"tmpfs": "tmpfs /dev/shm tmpfs rw,noexec 0 0"}, {"tmpfs": "fail"}),
        ({"clock_offset": -7200.0}, {"clock": "warn"}),
        ({"swap": True}, {"swap": "warn"}),
        ({"lockdown": "integrity"}, {"lockdown": "warn"}),
        ({"lockdown": "confidentiality", "kcore": False}, {"lockdown": "warn", "/proc/kcore": "fail"}),
        ({"machine": "aarch64"}, {"avml": "fail"}),
    ],
)
def test_what_stops_a_run(avml: Path, changes: dict[str, object], found: dict[str, str]) -> None:
    assert levels(avml, **changes) == found


def test_refusals_name_every_failed_check() -> None:
    root = Check("root", "fail", "user id 7", "use sudo")
    iam = Check("s3:PutObject", "fail", "denied")
    with pytest.raises(AccessError, match=r"nothing was changed, root: user id 7 \(use sudo\); s3:PutObject: denied"):
        refuse([root, iam, Check("x", "warn", "")])
    with pytest.raises(NodeError, match="tmpfs"):
        refuse([root, Check("tmpfs", "fail", "none")])
    refuse([Check("x", "warn", "")])


def test_hostile_answers_never_raise() -> None:
    rng = random.Random(2)
    lines = [name.encode() + b" " + base64.b64encode(value) for name, value in SAID.items()]
    for _ in range(CASES):
        data = bytearray(b"\n".join(rng.sample(lines, rng.randrange(1, len(lines)))))
        for _ in range(rng.randrange(6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        seen = read_facts(parse_lines(bytes(data)), 0.0)
        assert isinstance(seen.facts.uid, int)
    for name in SAID:
        for value in (b"", b"\xff" * 50, b"9" * 400, b"-1", b"[" * 99):
            read_facts({**SAID, name: value}, 0.0)
