# SPDX-License-Identifier: Apache-2.0
"""Pods put together from their containers, cgroups and the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from memir.kube.apiobjects import ApiPod
from memir.kube.containerd import Registry
from memir.kube.identity import identify
from memir.kube.jwt import ServiceAccountToken
from memir.kube.membership import memberships
from memir.kube.pods import Pod, build_pods, with_removed
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ClusterSnapshot
from tests.kube.test_containers import FREED, SPEC, THIRD, built, cluster
from tests.kube.test_identity import ID, INIT, POD, process


def pods(files: RuntimeFiles, api: ClusterSnapshot | None = None, *, alive: bool = True) -> dict[str, Pod]:
    rows = [process(1, 0, "/init.scope", {}), *([INIT] if alive else [])]
    containers, known = built(files, *rows[1:], cluster=api)
    return build_pods(containers, identify(rows, known), known, files, api, "node-a")


def test_pod_of_memory() -> None:
    (pod,) = pods(RuntimeFiles({ID: SPEC})).values()
    assert (pod.pod_uid, pod.pod_name, pod.namespace, pod.qos, pod.node) == (
        POD,
        "web-0",
        "shop",
        "BestEffort",
        "node-a",
    )
    assert (pod.containers, pod.processes, pod.removed, pod.seen_in) == (1, 1, False, "ram")
    assert pod.sources == ["OCI spec", "cgroup"]
    assert pod.labels is None


def test_pod_whose_containers_containerd_has_forgotten() -> None:
    """It is no pod that the API hides: all that is left are freed pages."""
    files = RuntimeFiles({THIRD: FREED}, registry=Registry({}, True))
    (pod,) = pods(files, alive=False).values()
    assert (pod.removed, pod.containers, pod.processes) == (True, 0, 0)
    both = RuntimeFiles({THIRD: FREED, ID: SPEC}, registry=Registry({}, True))
    (pod,) = pods(both).values()
    assert (pod.removed, pod.containers) == (False, 1)
    assert not pods(files, cluster(), alive=False)[POD].removed


def test_what_the_api_adds_and_contradicts() -> None:
    api = replace(
        next(iter(cluster().pods.values())), service_account="api", owner="ReplicaSet/web", phase="Running",
        labels={"b": "2", "a": "1"}, qos="Guaranteed", name="other",
    )  # fmt: skip
    pending = ApiPod("p", "late", "shop", "node-a")
    snapshot = ClusterSnapshot({api.uid: api, "p": pending}, {}, {}, {}, ("pods.json",))
    found = pods(RuntimeFiles({ID: SPEC}), snapshot)
    pod = found[POD]
    assert (pod.service_account, pod.owner, pod.phase, pod.labels) == (
        "api",
        "ReplicaSet/web",
        "Running",
        ["a=1", "b=2"],
    )
    assert (pod.pod_name, pod.qos, pod.seen_in, pod.node) == ("web-0", "BestEffort", "both", "node")
    assert set(pod.doubts) == {
        "pod_name: spec says web-0, API says other",
        "qos: cgroup says BestEffort, API says Guaranteed",
    }
    assert (found["p"].seen_in, found["p"].sources, found["p"].removed) == ("api", ["API"], False)


def test_static_pod_by_its_hash() -> None:
    digest = "f" * 32
    files = RuntimeFiles({ID: replace(SPEC, pod_uid=digest)})
    api = replace(next(iter(cluster().pods.values())), config_hash=digest)
    snapshot = ClusterSnapshot({api.uid: api}, {}, {}, {}, ("pods.json",))
    rows = [process(1, 0, "/init.scope", {})]
    known = memberships(rows, files, snapshot)
    containers, known = built(files, cluster=snapshot)
    found = build_pods(containers, identify(rows, known), known, files, snapshot, "node-a")
    assert [(pod.pod_uid, pod.seen_in) for pod in found.values()] == [(digest, "both")]


def test_service_account_and_role_without_the_api() -> None:
    """The token in the pod's volume says whose it is, the spec which role; another pod's token is no witness."""
    token = ServiceAccountToken("m", "s", "shop", "api", pod_name="web-0", pod_uid=POD)
    role = "arn:aws:iam::111122223333:role/shop-api"
    files = RuntimeFiles({ID: replace(SPEC, env=("PATH=/", f"AWS_ROLE_ARN={role}"))})
    files.tokens = [
        (POD, "/p/token", replace(token, service_account="thief", pod_uid="other")),
        (POD, "/p/token", token),
    ]
    (pod,) = pods(files).values()
    assert (pod.service_account, pod.iam_role, pod.doubts) == ("api", role, [])


def test_pod_that_is_being_deleted_and_its_role_by_the_api() -> None:
    moment = datetime(2026, 11, 23, 22, 27, 29, tzinfo=UTC)
    api = replace(next(iter(cluster().pods.values())), deleted_at=moment, service_account="api")
    account = {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}}}
    snapshot = ClusterSnapshot({POD: api}, {}, {}, {("ServiceAccount", "shop", "api"): account}, ("pods.json",))
    (pod,) = pods(RuntimeFiles({ID: SPEC}), snapshot).values()
    assert (pod.deleted_at, pod.iam_role, pod.service_account) == (
        1_795_472_849_000_000_000, "arn:aws:iam::1:role/x", "api",
    )  # fmt: skip


def test_phase_by_the_kubelet() -> None:
    rows = [process(1, 0, "/init.scope", {}), INIT]
    containers, known = built(RuntimeFiles({ID: SPEC}), INIT)
    found = build_pods(
        containers, identify(rows, known), known, RuntimeFiles({ID: SPEC}), None, None, {POD: "Running", "x": "Failed"}
    )
    assert {uid: pod.phase for uid, pod in found.items()} == {POD: "Running"}


def test_pod_that_removed_cgroups_alone_name() -> None:
    """Their memory is still charged: UID and class of service are left; pods that are known stay as they are."""
    uid = "77777777-8888-4888-8888-0123456789ab"
    below = f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid.replace('-', '_')}.slice"
    known = pods(RuntimeFiles({ID: SPEC}))
    before = known[POD]
    paths = [below, f"{below}/cri-containerd-{ID}.scope", "/system.slice/gone.service"]
    answer = with_removed(known, [*paths, f"/kubepods/besteffort/pod{POD}"], "node-a")
    assert set(answer) == {POD, uid} and answer[POD] is before
    pod = answer[uid]
    assert (pod.removed, pod.qos, pod.node, pod.containers, pod.processes) == (True, "BestEffort", "node-a", None, 0)
    assert pod.sources == ["removed cgroup"] and pod.pod_name is None
