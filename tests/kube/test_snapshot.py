# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.errors import ClusterError
from memir.kube.snapshot import ClusterSnapshot, load_cluster, load_objects
from tests.fuzz import cases

CASES = cases(200)
DATA = Path(__file__).parent / "data" / "cluster"
PODS: dict[str, Any] = json.loads((DATA / "pods.json").read_text())
API = "89bb3709bcc0bee0fb772849879c587d3136cecad561bb1f9738bf29c9c19358"
API_POD = "a36289d2-54eb-4567-b8d7-4ab93a61ba30"
MIGRATE = "7d7c0f377207f40f7ccf3557174f1a9f69e580be96f65f6e33c4ec5285d59cd1"


@pytest.fixture(scope="module")
def cluster() -> ClusterSnapshot:
    return load_cluster(DATA)


def load(value: Any, tmp_path: Path) -> ClusterSnapshot:
    file = tmp_path / "pods.json"
    file.write_text(json.dumps(value))
    return load_cluster(file)


def one_pod() -> dict[str, Any]:
    return copy.deepcopy(next(pod for pod in PODS["items"] if pod["metadata"]["uid"] == API_POD))


def test_a_real_cluster(cluster: ClusterSnapshot) -> None:
    pods = {f"{pod.namespace}/{pod.name}": pod for pod in cluster.pods.values()}
    assert len(pods) == 7
    assert {name: (pod.owner, pod.workload) for name, pod in pods.items()} == {
        "kube-system/node-agent-2zlxg": ("DaemonSet/node-agent", "DaemonSet/node-agent"),
        "payments/ledger": (None, None),
        "shop/api-8489696577-l7df2": ("ReplicaSet/api-8489696577", "Deployment/api"),
        "shop/migrate-w57gd": ("Job/migrate", "Job/migrate"),
        "shop/toolbox": (None, None),
        "shop/web-7bf68f75d5-86xhc": ("ReplicaSet/web-7bf68f75d5", "Deployment/web"),
        "shop/web-7bf68f75d5-rqltp": ("ReplicaSet/web-7bf68f75d5", "Deployment/web"),
    }
    assert {pod.node for pod in pods.values()} == {"ip-10-0-1-23.ec2.internal"}
    assert pods["payments/ledger"].qos == "Guaranteed"
    agent, toolbox = pods["kube-system/node-agent-2zlxg"], pods["shop/toolbox"]
    assert (agent.host_network, agent.host_pid, agent.containers[0].privileged) == (True, True, True)
    assert (toolbox.host_network, toolbox.host_pid, toolbox.containers[0].privileged) == (False, True, True)
    api = cluster.pods[API_POD]
    assert (api.service_account, api.labels["app"], api.phase) == ("api", "api", "Running")
    assert api.started_at is not None
    assert api.started_at.tzinfo is UTC
    assert cluster.pod(API_POD) is api
    assert cluster.pods_on("ip-10-0-1-23.ec2.internal") == list(cluster.pods.values())
    assert not cluster.pods_on("elsewhere")


def test_containers_by_id(cluster: ClusterSnapshot) -> None:
    pod, container = cluster.containers[API]
    assert (pod.uid, container.name, container.kind, container.runtime) == (
        API_POD,
        "api",
        "container",
        "containerd",
    )
    assert container.image == "registry.example/shop/api:1.4.2"
    assert (container.state, container.exit_code, container.restarts) == ("running", None, 0)
    _, ended = cluster.containers[MIGRATE]
    assert (ended.state, ended.exit_code, ended.reason) == ("terminated", 0, "Completed")
    assert ended.finished_at == datetime(2026, 11, 23, 22, 27, 29, tzinfo=UTC)
    assert len(cluster.containers) == 9


def test_nodes(cluster: ClusterSnapshot) -> None:
    node = cluster.node_of_instance("i-0abc1234def567890")
    assert node is not None
    assert node is cluster.nodes["ip-10-0-1-23.ec2.internal"]
    assert node.provider_id == "aws:///eu-west-1a/i-0abc1234def567890"
    assert node.kernel == "6.1.0-50-cloud-amd64"
    assert cluster.node_of_instance("i-x") is None
    assert ("ReplicaSet", "shop", "api-8489696577") in cluster.objects


