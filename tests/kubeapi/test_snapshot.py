# SPDX-License-Identifier: Apache-2.0
"""The API snapshot, from a loopback server that replays what a real API server (1.34) said."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memir.errors import AccessError, ConnectError, UsageError
from memir.kube.snapshot import load_cluster
from memir.kubeapi.client import Api, KubeOptions, make_api
from memir.kubeapi.snapshot import (
    LAST_APPLIED,
    PODS,
    Notes,
    Resource,
    ask_server,
    ask_user,
    cleaned,
    now,
    snapshot,
    write_items,
    write_list,
)
from tests.acquire.rigs.kube import KubeServer

DATA = Path(__file__).parent / "data"


def recorded(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))["items"]
    return items


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "Opaque",
    "metadata": {
        "name": "db",
        "namespace": "shop",
        "uid": "1",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"password":"aHVudGVyMg=="}}',
            "team": "shop",
        },
        "managedFields": [{"manager": "kubectl"}],
    },
    "data": {"password": "aHVudGVyMg=="},
}


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


def notes(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "snapshot.json").read_text())
    return found


def test_everything_is_there_as_it_was(options: KubeOptions, tmp_path: Path) -> None:
    paths = snapshot(tmp_path / "out", options)
    assert [path.name for path in paths] == ["pods.json", "cluster.json", "snapshot.json"]
    pods = json.loads(paths[0].read_text())["items"]
    assert [pod["metadata"]["uid"] for pod in pods] == [pod["metadata"]["uid"] for pod in recorded("pods")]
    assert [pod["spec"] for pod in pods] == [pod["spec"] for pod in recorded("pods")]
    assert [pod["status"] for pod in pods] == [pod["status"] for pod in recorded("pods")]
    others = json.loads(paths[1].read_text())["items"]
    expected = Counter((one["apiVersion"], one["kind"]) for one in recorded("cluster"))
    assert Counter((one["apiVersion"], one["kind"]) for one in others) == expected + Counter([("v1", "Secret")])
    said = notes(tmp_path / "out")
    assert said["unread"] == []
    assert said["version"] == "v1.34.1"
    assert said["user"] == "responder"
    assert (said["counts"]["pods"], said["counts"]["clusterroles"], said["counts"]["events"]) == (7, 68, 60)
    assert said["counts"]["networkpolicies"] == 0
    assert said["finished"] >= said["taken"]


def test_the_analysis_reads_it(options: KubeOptions, tmp_path: Path) -> None:
    snapshot(tmp_path / "out", options)
    loaded = load_cluster(tmp_path / "out")
    assert set(loaded.pods) == {pod["metadata"]["uid"] for pod in recorded("pods")}
    assert len(loaded.nodes) == 1


def test_secrets_have_no_values(options: KubeOptions, tmp_path: Path) -> None:
    snapshot(tmp_path / "out", options)
    text = (tmp_path / "out" / "cluster.json").read_text()
    assert "aHVudGVyMg" not in text
    (secret,) = [one for one in json.loads(text)["items"] if one["kind"] == "Secret"]
    assert secret == {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop", "uid": "1", "annotations": {"team": "shop"}},
    }  # fmt: skip


def test_what_is_denied_is_said(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.deny = {"list secrets", "list clusterroles"}
    snapshot(tmp_path / "out", options)
    said = notes(tmp_path / "out")
    assert [(one["resource"], one["denied"]) for one in said["unread"]] == [
        ("secrets", True),
        ("clusterroles", True),
    ]
    assert 'User "responder" cannot list resource "secrets"' in said["unread"][0]["why"]
    assert "secrets" not in said["counts"]
    assert said["counts"]["clusterrolebindings"] == 49


def test_pods_denied_is_said_and_the_rest_is_kept(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.deny = {"list pods"}
    snapshot(tmp_path / "out", options)
    assert [one["resource"] for one in notes(tmp_path / "out")["unread"]] == ["pods"]
    assert json.loads((tmp_path / "out" / "pods.json").read_text())["items"] == []


def test_everything_denied_is_an_error(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.deny = {f"list {path.rpartition('/')[2]}" for path in server.objects}
    server.deny |= {"list networkpolicies", "list statefulsets", "list cronjobs"}
    server.deny |= {"list horizontalpodautoscalers", "list poddisruptionbudgets", "list nodeclaims"}
    with pytest.raises(AccessError, match="nothing could be read: 403"):
        snapshot(tmp_path / "out", options)


def test_a_missing_api_group_has_no_objects(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.absent = {"networkpolicies"}
    snapshot(tmp_path / "out", options)
    assert notes(tmp_path / "out")["unread"] == []


def test_pages_and_an_expired_list(
    server: KubeServer, options: KubeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memir.kubeapi import client as kubeapi
    from memir.kubeapi import snapshot as cluster

    monkeypatch.setattr(cluster, "pages", lambda api, path, accept: kubeapi.pages(api, path, accept, limit=9))
    server.expire_after_pages = 4
    snapshot(tmp_path / "out", options)
    said = notes(tmp_path / "out")
    assert said["unread"] == []
    assert said["counts"]["clusterroles"] == 68
    assert server.expire_after_pages == 0


def test_an_answer_that_is_cut_is_no_empty_list(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.cut_list = "events"
    snapshot(tmp_path / "out", options)
    said = notes(tmp_path / "out")
    (unread,) = said["unread"]
    assert unread["resource"] == "events"
    assert unread["why"].startswith("not received whole:")
    assert "events" not in said["counts"]


def test_token_that_expires_midway(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.revoke_after = 6
    with pytest.raises(AccessError, match=r"no longer accepts the credentials \(Unauthorized\): sign in again"):
        snapshot(tmp_path / "out", options)
    assert not (tmp_path / "out" / "cluster.json").exists()
    assert not (tmp_path / "out" / "snapshot.json").exists()


def test_no_server(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    server.stop()
    with pytest.raises(ConnectError, match="did not get through"):
        snapshot(tmp_path / "out", options)


def test_wrong_context(server: KubeServer, tmp_path: Path) -> None:
    wrong = KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig")), context="other")
    with pytest.raises(UsageError, match="kubeconfig cannot be used"):
        snapshot(tmp_path / "out", wrong)


def listed(api: Api, resource: Resource, notes: Notes, *, first: bool = True) -> tuple[int, str]:
    out = io.StringIO()
    return write_items(out, api, resource, notes, first=first), out.getvalue()


def test_the_functions_that_make_it(server: KubeServer, options: KubeOptions, tmp_path: Path) -> None:
    api = make_api(options)
    assert (ask_server(api, server.endpoint), ask_user(api)) == ("v1.34.1", "responder")
    assert datetime.fromisoformat(now()).tzinfo == UTC
    assert len(now()) == len("2026-01-02T03:04:05+00:00")
    notes = Notes(server.endpoint, now())
    count, text = listed(api, Resource("/api/v1/namespaces", "Namespace"), notes, first=False)
    assert text.startswith(",\n{")
    names = [item["metadata"]["name"] for item in json.loads(f"[{text[1:]}]")]
    wanted = [item["metadata"]["name"] for item in recorded("cluster") if item["kind"] == "Namespace"]
    assert (names, count, notes.counts) == (wanted, len(wanted), {"namespaces": len(wanted)})
    write_list(tmp_path / "list.json", api, (Resource("/api/v1/nodes", "Node"), PODS), notes)
    kinds = [item["kind"] for item in json.loads((tmp_path / "list.json").read_text())["items"]]
    assert kinds == ["Node"] + ["Pod"] * 7
    assert [path.name for path in tmp_path.glob("list*")] == ["list.json"]


def test_who_is_asked_about(server: KubeServer, options: KubeOptions) -> None:
    """Who may not ask for itself has no name; a server that no longer takes the credentials ends it."""
    api = make_api(options)
    server.deny = {"create selfsubjectreviews"}
    assert ask_user(api) == ""
    server.tokens = set()
    with pytest.raises(AccessError, match="no longer accepts the credentials"):
        ask_server(api, server.endpoint)


def test_cleaned() -> None:
    pod = {"metadata": {"name": "a", "managedFields": [{}], "annotations": {LAST_APPLIED: "x"}}, "spec": {"x": 1}}
    assert cleaned(pod, PODS) == {
        "apiVersion": "v1", "kind": "Pod", "spec": {"x": 1},
        "metadata": {"name": "a", "annotations": {LAST_APPLIED: "x"}},
    }  # fmt: skip
    secret = Resource("/api/v1/secrets", "Secret", metadata=True)
    assert cleaned(SECRET, secret)["metadata"]["annotations"] == {"team": "shop"}
    assert set(cleaned(SECRET, secret)) == {"apiVersion", "kind", "metadata"}
    role = Resource("/apis/rbac.authorization.k8s.io/v1/roles", "Role")
    assert cleaned({"metadata": "hostile"}, role) == {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {},
    }  # fmt: skip
