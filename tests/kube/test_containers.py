# SPDX-License-Identifier: Apache-2.0
"""Containers put together from claims: what has ended, what is removed, what witnesses say differently."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from memir.kube.apiobjects import ApiContainer, ApiPod
from memir.kube.claims import of_container
from memir.kube.containerd import Registered, Registry
from memir.kube.containers import Container, build_containers, is_reported
from memir.kube.event_keys import SpecKind
from memir.kube.identity import identify
from memir.kube.kubelet import ContainerStatus
from memir.kube.membership import Membership, memberships
from memir.kube.oci import OciSpec
from memir.kube.processes import Process
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ClusterSnapshot
from tests.kube.test_identity import HOST, ID, INIT, POD, process

SANDBOX, THIRD = "b" * 64, "c" * 64
TASK = f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"
SPEC = OciSpec(TASK, True, container_id=ID, kind="container", container_name="web", pod_uid=POD, pod_name="web-0",
               namespace="shop", image="docker.io/library/nginx:1", sandbox_id=SANDBOX, host_users=False)  # fmt: skip
FREED = OciSpec(
    "meta.db:/var/lib/containerd/meta.db+0x5000", True, container_id=THIRD, container_name="old", pod_uid=POD
)


def built(
    files: RuntimeFiles, *processes: Process, cluster: ClusterSnapshot | None = None, torn: bool = False
) -> tuple[dict[str, Container], Membership]:
    rows = [process(1, 0, "/init.scope", {}), *processes]
    known = memberships(rows, files, cluster)
    return build_containers(rows, identify(rows, known), known, files, {}, cluster, torn=torn), known


def test_a_start_before_the_kernels_boot_is_not_believed() -> None:
    api = ApiContainer("web", "container", ID, (ID,), state="running", started_at=datetime(2020, 1, 1, tzinfo=UTC))
    snapshot = cluster(api)
    began = 1_600_000_000 * 10**9
    rows = [process(1, 0, "/init.scope", {}), replace(INIT, start=began)]
    for booted, start in ((None, 1_577_836_800 * 10**9), (1_500_000_000 * 10**9, 1_577_836_800 * 10**9),
                          (1_590_000_000 * 10**9, began)):  # fmt: skip
        files = RuntimeFiles({ID: SPEC})
        known = memberships(rows, files, snapshot)
        found = build_containers(rows, identify(rows, known), known, files, {}, snapshot, booted=booted)
        assert (found[ID].state, found[ID].started_at) == ("running", start)
    assert {claim.witness for claim in known.claims if claim.field == "started_at"} == {
        "process", "API before the kernel's boot",
    }  # fmt: skip


def test_running_with_a_spec() -> None:
    found, known = built(RuntimeFiles({ID: SPEC}), INIT)
    row = found[ID]
    assert (row.state, row.init_pid, row.kind, row.container_name, row.pod_name) == (
        "running", 10, "container", "web", "web-0",
    )  # fmt: skip
    assert (row.host_pid, row.host_network, row.host_users, row.user_ns) == (False, False, True, HOST["user"])
    assert row.containerd_namespace == "k8s.io"
    # the kernel's word against the spec's, which asked for a user namespace
    assert row.doubts == ["host_users: namespaces says True, spec says False"]
    assert known.claims.resolve(of_container(ID), "pod_uid").witness == "spec"


def test_a_container_that_only_a_cgroup_tells_of() -> None:
    """No file names it, and its one process has the node's namespaces: no first process, and a source still."""
    found, known = built(RuntimeFiles(), replace(INIT, namespaces=dict(HOST)))
    assert (known.init, found[ID].init_pid, found[ID].processes, found[ID].sources) == ({}, None, 1, ["cgroup"])


def test_user_namespace() -> None:
    found, _ = built(RuntimeFiles({ID: SPEC}), replace(INIT, namespaces={**INIT.namespaces, "user": 66}))
    assert (found[ID].host_users, found[ID].user_ns, found[ID].doubts) == (False, 66, [])


def registered(**more: Any) -> Registered:
    return Registered(ID, "k8s.io", **{"kind": "container", "pod_uid": POD, **more})


