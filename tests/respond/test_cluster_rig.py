# SPDX-License-Identifier: Apache-2.0
"""The steps for Kubernetes on a real API server with its controllers: done, taken back, and the suspect lives."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memir.respond.cluster import Cluster
from memir.respond.make import make_plan
from memir.respond.match import Query
from memir.respond.plan import Plan
from memir.respond.steps.base import INCIDENT, ISOLATE, Options
from memir.respond.steps.detach import COST, HIGHEST
from tests.respond.kube_rig import KubeRig, until
from tests.respond.worlds import CutApi, Killed, only, run, take_back, without, world

APPS = "/apis/apps/v1/namespaces"
LONG = bool(os.environ.get("CI"))


def template(labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels}, "spec": {"nodeName": "node-1", "containers": [CONTAINER], **spec}}


CONTAINER = {"name": "c", "image": "registry.example/web:1"}


def service(rig: KubeRig, namespace: str, selector: dict[str, str]) -> None:
    spec = {"selector": selector, "ports": [{"port": 80}]}
    rig.call("POST", f"/api/v1/namespaces/{namespace}/services", {"metadata": {"name": "web"}, "spec": spec})


def deployment(rig: KubeRig, namespace: str, labels: dict[str, str], replicas: int = 3) -> list[dict[str, Any]]:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(labels)}
    rig.call("POST", f"{APPS}/{namespace}/deployments", {"metadata": {"name": "web"}, "spec": spec})
    return running(rig, namespace, replicas)


def running(rig: KubeRig, namespace: str, count: int) -> list[dict[str, Any]]:
    pods = until("pods", lambda: len(pods := alive(rig, namespace)) >= count and pods)
    for pod in pods:
        if pod["status"].get("phase") != "Running":
            rig.run_pod(pod)
    return [pod for pod in rig.pods(namespace) if pod["metadata"]["uid"] in {p["metadata"]["uid"] for p in pods}]


def alive(rig: KubeRig, namespace: str) -> list[dict[str, Any]]:
    return [pod for pod in rig.pods(namespace) if "deletionTimestamp" not in pod["metadata"]]


def plan_for(rig: KubeRig, pod: dict[str, Any], **options: Any) -> Plan:
    meta = pod["metadata"]
    cluster = Cluster.ask(rig.api, "rig")
    assert cluster.source.unread == ()
    query = Query(pods=(f"{meta['namespace']}/{meta['name']}",))
    plan = make_plan(cluster, query, {"pod": meta["name"]}, "2026-11-29T10:00:00+00:00", options=Options(**options))
    return without(plan, "acquire", "snapshot-volumes", "isolate-node", "collect", "pause")


def settled(pod: dict[str, Any]) -> dict[str, Any]:
    """What of a pod must be as it was: all but what every write and every controller changes."""
    meta = {key: value for key, value in pod["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    return {"metadata": meta, "spec": pod["spec"]}


def uids(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def test_a_pod_whose_service_has_a_label_of_its_own(rig: KubeRig, tmp_path: Path) -> None:
    rig.namespace("kept")
    pods = deployment(rig, "kept", {"app": "web", "tier": "front"})
    service(rig, "kept", {"app": "web", "tier": "front"})
    suspect = pods[0]
    path = f"/api/v1/namespaces/kept/pods/{suspect['metadata']['name']}"
    until("endpoints", lambda: len(endpoints(rig, "kept")) == 3)
    before, node = rig.call("GET", path), rig.call("GET", "/api/v1/nodes/node-1")
    plan = plan_for(rig, suspect)
    assert [step.kind for step in plan.steps] == ["hold", "hold", "isolate-pod", "detach", "revoke", "cordon"]
    done = run(plan, tmp_path / "run", world(plan, rig.api))
    assert [each.outcome for each in done] == ["done"] * 4 + ["nothing to do", "done"]
    now = rig.call("GET", path)
    name = f"{plan.id}-{suspect['metadata']['uid'][:8]}"
    assert now["metadata"]["labels"] == {
        "app": "web", "pod-template-hash": before["metadata"]["labels"]["pod-template-hash"],
        INCIDENT: name, ISOLATE: name,
    }  # fmt: skip
    assert now["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    policy = rig.call("GET", f"/apis/networking.k8s.io/v1/namespaces/kept/networkpolicies/{name}")
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {ISOLATE: name}}, "policyTypes": ["Ingress", "Egress"],
    }  # fmt: skip
    others = {pod["metadata"]["name"] for pod in pods[1:]}
    until("the Service leaves it", lambda: endpoints(rig, "kept") == others)
    assert rig.call("GET", "/api/v1/nodes/node-1")["spec"]["unschedulable"] is True
    budget = f"/apis/policy/v1/namespaces/kept/poddisruptionbudgets/{name}"
    until("the budget", lambda: rig.call("GET", budget)["status"].get("currentHealthy") == 1)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": suspect["metadata"]["name"]}}
    with pytest.raises(Exception, match="429"):
        rig.call("POST", f"{path}/eviction", eviction)
    outcomes = take_back(plan, tmp_path / "run", world(plan, rig.api))
    assert [outcome.words for outcome in outcomes if outcome.kept] == []
    assert settled(rig.call("GET", path)) == settled(before)
    assert settled(rig.call("GET", "/api/v1/nodes/node-1"))["metadata"] == settled(node)["metadata"]
    assert "unschedulable" not in rig.call("GET", "/api/v1/nodes/node-1")["spec"]
    assert rig.items("/apis/networking.k8s.io/v1/namespaces/kept/networkpolicies") == []
    assert rig.items("/apis/policy/v1/namespaces/kept/poddisruptionbudgets") == []
    assert uids(alive(rig, "kept")) == uids(pods)


def endpoints(rig: KubeRig, namespace: str) -> set[str]:
    slices = rig.items(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
    return {point["targetRef"]["name"] for each in slices for point in each["endpoints"] or []}


@pytest.mark.parametrize("ready", [True, False])
def test_a_deployment_that_lets_the_pod_go(rig: KubeRig, tmp_path: Path, ready: bool) -> None:
    """Its labels return and it lives: the count is one higher; while it is not ready, they do not return."""
    namespace = f"orphan-{str(ready).lower()}"
    rig.namespace(namespace)
    pods = deployment(rig, namespace, {"app": "web"})
    service(rig, namespace, {"app": "web"})
    suspect, uid = pods[0], pods[0]["metadata"]["uid"]
    path = f"/api/v1/namespaces/{namespace}/pods/{suspect['metadata']['name']}"
    plan = only(plan_for(rig, suspect), "detach")
    assert [change.kind for change in plan.steps[0].changes] == ["kube-fields", "kube-room", "kube-fields"]
    run(plan, tmp_path / "run", world(plan, rig.api))
    until("it is let go", lambda: "ownerReferences" not in rig.call("GET", path)["metadata"])
    until("its replacement", lambda: len(rig.pods(namespace, "app=web")) == 3)
    running(rig, namespace, 4)
    rig.merge(f"{path}/status", {"status": {"conditions": [{"type": "Ready", "status": str(ready)}]}})
    kept = take_back(plan, tmp_path / "run", world(plan, rig.api))
    outcomes = {each.change.rpartition(".")[2]: each for each in kept}
    count = rig.call("GET", f"{APPS}/{namespace}/deployments/web")["spec"]["replicas"]
    now = rig.call("GET", path)["metadata"]
    assert now["annotations"][COST] == HIGHEST
    assert outcomes["cost"].kept
    if not ready:
        assert "the pod is not ready" in outcomes["room"].words
        assert (outcomes["room"].kept, outcomes["labels"].kept, count) == (True, True, 3)
        assert "app" not in now["labels"]
        return
    assert (outcomes["room"].words, outcomes["labels"].words, count) == ("replicas 4", "app web", 4)
    until("it is adopted", lambda: "ownerReferences" in rig.call("GET", path)["metadata"])
    until("the count", lambda: len([p for p in alive(rig, namespace) if p["metadata"]["labels"].get("app")]) == 4)
    assert uid in uids(alive(rig, namespace))


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "Pod"])
def test_every_other_owner(rig: KubeRig, tmp_path: Path, kind: str) -> None:
    namespace = f"owner-{kind.lower()}"
    rig.namespace(namespace)
    labels = {"app": "web"}
    body: dict[str, Any] = {"metadata": {"name": "web"}}
    selector = {"matchLabels": labels}
    if kind == "Pod":
        rig.call("POST", f"/api/v1/namespaces/{namespace}/pods", body | template(labels) | {
            "metadata": {"name": "web", "labels": labels}
        })  # fmt: skip
    elif kind == "Job":
        body["spec"] = {"template": template(labels, restartPolicy="Never"), "ttlSecondsAfterFinished": 60}
        rig.call("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", body)
    else:
        body["spec"] = {"selector": selector, "template": template(labels)}
        if kind == "StatefulSet":
            body["spec"] |= {"serviceName": "web", "replicas": 1}
        else:
            del body["spec"]["template"]["spec"]["nodeName"]
        rig.call("POST", f"{APPS}/{namespace}/{kind.lower()}s", body)
    suspect = running(rig, namespace, 1)[0]
    service(rig, namespace, {"batch.kubernetes.io/job-name": "web"} if kind == "Job" else labels)
    path = f"/api/v1/namespaces/{namespace}/pods/{suspect['metadata']['name']}"
    plan = only(plan_for(rig, suspect), "hold", "detach")
    # of two pods of a DaemonSet on a node the controller keeps the older one, and of one second the first by name
    created = datetime.fromisoformat(suspect["metadata"]["creationTimestamp"])
    until("another second", lambda: datetime.now(UTC) - created > timedelta(seconds=1))
    run(plan, tmp_path / "run", world(plan, rig.api))
    orphaned = kind != "Job"  # a Job selects by its UID's label: its name's label is free to go
    if kind == "Pod":
        assert "app" not in rig.call("GET", path)["metadata"]["labels"]
    elif orphaned:
        until("it is let go", lambda: "ownerReferences" not in rig.call("GET", path)["metadata"])
    if kind == "DaemonSet":
        running(rig, namespace, 2)
    outcomes = take_back(plan, tmp_path / "run", world(plan, rig.api))
    assert [outcome for outcome in outcomes if outcome.kept] == []
    if kind != "Pod":
        until("it is adopted", lambda: "ownerReferences" in rig.call("GET", path)["metadata"])
    if kind == "DaemonSet":
        until("the surplus goes", lambda: len(alive(rig, namespace)) == 1)
    assert uids(alive(rig, namespace)) == {suspect["metadata"]["uid"]}
    assert settled(rig.call("GET", path))["metadata"]["labels"] == suspect["metadata"]["labels"]
    if kind == "Job":
        job = rig.call("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/web")
        assert job["spec"]["ttlSecondsAfterFinished"] == 60


def test_the_account_loses_its_bindings_and_gets_them_back(rig: KubeRig, tmp_path: Path) -> None:
    rig.namespace("bound")
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    subjects = [
        {"kind": "ServiceAccount", "name": "default", "namespace": "bound"},
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "someone"},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bound"}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    rig.call("POST", f"{rbac}/clusterroles", {"metadata": {"name": "bound"}, "rules": rules})
    bindings = {f"{rbac}/namespaces/bound/rolebindings": subjects, f"{rbac}/clusterrolebindings": subjects[:1]}
    for path, named in bindings.items():
        rig.call("POST", path, {"metadata": {"name": "bound"}, "roleRef": role, "subjects": named})
    (suspect,) = deployment(rig, "bound", {"app": "web"}, 1)
    plan = only(plan_for(rig, suspect), "revoke")
    asked = {"verb": "list", "resource": "pods"}
    account = {"user": "system:serviceaccount:bound:default", "resourceAttributes": asked}

    def allowed() -> bool:
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": account}
        answer = rig.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    until("it is bound", allowed)
    run(plan, tmp_path / "run", world(plan, rig.api))
    until("it is not", lambda: not allowed())
    kept = rig.call("GET", f"{rbac}/namespaces/bound/rolebindings/bound")["subjects"]
    assert [subject["name"] for subject in kept] == ["someone"]
    take_back(plan, tmp_path / "run", world(plan, rig.api))
    until("it is bound again", allowed)
    assert rig.call("GET", f"{rbac}/namespaces/bound/rolebindings/bound")["subjects"] == subjects


def test_every_request_cut(rig: KubeRig, tmp_path: Path) -> None:
    """Killed at a request, before it is sent or after it was done: a resume ends as an uncut run, an undo as before."""
    rig.namespace("cut")
    suspect = deployment(rig, "cut", {"app": "web", "tier": "front"}, 2)[0]
    service(rig, "cut", {"tier": "front"})
    path = f"/api/v1/namespaces/cut/pods/{suspect['metadata']['name']}"
    before = settled(rig.call("GET", path))
    plan = plan_for(rig, suspect)
    counter = CutApi(rig.api)
    run(plan, tmp_path / "whole", world(plan, counter))
    after = settled(rig.call("GET", path))
    take_back(plan, tmp_path / "whole", world(plan, rig.api))
    assert settled(rig.call("GET", path)) == before
    numbers = range(1, counter.count + 1) if LONG else range(2, counter.count + 1, 5)
    for number in numbers:
        for late in (False, True):
            folder = tmp_path / f"{number}-{late}"
            with pytest.raises(Killed):
                run(plan, folder, world(plan, CutApi(rig.api, number, late)))
            if number % 2:
                run(plan, folder, world(plan, rig.api), resume=True)
                assert settled(rig.call("GET", path)) == after
            take_back(plan, folder, world(plan, rig.api))
            assert settled(rig.call("GET", path)) == before
            assert rig.items("/apis/networking.k8s.io/v1/namespaces/cut/networkpolicies") == []