def test_one_file_is_enough() -> None:
    alone = load_cluster(DATA / "pods.json")
    assert alone.pods[API_POD].workload == "ReplicaSet/api-8489696577"
    assert not alone.nodes
    assert alone.files == (str(DATA / "pods.json"),)


def test_static_pods_are_known_by_their_hash(tmp_path: Path) -> None:
    digest = "487a0dc6dccaeefbcfedba7a7ce1ca18"
    pod = one_pod()
    pod["metadata"]["annotations"] = {
        "kubernetes.io/config.hash": digest,
        "kubernetes.io/config.mirror": digest,
    }
    pod["metadata"]["ownerReferences"] = [{"kind": "Node", "name": "n", "controller": True, "uid": "x"}]
    found = load(pod, tmp_path)
    assert found.pod(digest) is found.pods[API_POD]
    assert found.pods[API_POD].config_hash == digest
    assert found.pods[API_POD].owner == "Node/n"


def test_restarted_init_and_ephemeral_containers(tmp_path: Path) -> None:
    pod = one_pod()
    now, before, init, debug, waiting = ("a" * 64, "b" * 64, "c" * 64, "d" * 64, "e" * 64)
    ended = {"terminated": {"containerID": f"cri-o://{before}", "exitCode": 137, "reason": "OOMKilled"}}
    pod["spec"]["initContainers"] = [{"name": "wait", "image": "i"}]
    pod["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "d", "securityContext": {"privileged": True}}]
    pod["spec"]["containers"] = [
        {"name": "api", "image": "a"},
        {"name": "late", "image": "l"},
        {"name": "new"},
    ]
    pod["status"]["containerStatuses"] = [
        {
            "name": "api",
            "containerID": f"cri-o://{now}",
            "state": {"running": {}},
            "lastState": ended,
            "restartCount": 3,
        },
        {"name": "late", "containerID": "", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        | {"lastState": {"terminated": {"containerID": f"cri-o://{waiting}"}}},
    ]
    pod["status"]["initContainerStatuses"] = [
        {"name": "wait", "state": {"terminated": {"containerID": f"cri-o://{init}", "exitCode": 0}}}
    ]
    pod["status"]["ephemeralContainerStatuses"] = [{"name": "debug", "containerID": f"cri-o://{debug}"}]
    found = load({"kind": "List", "items": [pod]}, tmp_path)
    names = {ident: (one.name, one.kind) for ident, (_, one) in found.containers.items()}
    assert names == {
        now: ("api", "container"),
        before: ("api", "container"),
        init: ("wait", "init"),
        debug: ("debug", "ephemeral"),
        waiting: ("late", "container"),
    }
    api = found.containers[before][1]
    assert (api.container_id, api.ids, api.restarts, api.runtime) == (now, (now, before), 3, "cri-o")
    late = found.containers[waiting][1]
    assert (late.container_id, late.state, late.reason) == (None, "waiting", "CrashLoopBackOff")
    assert found.containers[debug][1].privileged
    new = found.pods[API_POD].containers[2]
    assert (new.name, new.ids, new.state) == ("new", (), None)


def test_sidecars_roles_and_how_the_last_one_ended(tmp_path: Path) -> None:
    pod = one_pod()
    role = "arn:aws:iam::111122223333:role/orders"
    pod["spec"]["initContainers"] = [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}]
    pod["spec"]["containers"][0]["env"] = [{"name": "A", "valueFrom": {}}, {"name": "AWS_ROLE_ARN", "value": role}]
    end = {
        "containerID": f"containerd://{'b' * 64}",
        "exitCode": 137,
        "reason": "OOMKilled",
        "finishedAt": "2026-11-23T22:27:29Z",
    }
    pod["status"]["containerStatuses"][0]["lastState"] = {"terminated": end}
    account = {
        "kind": "ServiceAccount",
        "metadata": {"name": "api", "namespace": "shop", "annotations": {"eks.amazonaws.com/role-arn": "x"}},
    }
    found = load({"kind": "List", "items": [pod, account]}, tmp_path)
    read = found.pods[API_POD]
    assert {one.name: one.kind for one in read.containers} == {"api": "container", "proxy": "sidecar", "setup": "init"}
    assert (read.iam_role, found.role_of(read)) == (role, "x")
    last = read.containers[0].last
    assert last is not None
    assert (last.container_id, last.exit_code, last.reason) == ("b" * 64, 137, "OOMKilled")
    assert set(found.only({API_POD}).pods) == {API_POD}
    assert found.only(set()).containers == {}


def test_an_id_in_use_belongs_to_its_present_container(tmp_path: Path) -> None:
    first, second = one_pod(), one_pod()
    second["metadata"] |= {"uid": "other", "name": "other"}
    shared = {"terminated": {"containerID": f"containerd://{API}", "exitCode": 1}}
    second["status"]["containerStatuses"][0] |= {
        "containerID": f"containerd://{'f' * 64}",
        "lastState": shared,
    }
    for items in ([first, second], [second, first]):
        found = load({"kind": "PodList", "apiVersion": "v1", "items": items}, tmp_path)
        assert found.containers[API][0].uid == API_POD


def test_shapes_of_lists(tmp_path: Path) -> None:
    bare = one_pod()
    del bare["kind"]
    for value in ({"kind": "PodList", "items": [bare]}, [one_pod()], one_pod(), PODS):
        assert API_POD in load(value, tmp_path).pods


def test_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text(json.dumps(PODS), encoding="utf-8-sig")
    (tmp_path / "case.json").write_text('{"a": 1}')
    (tmp_path / "notes.txt").write_text("x")
    found = load_cluster(str(tmp_path))
    assert found.skipped == ((str(tmp_path / "case.json"), "no Kubernetes objects"),)
    assert len(found.pods) == 7


def test_owners_that_turn_in_a_circle(tmp_path: Path) -> None:
    def owned(kind: str, name: str, by: str) -> dict[str, Any]:
        owner = {"kind": by.partition("/")[0], "name": by.partition("/")[2], "controller": True}
        return {"kind": kind, "metadata": {"namespace": "shop", "name": name, "ownerReferences": [owner]}}

    pod = one_pod()
    items = [pod, owned("ReplicaSet", "api-8489696577", "X/x"), owned("X", "x", "ReplicaSet/api-8489696577")]
    assert load({"kind": "List", "items": items}, tmp_path).pods[API_POD].workload is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON at line 1 column 1"),
        ('{"kind": "List", "items": [', "not JSON at line 1"),
        ("[" * 100_000, "not JSON"),
        ("9" * 10_000, "not JSON"),
        ("null", "no pods in it"),
        ("{}", "no pods in it"),
        ("[]", "no pods in it"),
        ("[1, 2]", "no pods in it"),
        ('{"kind": "List", "items": []}', "no pods in it"),
        ('{"kind": "List", "items": {}}', "pods.json: items: an object, not a list"),
        ('{"kind": "List", "items": [1]}', "pods.json: items[0]: a number, not an object"),
        ('{"kind": "List", "items": [{}]}', "items[0].kind: missing"),
        ('{"kind": "Pod"}', "pods.json: metadata.namespace: missing"),
        ('{"kind": "Pod", "metadata": {"namespace": "a", "name": "b"}}', "metadata.uid: missing"),
        ('{"kind": "Node", "metadata": {}}', "metadata.name: missing"),
    ],
)
def test_malformed_files(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "pods.json"
    file.write_text(text)
    with pytest.raises(ClusterError) as caught:
        load_cluster(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "junk", "says"),
    [
        (["metadata", "uid"], 7, "metadata.uid: a number, not a string"),
        (["metadata", "labels"], [], "metadata.labels: a list, not an object"),
        (["metadata", "labels"], {"a": 1}, "metadata.labels.a: a number, not a string"),
        (["metadata", "ownerReferences"], {"a": 1}, "metadata.ownerReferences: an object, not a list"),
        (
            ["metadata", "creationTimestamp"],
            "yesterday",
            "metadata.creationTimestamp: 'yesterday' is not a time",
        ),
        (["spec"], "x", "spec: a string, not an object"),
        (["spec", "hostNetwork"], "true", "spec.hostNetwork: a string, not a boolean"),
        (["spec", "containers"], [{}], "spec.containers[0].name: missing"),
        (
            ["status", "containerStatuses", 0, "containerID"],
            "abc",
            "containerStatuses[0].containerID: 'abc' is not",
        ),
        (
            ["status", "containerStatuses", 0, "restartCount"],
            1.5,
            "restartCount: a number, not a whole number",
        ),
        (["status", "podIPs"], [None], "status.podIPs[0]: null, not an object"),
    ],
)
def test_malformed_pods_say_where(path: list[Any], junk: Any, says: str, tmp_path: Path) -> None:
    pod = one_pod()
    place: Any = pod
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    found = load({"kind": "List", "items": [PODS["items"][0], pod]}, tmp_path)
    ((place, why),) = found.skipped
    assert says in f"{place}: {why}"
    assert "pods.json: items[1]." in place
    assert PODS["items"][0]["metadata"]["uid"] in found.pods
    if path[-1] == "containerID":  # the pod is known all the same, its container by name alone
        assert [one.ids for one in found.pods[API_POD].containers] == [()]
    else:
        assert len(found.pods) == 1


