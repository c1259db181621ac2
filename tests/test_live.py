# SPDX-License-Identifier: Apache-2.0
"""RAM that was read while its node ran: what is said of processes that came and went is theirs, or is not said.

samples/s-6.1-live: read in 24 parts, a second apart, on a node where a shell and a pod start and end processes all the
time (tests/lab/small/live.sh). Nobody has intruded there and nothing is hidden.
"""

from __future__ import annotations

import functools
from typing import Any

import pyarrow as pa
import pytest

import memir
from memir.findings.detect import detect
from memir.findings.facts import facts_of
from tests.images import ROOT, cache

KEPT = ("processes", "threads", "vmas", "code_pages", "modules", "sockets", "containers", "pods", "claims")
"""Tables of which the thinned copy has the pages."""
PROGRAMS = ("/bin/busybox", "/pause", "/app/server", "/app/client", "/usr/bin/containerd", "/usr/bin/kubelet",
            "/usr/bin/containerd-shim-runc-v2")  # fmt: skip
COMMANDS = (
    ["/bin/busybox", "sh", "/init2"], ["/pause"], ["/usr/bin/containerd"], ["/app/server", "8080"],
    ["/usr/bin/kubelet", "--config=/etc/kubernetes/kubelet/config.json", "--node-ip=10.0.1.23"],
    ["/app/client", "127.0.0.1", "8080"],
    ["/bin/sh", "-c", "while :; do sleep 2 & sleep 5 & ls / >/dev/null; sleep 0.3; done"],
)  # fmt: skip
SHORT = [["sleep", number] for number in ("0.3", "2", "5")] + [["ls", "/"]]
CHURN = [["busybox", "sleep", number] for number in ("1", "3", "7")] + [
    ["busybox", "cat", "/proc/self/maps"], ["busybox", "ls", "-R", "/sys/class"], ["busybox", "usleep", "150000"],
]  # fmt: skip
ADDRESS = "/run/containerd/containerd.sock"


@functools.cache
def node() -> memir.Node:
    return memir.open(ROOT / "samples" / "s-6.1-live.raw.zst", cache=cache())


@functools.cache
def tables() -> dict[str, pa.Table]:
    return {name: node()[name].to_arrow() for name in KEPT}


def processes() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables()["processes"].to_pylist()
    return rows


def test_the_capture_is_known_for_what_it_is() -> None:
    smear = node().source.smear
    assert smear.span is not None
    assert 5e9 < smear.span < 40e9
    assert smear.torn > 0


def test_arguments_are_the_process_s_own() -> None:
    """Or null: memory that a process gave back, and another had when it was read, is nobody's command line."""
    known = [*COMMANDS, *SHORT, *CHURN]
    said = [row["args"] for row in processes() if row["args"]]
    odd = [args for args in said if args not in known and (args[0], args[-1]) != (PROGRAMS[-1], ADDRESS)]
    assert odd == []
    assert all(args in said for args in COMMANDS)


def test_programs_are_the_process_s_own() -> None:
    assert {row["exe"] for row in processes()} - {None} <= set(PROGRAMS)
    assert {row["exe_code"] for row in processes()} <= {None, "mapped"}


def test_numbers_in_namespaces_are_the_process_s_own() -> None:
    """A struct pid that the next process had when it was read says nothing."""
    assert [row["pid"] for row in processes() if row["pids"] and row["pids"][0] != row["pid"]] == []
    inside = {row["pid_ns"] for row in processes() if row["container_name"] == "batch"} - {None}
    (first,) = (row["pid_ns"] for row in processes() if row["pid"] == 241)
    assert inside == {first}
    lost = [gap.count for gap in node().gaps if gap.why == "became another task's while RAM was read"]
    assert lost == [10]


def test_nothing_is_called_hidden_or_changed() -> None:
    rows = detect(tables(), facts_of(node().source)).rows()
    assert {(row["kind"], row["severity"]) for row in rows} == {("unlisted-task", "low")}
    assert tables()["code_pages"].num_rows == 0
    assert [row["pid"] for row in processes() if row["unlinked"]] == []


@pytest.mark.parametrize("name", ["batch", "web", "sidecar"])
def test_what_stayed_is_whole(name: str) -> None:
    first = {"batch": (241, "sh"), "web": (178, "server"), "sidecar": (190, "client")}[name]
    assert first in [(row["pid"], row["comm"]) for row in processes() if row["container_name"] == name]
