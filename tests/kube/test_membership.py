# SPDX-License-Identifier: Apache-2.0
"""Who stands for a container, whose namespaces are whose, and by which cgroup a container is known."""

from __future__ import annotations

from memir.kube.claims import Claims, of_container
from memir.kube.membership import container_of_cgroup, memberships
from memir.kube.oci import OciSpec
from memir.kube.runc import RuntimeState
from memir.kube.runtime import RuntimeFiles
from tests.kube.test_identity import CGROUP, HOST, ID, INIT, POD, process

FIRST = process(1, 0, "/init.scope", {})
OTHER = "b" * 64


def test_namespaces_of_a_container() -> None:
    claims = Claims()
    known = memberships([FIRST, INIT], RuntimeFiles(), None, claims)
    assert (known.mnt_of, known.net_of, known.host) == ({11: ID}, {13: POD}, HOST)
    assert (known.init, known.stand_in, known.pod_of) == ({ID: INIT}, set(), {ID: POD})
    assert known.claims is claims
    assert claims.resolve(of_container(ID), "pod_uid").witness == "cgroup"


def test_the_nodes_own_network_where_no_process_tells_it() -> None:
    """By where it lies; process 1 comes first. What no one tells is nobody's witness."""
    lost = process(1, 0, "/init.scope", {"net": 0})
    assert memberships([lost, INIT], RuntimeFiles(), None).net_of == {}
    known = memberships([lost, INIT], RuntimeFiles(), None, own_net=lambda: 77)
    assert (known.host["net"], known.net_of) == (77, {13: POD})
    assert memberships([FIRST, INIT], RuntimeFiles(), None, own_net=lambda: 77).host == HOST


def test_a_namespace_that_two_claim_is_nobodys() -> None:
    second = process(20, 1, CGROUP.replace(ID, OTHER), {"mnt": 11, "pid": 22, "net": 13}, pids=[20, 1])
    known = memberships([FIRST, INIT, second], RuntimeFiles(), None)
    assert (known.mnt_of, known.net_of) == ({}, {13: POD})


def test_cgroups_by_the_runtimes_own_names() -> None:
    """A path that carries no id is known by the spec that names it; what lies below it too."""
    files = RuntimeFiles(
        {"helper": OciSpec("/x", True, container_id="helper", cgroups_path="system.slice:runc:helper")},
        {OTHER: RuntimeState("/y", True, "runc", container_id=OTHER, cgroup_paths={"": "/made/by/hand"})},
    )
    known = memberships([FIRST], files, None)
    assert container_of_cgroup(known, "/system.slice/runc-helper.scope/inner/most") == "helper"
    assert container_of_cgroup(known, "/made/by/hand") == OTHER
    assert [container_of_cgroup(known, path) for path in ("/made/by", "/", None)] == [None] * 3


def test_first_process_as_the_runtime_names_it() -> None:
    child = process(11, 10, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[11, 1])
    files = RuntimeFiles({}, {ID: RuntimeState("/y", True, "runc", container_id=ID, init_pid=10)})
    assert memberships([FIRST, child, INIT], files, None).init[ID] is INIT
    assert memberships([FIRST, child, INIT], RuntimeFiles(), None).init[ID] is child  # else pid 1 of its own


def test_spec_before_cgroup() -> None:
    """Whoever may write a cgroup makes names below it; the spec is the runtime's, on the node."""
    spec = OciSpec("/x", True, container_id=ID, pod_uid="99999999-2222-4222-8222-0123456789ab", kind="sandbox")
    known = memberships([FIRST, INIT], RuntimeFiles({ID: spec}), None)
    assert known.pod_of[ID] == spec.pod_uid == known.sandbox_pod[ID]
    assert [claim.value for claim in known.claims.resolve(of_container(ID), "pod_uid").doubts] == [POD]