def test_ended_removed_and_not_known() -> None:
    """Off the tree is removed; in the tree without a process has ended; with holes in the tree nobody knows."""
    whole = Registry({ID: registered(image="registry.example/web:1")}, whole=True)
    files = RuntimeFiles({THIRD: FREED}, registry=whole)
    found, _ = built(files)
    assert {at: row.state for at, row in found.items()} == {ID: "exited", THIRD: "removed"}
    assert (found[ID].image, found[ID].sources) == ("registry.example/web:1", ["containerd metadata"])
    assert built(RuntimeFiles({THIRD: FREED}, registry=Registry({}, False)))[0][THIRD].state == "unknown"
    assert built(RuntimeFiles({THIRD: FREED}))[0][THIRD].state == "unknown"
    # what a process is in is not removed, whatever its database forgot
    here = f"/kubepods/besteffort/pod{POD}/{THIRD}"
    assert built(files, process(20, 1, here, {"mnt": 21}))[0][THIRD].state == "running"
    assert built(RuntimeFiles({ID: SPEC}), torn=True)[0][ID].state == "unknown"


def test_container_made_by_hand() -> None:
    """No name but what a spec says: a cgroup's name is its maker's choice. Kind and image are containerd's."""
    cgroup = f"/system.slice/{ID}"
    files = RuntimeFiles(
        {ID: OciSpec("meta.db:/m#x", True, container_id=ID, cgroups_path=cgroup)},
        registry=Registry({ID: Registered(ID, "default", "container", "docker.io/library/busybox:1.35")}, True),
    )
    found, _ = built(files, process(30, 1, cgroup, {"mnt": 31}))
    row = found[ID]
    assert (row.kind, row.image, row.containerd_namespace) == ("container", "docker.io/library/busybox:1.35", "default")
    assert (row.container_name, row.pod_uid, row.state) == (None, None, "running")


def cluster(*containers: ApiContainer) -> ClusterSnapshot:
    pod = ApiPod(POD, "web-0", "shop", "node", containers=containers)
    pairs = {ident: (pod, one) for one in containers for ident in one.ids}
    return ClusterSnapshot({POD: pod}, pairs, {}, {}, ("pods.json",))


def test_what_the_api_says_differently_is_kept() -> None:
    api = ApiContainer("other", "container", ID, (ID,), "containerd", "nginx:1", state="running")
    found, known = built(RuntimeFiles({ID: SPEC}), INIT, cluster=cluster(api))
    assert (found[ID].container_name, found[ID].seen_in) == ("web", "both")
    assert "container_name: spec says web, API says other" in found[ID].doubts
    assert not [
        doubt for doubt in found[ID].doubts if doubt.startswith("image")
    ]  # nginx:1 is docker.io/library/nginx:1
    assert {claim.value for claim in known.claims if claim.field == "container_name"} == {"web", "other"}


def test_container_of_the_api_alone() -> None:
    api = ApiContainer("web", "container", ID, (ID, THIRD), "containerd", "nginx:1", state="running")
    found, _ = built(RuntimeFiles(), cluster=cluster(api))
    assert {at: (row.seen_in, row.state, row.container_name) for at, row in found.items()} == {
        ID: ("api", "unknown", "web"),
        THIRD: ("api", "exited", "web"),
    }


def test_the_sandbox_names_the_pod_for_all() -> None:
    bare = replace(SPEC, pod_name=None, namespace=None, host_pid=None)
    sandbox = replace(SPEC, where=TASK.replace(ID, SANDBOX), container_id=SANDBOX, kind="sandbox", container_name=None,
                      host_pid=True)  # fmt: skip
    found, known = built(RuntimeFiles({ID: bare, SANDBOX: sandbox}))
    assert (found[ID].pod_name, found[ID].namespace, found[ID].host_pid) == ("web-0", "shop", True)
    assert known.claims.resolve(of_container(ID), "pod_name").witness == "sandbox"
    assert list(found) == [SANDBOX, ID]


def status(container_id: str, kind: str | None, state: str = "terminated", **more: Any) -> ContainerStatus:
    values: dict[str, Any] = {"kind": kind, "state": state, **more}
    return ContainerStatus(container_id, "x", **values)


