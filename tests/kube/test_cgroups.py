# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.cgroups import CgroupIds, parse_cgroup, systemd_path
from tests.fuzz import cases
from tests.kube.cgroup_cases import BEST, CASES_BY_NAME, GUARANTEED, STATIC, UID, UID_, A, B

CASES = cases(300)


@pytest.mark.parametrize("name", CASES_BY_NAME)
def test_every_form(name: str) -> None:
    path, wanted = CASES_BY_NAME[name]
    assert parse_cgroup(path) == wanted


@pytest.mark.parametrize(
    "name", [name for name, (path, _) in CASES_BY_NAME.items() if path.startswith("/") and not path.startswith("/..")]
)
def test_a_host_container_around_keeps_the_inner_ids(name: str) -> None:
    path, wanted = CASES_BY_NAME[name]
    found = parse_cgroup(f"/system.slice/docker-{'0' * 64}.scope{path}")
    assert found is not None
    if wanted is None:
        assert found.container_id == "0" * 64
        assert found.pod_uid is None
        return
    assert (found.container_id, found.name, found.pod_uid, found.qos, found.monitor_of) == (
        wanted.container_id,
        wanted.name,
        wanted.pod_uid,
        wanted.qos,
        wanted.monitor_of,
    )
    outermost = found
    while outermost.outer:
        outermost = outermost.outer
    assert outermost.container_id == "0" * 64


ids = st.binary(min_size=32, max_size=32).map(bytes.hex)
uids = st.uuids().map(str) | st.binary(min_size=16, max_size=16).map(bytes.hex)
qos_names = st.sampled_from([("Guaranteed", ""), ("Burstable", "burstable"), ("BestEffort", "besteffort")])
prefixes = st.sampled_from([("containerd", "cri-containerd"), ("cri-o", "crio"), ("docker", "docker")])
children = st.sampled_from(["", "/init.scope", "/container", "/a/b"])


@settings(max_examples=CASES, deadline=None)
@given(ids, uids, qos_names, prefixes, children, st.booleans(), st.booleans())
def test_parts_come_back(
    ident: str,
    uid: str,
    qos: tuple[str, str],
    prefix: tuple[str, str],
    child: str,
    kind: bool,
    mismatch: bool,
) -> None:
    root = "kubelet-kubepods" if kind else "kubepods"
    escaped = uid.replace("-", "_")
    inner = f"{root}-{qos[1]}-pod{escaped}" if qos[1] else f"{root}-pod{escaped}"
    if mismatch:
        path = f"/system.slice/containerd.service/{inner}.slice:{prefix[1]}:{ident}{child}"
    else:
        path = (systemd_path(f"{inner}.slice:{prefix[1]}:{ident}") or "") + child
    assert parse_cgroup(path) == CgroupIds(
        runtime=prefix[0],
        container_id=ident,
        pod_uid=uid,
        qos=qos[0],  # type: ignore[arg-type]  # one of the three
        driver="mismatch" if mismatch else "systemd",
        child=child.strip("/") or None,
    )


@settings(max_examples=CASES, deadline=None)
@given(ids, uids, qos_names)
def test_parts_come_back_from_cgroupfs(ident: str, uid: str, qos: tuple[str, str]) -> None:
    middle = f"/{qos[1]}" if qos[1] else ""
    found = parse_cgroup(f"/kubepods{middle}/pod{uid}/{ident}")
    assert found == CgroupIds(
        container_id=ident,
        pod_uid=uid,
        qos=qos[0],  # type: ignore[arg-type]  # one of the three
        driver="cgroupfs",
    )


WORDS = "pod kubepods kubepods.slice burstable .slice .scope crio- crio-conmon- docker- cri-containerd- kata_"
MORE = "kata_overhead ecs runc- : :: / / / - _ .. (deleted)"
ODD = ["pod" + UID, "\0", "\n", "\x1b[31m", "é", "\ud800", " "]
pieces = st.sampled_from([A, B, UID, UID_, STATIC, *WORDS.split(), *MORE.split(), *ODD])


@settings(max_examples=CASES, deadline=None)
@given(st.text() | st.lists(pieces, max_size=30).map("".join))
def test_any_text_is_read(text: str) -> None:
    found = parse_cgroup(text)
    systemd_path(text)
    while found is not None:
        assert found.container_id is None or len(found.container_id) in range(34, 65)
        assert found.pod_uid is None or found.pod_uid.isascii()
        assert found.container_id or found.name or found.pod_uid or found.monitor_of
        found = found.outer


@settings(max_examples=CASES, deadline=None)
@given(st.text(max_size=64), ids)
def test_text_below_a_container_does_not_hide_it(text: str, ident: str) -> None:
    found = parse_cgroup(f"{BEST}/cri-containerd-{ident}.scope/{text}")
    while found is not None and found.container_id != ident:
        found = found.outer
    assert found is not None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000_000,
        "/" * 65_000,
        "-pod" * 16_000,
        ("/" + "-" * 254) * 255,
        ("/kata_" + "a:" * 100) * 300,
        f"/docker/{A}" * 800,
        f"{BEST}/cri-containerd-{A}.scope" * 300,
        "0:" * 30_000 + "/",
        ("/pod" + "0" * 251) * 250,
        ("/" + "0" * 63 + ".scope") * 900,
    ],
)
def test_hostile_text_is_fast(text: str) -> None:
    start = time.process_time()
    found = parse_cgroup(text)
    depth = 0
    while found is not None:
        found, depth = found.outer, depth + 1
    assert depth <= 40
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("given_path", "wanted"),
    [
        ("system.slice:runc:helper", "/system.slice/runc-helper.scope"),
        (f"kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}", f"{BEST}/cri-containerd-{A}.scope"),
        (f"kubepods-pod{UID_}.slice:crio:{A}", f"{GUARANTEED}/crio-{A}.scope"),
        (":runc:x", "/system.slice/runc-x.scope"),
        ("-.slice:runc:x", "/runc-x.scope"),
        ("a-b.slice::x", "/a.slice/a-b.slice/x.scope"),
        ("a.slice:runc:b.slice", "/a.slice/b.slice"),
        (f"/kubepods/pod{UID}/{A}", None),
        ("a.slice:runc:", None),
        ("", None),
    ],
)
def test_systemd_path(given_path: str, wanted: str | None) -> None:
    assert systemd_path(given_path) == wanted
