# SPDX-License-Identifier: Apache-2.0
"""Intruded nodes: processes that are somewhere else than they look, containers of no pod, hidden tasks.

What should come out is in the labels beside the image, written by hand before memir read it (tests/lab/pods.py), and in
the API server's pods.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.snapshot import load_cluster
from memir.symbols.locate import locate
from tests.images import case, intruded
from tests.rows import rows_of

NodeOf = Callable[[str], RamSource]
INTRUDED = intruded()
LABELLED = [name for name in INTRUDED if case(name).labels()["processes"]]
Rows = list[dict[str, Any]]


@functools.cache
def with_api(name: str) -> tuple[RamSource, dict[str, Rows]]:
    """A node together with what its API server said."""
    memory = case(name).open()
    node = RamSource(Kernel(memory, locate(memory)), load_cluster(pods_json(name)))
    return node, rows_of(node)


def pods_json(name: str) -> Path:
    return case(name).beside("pods.json")


def api_pods(name: str) -> list[Any]:
    found: list[Any] = json.loads(pods_json(name).read_text())["items"]
    return found


def processes(name: str, *, pod: str) -> Rows:
    return [row for row in with_api(name)[1]["processes"] if (row["pod_name"] or "").startswith(pod)]


@pytest.mark.parametrize("name", INTRUDED)
def test_process_that_stepped_onto_the_host(name: str) -> None:
    (escaped,) = [
        row
        for row in with_api(name)[1]["processes"]
        if "hostescape" in (row["args"] or []) and row["args"][0] != "nsenter"
    ]
    assert escaped["disagreements"] == ["mnt_ns=host", "net_ns=host", "ipc_ns=host", "uts_ns=host"]
    assert (escaped["pod_name"], escaped["namespace"], escaped["container_name"]) == ("toolbox", "shop", "toolbox")
    assert escaped["witnesses"][0] == f"cgroup=container:{escaped['container_id']}"
    doubtful = [row for row in with_api(name)[1]["processes"] if row["disagreements"] and row["ppid"] != escaped["pid"]]
    labelled = {one["pid"] for one in case(name).labels()["processes"] if one["disagreements"]}
    assert {row["pid"] for row in doubtful} == {escaped["pid"]} | labelled


@pytest.mark.parametrize("name", INTRUDED)
def test_container_without_a_pod(name: str) -> None:
    rows = [row for row in with_api(name)[1]["containers"] if row["pod_uid"] is None]
    assert [(row["container_name"], row["state"], row["seen_in"]) for row in rows] == [(None, "running", "ram")]
    assert rows[0]["cgroup_path"].endswith("helper.scope")  # a name that the cgroup's maker chose, and no spec tells
    assert rows[0]["args"] == ["/bin/sh", "-c", "while true; do sleep 1000; done"]
    inside = [row for row in with_api(name)[1]["processes"] if row["container_id"] == rows[0]["container_id"]]
    assert {row["pod_name"] for row in inside} == {None}
    assert all(row["in_container"] for row in inside)


@pytest.mark.parametrize("name", INTRUDED)
def test_job_that_has_ended(name: str) -> None:
    rows = [row for row in with_api(name)[1]["containers"] if (row["pod_name"] or "").startswith("migrate-")]
    assert [(row["kind"], row["container_name"], row["state"], row["init_pid"]) for row in rows] == [
        ("sandbox", None, "exited", None),
        ("container", "migrate", "exited", None),
    ]
    assert rows[1]["args"] == ["sh", "-c", "echo migrated"]


@pytest.mark.parametrize("name", INTRUDED)
def test_exec_session_and_intruders_in_the_api_pod(name: str) -> None:
    rows = processes(name, pod="api-")
    assert {row["namespace"] for row in rows} == {"shop"}
    by_program = {Path(row["exe"]).name: row for row in rows}
    labels = {one["label"]: one for one in case(name).labels()["processes"]}
    shell = ["sh", "-c", "export STAGE=2; cat >/dev/null"]
    session = [row for row in rows if row["args"] == labels.get("exec-session", {"args": shell})["args"]]
    assert len(session) == 1
    assert session[0]["container_name"] == "api"
    assert len(session[0]["pids"]) == 2
    miner = by_program["kworkerds"]
    assert (miner["exe"], miner["exe_deleted"], miner["container_name"]) == ("/tmp/.x/kworkerds", True, "api")
    memfd = by_program["memfd:kthreadd"]
    assert (memfd["exe"], memfd["exe_deleted"], memfd["kernel_thread"]) == ("/memfd:kthreadd", True, False)
    assert memfd["args"][0].startswith("[kworker/")


@pytest.mark.parametrize("name", INTRUDED)
def test_what_the_api_adds(name: str) -> None:
    node, tables = with_api(name)
    spoofed = {one["pod_uid"] for one in case(name).labels()["pods"]}
    pods = {row["pod_uid"]: row for row in tables["pods"] if row["pod_uid"] not in spoofed}
    api = {pod["metadata"]["uid"]: pod for pod in api_pods(name)}
    assert pods.keys() == api.keys()
    for uid, pod in api.items():
        row, meta, spec = pods[uid], pod["metadata"], pod["spec"]
        owner = next(
            (f"{one['kind']}/{one['name']}" for one in meta.get("ownerReferences", []) if one.get("controller")), None
        )
        assert (row["pod_name"], row["namespace"], row["node"]) == (meta["name"], meta["namespace"], spec["nodeName"])
        assert (row["service_account"], row["owner"], row["seen_in"]) == (spec["serviceAccountName"], owner, "both")
        assert row["labels"] == sorted(f"{key}={value}" for key, value in meta.get("labels", {}).items())
        assert (row["qos"], row["phase"]) == (pod["status"]["qosClass"], pod["status"]["phase"])
        assert row["host_network"] == spec.get("hostNetwork", False)
        assert row["containers"] == len(spec["containers"])
    assert node.name == api_pods(name)[0]["spec"]["nodeName"]


@pytest.mark.parametrize("name", INTRUDED)
def test_pods_of_other_nodes_and_of_ours_unseen(name: str, tmp_path: Path) -> None:
    """The API's pods of another node are left out; one of ours that memory does not hold is listed as the API's."""
    document = json.loads(pods_json(name).read_text())
    extra = []
    for uid, elsewhere in (
        ("11111111-0000-4000-8000-000000000001", "another-node"),
        ("22222222-0000-4000-8000-000000000002", None),
    ):
        pod = json.loads(json.dumps(document["items"][0]))
        pod["metadata"] |= {"uid": uid, "name": f"made-{uid[0]}"}
        pod["spec"]["nodeName"] = elsewhere or pod["spec"]["nodeName"]
        pod["status"]["containerStatuses"] = []
        extra.append(pod)
    file = tmp_path / "pods.json"
    file.write_text(json.dumps(document | {"items": document["items"] + extra}))
    node, tables = with_api(name)
    rows = rows_of(RamSource(node.kernel, load_cluster(file)), "pods")["pods"]
    new = [
        (row["pod_name"], row["seen_in"], row["processes"])
        for row in rows
        if (row["pod_name"] or "").startswith("made-")
    ]
    assert new == [("made-2", "api", 0)]
    assert len(rows) == len(tables["pods"]) + 1


@pytest.mark.parametrize("name", LABELLED)
def test_processes_that_are_elsewhere(name: str, node_of: NodeOf) -> None:
    """From RAM alone: whose each is, and every witness that speaks against it."""
    rows = {row["pid"]: row for row in rows_of(node_of(name), "processes")["processes"]}
    labels = case(name).labels()["processes"]
    assert len(labels) >= 18
    for label in labels:
        row = rows[label["pid"]]
        assert row["args"] == label["args"], label["label"]
        assert (row["pod_name"], row["container_name"]) == (label["pod_name"], label["container_name"]), label["label"]
        against = label["disagreements"]
        if any(":" in text for text in against):  # in another pod's cgroup: every namespace speaks against it
            assert set(against) <= set(row["disagreements"]), label["label"]
        else:
            assert row["disagreements"] == against, label["label"]


@pytest.mark.parametrize("name", LABELLED)
def test_hidden_tasks(name: str, node_of: NodeOf) -> None:
    """Taken from some lists of the kernel or from all: the others, and at last the slab, still know them."""
    rows = {row["pid"]: row for row in rows_of(node_of(name), "processes")["processes"]}
    hidden = {one["pid"]: one for one in case(name).labels()["processes"] if one["hidden_from"]}
    assert {tuple(one["hidden_from"]) for one in hidden.values()} >= {("tasks",), ("pids",), ("tasks", "pids")}
    for pid, label in hidden.items():
        assert set(label["hidden_from"]).isdisjoint(rows[pid]["seen_by"]), label["label"]
        assert "slab" in rows[pid]["seen_by"]
    # and nobody else is said to be hidden
    quiet = {pid for pid, row in rows.items() if not {"tasks", "pids"} <= set(row["seen_by"])}
    assert quiet == hidden.keys()


@pytest.mark.parametrize("name", LABELLED)
def test_labelled_containers(name: str) -> None:
    rows = {row["container_id"]: row for row in with_api(name)[1]["containers"]}
    for label in case(name).labels()["containers"]:
        row = rows[label["container_id"]]
        assert (row["args"], row["state"], row["seen_in"]) == (label["args"], label["state"], label["seen_in"])


def test_there_is_an_intruded_sample() -> None:
    assert LABELLED
