# SPDX-License-Identifier: Apache-2.0
"""A folder of one file a kind: from a server that replays a real one, and from a real kube-apiserver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from memir.errors import AccessError, StorageError, UsageError
from memir.kube.opens import Access
from memir.kube.snapshot import load_cluster
from memir.kubeapi.client import KubeOptions, make_api
from memir.kubeapi.kinds import AWS_AUTH, least_role, resources, snapshot_kinds
from memir.kubeapi.snapshot import Notes, write_list
from tests.acquire.rigs.kube import KubeServer
from tests.aws.eks import CLUSTER, OPS, ROLE, eks, lead
from tests.kubeapi.test_snapshot import SECRET, recorded
from tests.respond.kube_rig import KubeRig, running

VALUE = "aHVudGVyMg"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
def server() -> Iterator[KubeServer]:
    made = KubeServer()
    made.load([*recorded("cluster"), *recorded("pods"), SECRET])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def options(server: KubeServer, tmp_path: Path) -> KubeOptions:
    return KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig")))


def test_snapshot_kinds(options: KubeOptions, tmp_path: Path) -> None:
    notes = snapshot_kinds(tmp_path / "out", options)
    folder = tmp_path / "out"
    assert notes.unread == [] and notes.counts["clusterroles"] == 68 and "secrets" not in notes.counts
    roles = json.loads((folder / "clusterroles.json").read_text())["items"]
    assert [role["metadata"]["name"] for role in roles] == [
        item["metadata"]["name"] for item in recorded("cluster") if item["kind"] == "ClusterRole"
    ]
    others = json.loads((folder / "cluster.json").read_text())["items"]
    assert len(others) == sum(notes.counts.values()) - notes.counts["pods"]
    loaded = load_cluster(folder)
    assert set(loaded.pods) == {pod["metadata"]["uid"] for pod in recorded("pods")}
    assert (
        Access(loaded).token({"sub": "system:serviceaccount:kube-system:generic-garbage-collector"}).gain == "cluster"
    )
    assert not (folder / "secrets.json").exists()
    with pytest.raises(StorageError, match="is not empty"):
        snapshot_kinds(folder, options)


def test_names_of_secrets_only_where_asked(options: KubeOptions, tmp_path: Path) -> None:
    notes = snapshot_kinds(tmp_path / "out", options, secret_names=True)
    assert notes.counts["secrets"] == 1
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert '"name":"db"' in text and VALUE not in text


def test_what_is_denied_is_noted_and_counted(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.deny = {"list clusterroles", "list events"}
    notes = snapshot_kinds(tmp_path / "out", options)
    assert {unread.resource for unread in notes.unread} == {"clusterroles", "events"}
    assert all(unread.denied for unread in notes.unread)
    assert not (tmp_path / "out" / "events.json").exists()
    skipped = [why for _, why in load_cluster(tmp_path / "out").skipped]
    assert sum("was not read from the API: 403" in why for why in skipped) == 2
    server.deny = {f"list {resource.plural}" for resource in resources()}
    with pytest.raises(AccessError, match="nothing could be read"):
        snapshot_kinds(tmp_path / "none", options)


def test_least_role() -> None:
    role = yaml.safe_load(least_role(resources()))
    assert (role["kind"], role["metadata"]["name"]) == ("ClusterRole", "memir-snapshot")
    (named,) = [rule for rule in role["rules"] if "resourceNames" in rule]
    assert named == {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["aws-auth"], "verbs": ["get"]}
    role["rules"].remove(named)
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}
    listed = {(group, name) for rule in role["rules"] for group in rule["apiGroups"] for name in rule["resources"]}
    assert {("", "pods"), ("apps", "deployments"), ("rbac.authorization.k8s.io", "clusterroles")} <= listed
    assert ("", "secrets") not in listed and ("", "configmaps") not in listed
    assert "secrets" in least_role(resources(secret_names=True))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeRig]:
    """A real API server."""
    with running(tmp_path_factory.mktemp("kube")) as made:
        yield made


def test_a_real_api_server_with_the_least_role(rig: KubeRig, tmp_path: Path) -> None:
    """The role that is printed is enough, by a service account's token; one rule less is a denial that is noted."""
    core = "/api/v1/namespaces/default"
    rig.call("POST", f"{core}/serviceaccounts", {"metadata": {"name": "responder"}})
    rig.call("POST", f"{core}/secrets", SECRET | {"metadata": {"name": "db"}})
    meta = {"name": "x", "image": "registry.example/x:1", "ports": [{"containerPort": 80}]}
    rig.call("POST", f"{core}/pods", {"metadata": {"name": "p"}, "spec": {"nodeName": "node-1", "containers": [meta]}})
    role = yaml.safe_load(least_role(resources()))
    rig.call("POST", f"{RBAC}/clusterroles", role)
    account = {"kind": "ServiceAccount", "namespace": "default", "name": "responder"}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "memir-snapshot"}
    rig.call("POST", f"{RBAC}/clusterrolebindings", {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [account]})
    token = rig.call("POST", f"{core}/serviceaccounts/responder/token", {"spec": {}})["status"]["token"]
    api = make_api(KubeOptions(str(rig.kubeconfig)))
    api.configuration.cert_file = api.configuration.key_file = None
    api.configuration.api_key = {"authorization": f"Bearer {token}"}
    from kubernetes import client

    api = client.ApiClient(api.configuration)
    notes = snapshot_kinds(tmp_path / "out", api=api)
    assert notes.unread == [] and notes.user == "system:serviceaccount:default:responder"
    loaded = load_cluster(tmp_path / "out")
    (pod,) = loaded.pods.values()
    assert (pod.name, pod.node, pod.containers[0].ports) == ("p", "node-1", ("80/TCP",))
    opened = Access(loaded).token({"sub": notes.user})
    assert opened.gain == "read" and any(words.startswith("list ") and " pods" in words for words in opened.opens)
    everything = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert VALUE not in everything and json.loads((tmp_path / "out" / "snapshot.json").read_text())["unread"] == []
    # a cluster that is not EKS's is not asked for aws-auth; that the role is enough for it, and for no other ConfigMap
    assert "configmaps" not in notes.counts
    for name in ("aws-auth", "other"):
        made = {"metadata": {"name": name}, "data": {"mapRoles": ADMINS}}
        rig.call("POST", "/api/v1/namespaces/kube-system/configmaps", made)
    told = Notes("server", "now")
    write_list(tmp_path / "auth.json", api, (AWS_AUTH,), told)
    (auth,) = json.loads((tmp_path / "auth.json").read_text())["items"]
    assert (auth["apiVersion"], auth["kind"], auth["data"]) == ("v1", "ConfigMap", {"mapRoles": ADMINS})
    write_list(tmp_path / "other.json", api, (replace(AWS_AUTH, named="other"),), told)
    assert (told.counts, [unread.denied for unread in told.unread]) == ({"configmaps": 1}, [True])
    rules = [rule for rule in role["rules"] if rule["apiGroups"] != ["rbac.authorization.k8s.io"]]
    rig.merge(f"{RBAC}/clusterroles/memir-snapshot", {"rules": rules})
    denied = snapshot_kinds(tmp_path / "less", api=api)
    assert {unread.resource for unread in denied.unread if unread.denied} == {
        "roles", "rolebindings", "clusterroles", "clusterrolebindings",
    }  # fmt: skip


