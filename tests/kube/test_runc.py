# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.gaps import Gaps
from memir.kube.runc import parse_state
from tests.fuzz import cases

CASES = cases(300)
TRUTH = json.loads(gzip.decompress((Path(__file__).parent / "data/node-6.1.truth.json.gz").read_bytes()))
STATES: dict[str, dict[str, Any]] = TRUTH["states"]
ID = "89bb3709bcc0bee0fb772849879c587d3136cecad561bb1f9738bf29c9c19358"
POD = "a36289d2-54eb-4567-b8d7-4ab93a61ba30"


def test_every_state_of_a_real_node() -> None:
    assert len(STATES) == 15
    for ident, raw in STATES.items():
        state = parse_state(json.dumps(raw).encode() + b"\0" * 9, f"/run/containerd/runc/k8s.io/{ident}/state.json")
        assert state is not None
        notes = TRUTH["specs"][ident].get("annotations") or {}
        assert state.complete
        assert not state.doubts
        assert (state.runtime, state.container_id) == ("runc", ident)
        assert (state.init_pid, state.init_start) == (raw["init_process_pid"], raw["init_process_start"])
        assert state.created is not None
        assert state.created.strftime("%Y-%m-%dT%H:%M:%S") == raw["created"][:19]
        assert state.created.tzinfo is UTC
        assert state.rootfs == raw["config"]["rootfs"]
        assert state.bundle is not None
        assert state.rootfs == f"{state.bundle}/rootfs"
        assert state.names.pod_name == notes.get("io.kubernetes.cri.sandbox-name")
        assert state.names.container_name == notes.get("io.kubernetes.cri.container-name")
        assert state.namespace_paths["NEWPID"] == f"/proc/{state.init_pid}/ns/pid"
        process = next(one for one in TRUTH["processes"] if one["pid"] == state.init_pid)
        assert process["cgroup"] == ["0::" + state.cgroup_paths[""]]


def test_cgroup_v1_paths() -> None:
    path = f"/kubepods/besteffort/pod{POD}/{ID}"
    raw = {
        "id": ID,
        "init_process_pid": 7,
        "cgroup_paths": {name: f"/sys/fs/cgroup/{name}{path}" for name in ("memory", "pids", "cpu,cpuacct")},
    }
    state = parse_state(json.dumps(raw).encode(), "ram")
    assert state is not None
    assert set(state.cgroup_paths.values()) == {path}
    assert state.cgroup is not None
    assert state.cgroup.pod_uid == POD
    raw["cgroup_paths"] = {"": f"/sys/fs/cgroup/unified{path}"}
    state = parse_state(json.dumps(raw).encode(), "ram")
    assert state is not None
    assert state.cgroup_paths == {"": path}


def test_crun() -> None:
    raw = {
        "pid": 4242,
        "process-start-time": 991,
        "cgroup-path": f"/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/crio-{ID}.scope",
        "scope": f"crio-{ID}.scope",
        "rootfs": "/var/lib/containers/storage/overlay/x/merged",
        "systemd-cgroup": True,
        "bundle": f"/run/containers/storage/overlay-containers/{ID}/userdata",
        "created": "2026-11-23T22:27:54.408041Z",
        "detached": True,
        "external_descriptors": "[]",
    }
    state = parse_state(json.dumps(raw, indent=4).encode(), f"/run/crun/{ID}/status")
    assert state is not None
    assert not state.doubts
    assert (state.runtime, state.container_id, state.init_pid, state.init_start) == ("crun", ID, 4242, 991)
    assert state.created == datetime(2026, 11, 23, 22, 27, 54, 408041, UTC)
    assert state.cgroup is not None
    assert (state.cgroup.runtime, state.cgroup.pod_uid) == ("cri-o", POD)
    other = parse_state(json.dumps(raw).encode(), f"/run/crun/{'b' * 64}/status")
    assert other is not None
    assert "container ids differ" in other.doubts[0]


@pytest.mark.parametrize("pid", [0, -1, 1 << 23, 1 << 80, "7", True, 1.5, None, [], {}])
def test_pids_that_cannot_be(pid: Any) -> None:
    state = parse_state(json.dumps({"init_process_pid": pid, "id": ID}).encode(), "ram")
    assert state is not None
    assert state.init_pid is None
    assert state.container_id == ID


@pytest.mark.parametrize(
    "created", ["", "x", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026", 7, None]
)
def test_times_that_cannot_be(created: Any) -> None:
    state = parse_state(json.dumps({"init_process_pid": 1, "created": created}).encode(), "ram")
    assert state is not None
    assert state.created is None or state.created.tzinfo is UTC


def test_not_a_state_is_a_gap() -> None:
    gaps = Gaps()
    assert parse_state(b"", "/a", gaps) is None
    assert parse_state(b'{"ociVersion":"1"}', "/a", gaps) is None
    assert sorted(gap.why for gap in gaps) == ["not JSON", "not a runtime's state"]


@settings(max_examples=CASES, deadline=None)
@given(st.sampled_from(sorted(STATES)), st.integers(0, 1 << 32), st.integers(0, 20))
def test_mutated_states_are_read(ident: str, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    data = bytearray(json.dumps(STATES[ident], separators=(",", ":")).encode())
    for _ in range(changes):
        at = chance.randrange(len(data))
        if chance.randrange(2):
            data[at] = chance.randrange(256)
        else:
            data[at : at + chance.randrange(50)] = chance.choice([b"", b"null", b"[", b"{}", b'"', b",", b"9" * 30])
    state = parse_state(bytes(data), "ram")
    assert state is None or state.init_pid is None or 0 < state.init_pid <= 1 << 22