def test_two_pods_with_one_uid(tmp_path: Path) -> None:
    other = one_pod()
    other["metadata"]["name"] = "other"
    found = load({"kind": "List", "items": [one_pod(), other]}, tmp_path)
    ((place, why),) = found.skipped
    assert place.endswith("items[1].metadata.uid")
    assert "is the uid of shop/api" in why
    assert found.pods[API_POD].name.startswith("api-")
    assert len(load({"kind": "List", "items": [one_pod(), one_pod()]}, tmp_path).pods) == 1


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="No such file"):
        load_cluster(tmp_path / "none")
    with pytest.raises(ClusterError, match="no pods in it"):
        load_cluster(tmp_path)
    (tmp_path / "pods.json").write_bytes(b'{"kind": "\xff"}')
    with pytest.raises(ClusterError, match="not UTF-8 at byte 10"):
        load_cluster(tmp_path)
    with pytest.raises(ClusterError, match="not UTF-8 at byte 10"):
        load_cluster(tmp_path / "pods.json")


def test_text_that_no_table_takes(tmp_path: Path) -> None:
    pod = one_pod()
    pod["metadata"]["labels"] = {"a": "\ud800"}
    assert load(pod, tmp_path).pods[API_POD].labels == {"a": "\ufffd"}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "pods.json"


@settings(max_examples=CASES, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 8))
def test_mutated_files_load_or_say_why(scratch: Path, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    data = bytearray(json.dumps({"kind": "List", "items": PODS["items"][:2]}).encode())
    for _ in range(changes):
        at = chance.randrange(len(data))
        if chance.randrange(2):
            data[at] = chance.randrange(256)
        else:
            put = chance.choice([b"", b"null", b"[]", b"{}", b'""', b"1", b"true", b",", b"}"])
            data[at : at + chance.randrange(20)] = put
    scratch.write_bytes(data)
    try:
        assert load_cluster(scratch).pods
    except ClusterError as error:
        assert str(scratch) in str(error)


def test_every_object_as_it_was() -> None:
    snapshot, objects = load_objects(DATA)
    assert snapshot == load_cluster(DATA)
    uids = {item["metadata"]["uid"] for item in objects if item["kind"] == "Pod"}
    assert uids == set(snapshot.pods)
    assert len(objects) == len(uids) + len(snapshot.objects)