ADMINS = f"- rolearn: {ROLE.replace('/api', '/shop-api')}\n  groups: [system:masters]\n"
AUTH = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "kube-system", "name": "aws-auth"},
        "data": {"mapRoles": ADMINS}}  # fmt: skip
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "kube-system", "name": "other"},
         "data": {"password": VALUE}}  # fmt: skip


def test_lists_of_aws(
    server: KubeServer, options: KubeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the API's view, and read by --cluster: a pod's role by its pod identity association; aws-auth alone of
    all ConfigMaps."""
    server.load([AUTH, OTHER])
    strict = eks()
    lead(monkeypatch, strict)
    try:
        notes = snapshot_kinds(tmp_path / "out", options, cluster_name=CLUSTER)
        assert (notes.counts["accessentries"], notes.counts["podidentityassociations"], notes.unread) == (2, 2, [])
        (entry, _) = json.loads((tmp_path / "out/accessentries.json").read_text())["items"]
        assert (entry["kind"], entry["metadata"]["name"], entry["spec"]["type"]) == ("AccessEntry", OPS, "STANDARD")
        loaded = load_cluster(tmp_path / "out")
        roles = {pod.name.partition("-")[0]: loaded.role_of(pod) for pod in loaded.pods.values()}
        # the account of api has IRSA's annotation, which SDKs heed first
        assert (roles["ledger"], roles["toolbox"]) == (ROLE.replace("/api", "/default"), None)
        assert roles["api"] == ROLE.replace("/api", "/shop-api")
        assert notes.counts["configmaps"] == 1 and VALUE not in (tmp_path / "out/cluster.json").read_text()
        irsa = {"sub": "system:serviceaccount:shop:api", "aud": "sts.amazonaws.com"}
        # the stand-in's cluster heeds access entries alone
        assert Access(loaded).token(irsa).opens[1].startswith("nothing of the Kubernetes API")
        described = loaded.objects[("EksCluster", "", CLUSTER)]["spec"]
        described["accessConfig"]["authenticationMode"] = "API_AND_CONFIG_MAP"
        by_map = Access(loaded).token(irsa)
        assert by_map.gain == "cluster" and "ConfigMap kube-system/aws-auth" in by_map.opens[1]
        assert loaded.skipped == () or all("no Kubernetes objects" in why for _, why in loaded.skipped)
        strict.denied = {"eks:ListAccessEntries"}
        denied = snapshot_kinds(tmp_path / "denied", options, cluster_name=CLUSTER)
        assert [(unread.resource, unread.denied) for unread in denied.unread] == [("accessentries", True)]
        assert not (tmp_path / "denied/accessentries.json").exists()
        with pytest.raises(UsageError, match="there is no cluster"):
            snapshot_kinds(tmp_path / "wrong", options, cluster_name="other")
        assert not (tmp_path / "wrong").exists()
    finally:
        strict.stop()