def test_kinds_and_endings_by_the_kubelet() -> None:
    """An init container that runs beside the others is a sidecar; how one ended is told, of one that runs it is not."""
    init, rows = "d" * 64, [process(1, 0, "/init.scope", {}), INIT]
    files = RuntimeFiles({ID: SPEC, init: replace(SPEC, container_id=init), THIRD: replace(SPEC, container_id=THIRD)})
    rows.append(process(30, 1, f"/kubepods/besteffort/pod{POD}/{init}", {"mnt": 31}))
    known = memberships(rows, files, None)
    told = {
        ID: status(ID, "container", "running", exit_code=1, finished_at=9),
        init: status(init, "init", "running", restarts=2),
        THIRD: status(THIRD, "init", exit_code=137, reason="OOMKilled", started_at=5, finished_at=9),
        "gone": status("gone", "container"),
    }
    found = build_containers(rows, identify(rows, known), known, files, {}, None, statuses=told)
    assert {at: (row.kind, row.state) for at, row in found.items()} == {
        ID: ("container", "running"), init: ("sidecar", "running"), THIRD: ("init", "exited"),
    }  # fmt: skip
    assert (found[ID].exit_code, found[ID].finished_at, found[init].restarts) == (None, None, 2)
    ended = found[THIRD]
    assert (ended.exit_code, ended.reason, ended.started_at, ended.finished_at) == (137, "OOMKilled", 5, 9)
    assert "kubelet status" in ended.sources


def test_the_kubelet_reports_of_no_sandbox_and_of_nothing_without_a_pod() -> None:
    """Such a status has been planted; of a container whose spec is torn it may be the only word."""
    alone, torn = "d" * 64, "e" * 64
    rows = [process(1, 0, "/init.scope", {}), INIT, process(30, 1, f"/k8s.io/{alone}", {"mnt": 31})]
    whole = OciSpec(TASK, True, container_id=alone)
    files = RuntimeFiles({
        ID: SPEC, SANDBOX: replace(SPEC, container_id=SANDBOX, kind="sandbox", container_name=None),
        alone: whole, torn: replace(whole, container_id=torn, complete=False),
    })  # fmt: skip
    known = memberships(rows, files, None)
    told = {ident: status(ident, "init") for ident in (ID, SANDBOX, alone, torn)}
    found = build_containers(rows, identify(rows, known), known, files, {}, None, statuses=told)
    assert {ident: (row.container_name, row.kind) for ident, row in found.items()} == {
        ID: ("web", "init"), SANDBOX: (None, "sandbox"), alone: (None, None), torn: ("x", "init"),
    }  # fmt: skip
    assert [ident for ident in (ID, SANDBOX, alone, torn) if is_reported(ident, known, files)] == [ID, torn]


def test_kinds_by_the_kubelets_events() -> None:
    """As by its statuses, which go first; a name counts in its own pod alone."""
    init, rows = "d" * 64, [process(1, 0, "/init.scope", {}), INIT]
    named = {THIRD: "debugger", init: "proxy"}
    others = {ident: replace(SPEC, container_id=ident, container_name=name) for ident, name in named.items()}
    rows.append(process(30, 1, f"/kubepods/besteffort/pod{POD}/{init}", {"mnt": 31}))
    files = RuntimeFiles({ID: SPEC, **others})
    known = memberships(rows, files, None)
    kinds: dict[tuple[str, str], SpecKind] = {
        (POD, "web"): "container", (POD, "proxy"): "init", (POD, "debugger"): "ephemeral", ("other", "web"): "init",
    }  # fmt: skip
    found = build_containers(rows, identify(rows, known), known, files, {}, None, kinds=kinds)
    assert {at: row.kind for at, row in found.items()} == {ID: "container", init: "sidecar", THIRD: "ephemeral"}
    assert known.claims.resolve(of_container(THIRD), "kind").witness == "event"
    told = {THIRD: status(THIRD, "init")}
    found = build_containers(rows, identify(rows, known), known, files, {}, None, statuses=told, kinds=kinds)
    assert found[THIRD].kind == "init"
