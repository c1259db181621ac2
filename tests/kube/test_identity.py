"""Who belongs where: on nodes with an intruder, on processes made to contradict themselves, and on hidden ones."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from memir.kernel.cgroup import Hierarchies
from memir.kernel.engine import Kernel
from memir.kube.claims import Claim, of_process
from memir.kube.identity import Identity, identify, memberships, place
from memir.kube.processes import Process
from memir.kube.ram import RamSource
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import load_cluster
from memir.symbols.locate import locate
from tests.images import case, cases, small_records
from tests.rows import rows_of

INTRUDED = [name for name in ("node-6.1", "node-6.1-1024") if name in cases()]
HIDING = [name for name in ("s-6.12-hide", "arm64-6.12-userns-hide") if name in cases()]
DKOM = [name for name in ("s-6.1-dkom",) if name in cases()]
Rows = list[dict[str, Any]]


@functools.lru_cache(maxsize=1)
def with_api(name: str) -> tuple[RamSource, dict[str, Rows]]:
    """A node together with what its API server said."""
    memory = case(name).open()
    node = RamSource(Kernel(memory, locate(memory)), load_cluster(pods_json(name)))
    return node, rows_of(node)


def pods_json(name: str) -> Path:
    return case(name).truth.with_name(f"{name}.pods.json")


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
    others = [row for row in with_api(name)[1]["processes"] if row["disagreements"] and row["ppid"] != escaped["pid"]]
    assert [row["pid"] for row in others] == [escaped["pid"]]


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
    session = [row for row in rows if (row["args"] or []) == ["sh", "-c", "export STAGE=2; cat >/dev/null"]]
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
    pods = {row["pod_uid"]: row for row in tables["pods"]}
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
    rows = rows_of(RamSource(node.kernel, load_cluster(file)))["pods"]
    new = [(row["pod_name"], row["seen_in"], row["processes"]) for row in rows if row["pod_name"].startswith("made-")]
    assert new == [("made-2", "api", 0)]
    assert len(rows) == len(tables["pods"]) + 1


ODD = {
    "pod-namespaces-in-root-cgroup": ("pod", ["cgroup=host", "cgroup_ns=host"]),
    "host-namespaces-in-pod-cgroup": (
        "pod",
        ["mnt_ns=host", "pid_ns=host", "net_ns=host", "ipc_ns=host", "uts_ns=host", "cgroup_ns=host"],
    ),
    "pod-namespaces-in-containerd-cgroup": ("pod", ["cgroup=host", "cgroup_ns=host"]),
    "pod-namespaces-in-made-up-service": ("pod", ["cgroup=host", "cgroup_ns=host"]),
    "only-net-namespace-of-pod": (
        "pod",
        ["cgroup=host", "mnt_ns=host", "pid_ns=host", "ipc_ns=host", "uts_ns=host", "cgroup_ns=host"],
    ),
    "only-mount-namespace-of-pod": (
        "pod",
        ["cgroup=host", "pid_ns=host", "net_ns=host", "ipc_ns=host", "uts_ns=host", "cgroup_ns=host"],
    ),
    "spoofed-kubepods-path-under-user-slice": (None, ["mnt_ns=host"]),
    "host-namespaces-kubelet-look-alike": (None, []),
    "host-pid-namespace-child-of-pod": ("pod", ["pid_ns=host", "cgroup_ns=host"]),
}


@pytest.mark.parametrize("name", HIDING)
def test_processes_that_contradict_themselves(name: str, node_of: Any) -> None:
    rows = rows_of(node_of(name))["processes"]
    seen = set()
    for line in case(name).truth.read_text(errors="replace").splitlines():
        if not line.startswith("@ODD "):
            continue
        odd = json.loads(line[5:])
        if odd["what"] not in ODD:
            continue
        (row,) = [one for one in rows if " ".join(one["args"] or []) == odd["match"]]
        pod, disagreements = ODD[odd["what"]]
        assert row["disagreements"] == disagreements, odd["what"]
        assert row["pod_name"] == ("miner-0" if pod else None), odd["what"]
        seen.add(odd["what"])
    assert seen == ODD.keys()


@pytest.mark.parametrize("name", HIDING)
def test_pod_in_another_pods_cgroup(name: str, node_of: Any) -> None:
    """The cgroup has the first word, the namespaces say whose it really is."""
    (row,) = [one for one in rows_of(node_of(name))["processes"] if (one["args"] or []) == ["/bin/sleep", "777003"]]
    assert (row["pod_name"], row["container_name"]) == ("web-7d4b9c6f5-abcde", "web")
    miner = next(
        one for one in small_records(case(name).truth)["pod"] if one["pod"] == "miner-0" and not one["sandbox"]
    )
    assert f"mnt_ns=container:{miner['id']}" in row["disagreements"]
    assert f"net_ns=pod:{miner['uid']}" in row["disagreements"]


@pytest.mark.parametrize("name", DKOM)
def test_tasks_that_a_rootkit_hid(name: str, node_of: Any) -> None:
    lines = case(name).truth.read_text(errors="replace").splitlines()
    hidden = json.loads(next(line for line in lines if line.startswith("@DKOM "))[6:])
    rows = {row["pid"]: row for row in rows_of(node_of(name))["processes"]}
    without = {
        "tasks": {"tasks"},
        "idr": {"pids"},
        "both": {"tasks", "pids"},
        "all": {"tasks", "pids", "children", "cgroups"},
    }
    for how, missing in without.items():
        for pid in hidden[how]:
            assert not missing & set(rows[pid]["seen_by"]), f"pid {pid} {how}"
            assert "slab" in rows[pid]["seen_by"]
    assert {rows[pid]["pod_name"] for pid in hidden["in_pod_miner_0"]} == {"miner-0"}


HOST = {"mnt": 1, "pid": 2, "net": 3, "ipc": 4, "uts": 5, "user": 6, "cgroup": 7, "time": 8}
POD = "aaaaaaaa-1111-4111-8111-0123456789ab"
ID = "a" * 64
CGROUP = f"/kubepods/besteffort/pod{POD}/{ID}"


def process(pid: int, ppid: int, cgroup: str | None, namespaces: dict[str, int], **more: Any) -> Process:
    columns: dict[str, Any] = {
        "task": pid << 12, "pid": pid, "ppid": ppid, "tgid": pid, "comm": "x", "args": ["x"], "environ": [],
        "exe": "/x", "exe_deleted": False, "start": pid, "uid": 0, "cap_effective": 0, "seccomp": 0, "pids": [pid],
        "threads": 1, "kernel_thread": False, "state": "S",
        "cgroups": Hierarchies(((0, "", cgroup),)) if cgroup else None,
        "namespaces": HOST | namespaces, "hostname": "node", "seen_by": [],
    }  # fmt: skip
    return Process(**columns | more)


def placed(*rows: Process) -> list[Identity]:
    every = [process(1, 0, "/init.scope", {}), *rows]
    return identify(every, memberships(every, RuntimeFiles(), None))[1:]


INIT = process(10, 1, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[10, 1])


def test_own_namespaces_are_no_disagreement() -> None:
    init, child = placed(INIT, process(11, 10, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[11, 2]))
    for found in (init, child):
        assert (found.container_id, found.pod_uid, found.in_container) == (ID, POD, True)
        assert found.witnesses == [f"cgroup=container:{ID}", f"mnt_ns=container:{ID}", f"net_ns=pod:{POD}"]
        assert found.disagreements == []


def test_host_network_of_a_container_is_no_disagreement() -> None:
    init = process(10, 1, CGROUP, {"mnt": 11, "pid": 12}, pids=[10, 1])
    assert [one.disagreements for one in placed(init)] == [[]]


def test_cgroup_unknown() -> None:
    """A torn cgroup: the namespaces still place the process; without them nothing is claimed, for or against."""
    by_mounts, nothing, host = placed(
        INIT,
        process(20, 1, None, {"mnt": 11, "pid": 12, "net": 13}),
        process(21, 1, None, dict.fromkeys(HOST, 0)),
        process(22, 1, "/system.slice/x.service", {}),
    )[1:]
    assert (by_mounts.container_id, by_mounts.pod_uid, by_mounts.in_container) == (ID, POD, True)
    assert (nothing.in_container, nothing.witnesses, nothing.disagreements) == (None, [], [])
    assert (host.in_container, host.witnesses, host.disagreements) == (False, [], [])


def test_init_is_gone() -> None:
    """Of a container whose first process is not there only the node's mounts speak against a process."""
    late = process(30, 1, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[30, 7])
    every = [process(1, 0, "/init.scope", {}), late]
    known = memberships(every, RuntimeFiles(), None)
    assert known.init[ID] is late
    assert known.stand_in == {ID}
    bare = process(31, 1, CGROUP, {})
    assert placed(bare)[0].disagreements == ["mnt_ns=host"]


def test_host_namespaces_where_process_1_is_torn() -> None:
    torn = process(1, 0, "/init.scope", {"net": 0, "mnt": 0, "pid": 0})
    threads = [process(2 + at, 0, "/", {"pid": 0}, kernel_thread=True) for at in range(3)]
    threads[0].namespaces["mnt"] = 99
    known = memberships([torn, *threads], RuntimeFiles(), None)
    assert known.host == HOST | {"pid": 0xEFFFFFFC}


def test_environment_alone_places_nobody() -> None:
    """Whoever wants to writes an environment; beside a cgroup of the node's it is a contradiction, no proof."""
    files = RuntimeFiles()
    known = memberships([process(1, 0, "/init.scope", {}), INIT], files, None)
    known.pod_by_name["web-0"] = POD
    environ = ["HOSTNAME=web-0", "KUBERNETES_SERVICE_HOST=10.96.0.1"]
    liar, torn = identify(
        [
            process(40, 1, "/system.slice/x.service", {}, environ=environ),
            process(41, 1, None, dict.fromkeys(HOST, 0), environ=environ),
        ],
        known,
    )
    assert (liar.in_container, liar.pod_uid, liar.disagreements) == (False, None, [f"env=pod:{POD}"])
    assert (torn.in_container, torn.pod_uid, torn.witnesses) == (None, None, [f"env=pod:{POD}"])
    assert torn.disagreements == []


def test_claims_are_data() -> None:
    """What the texts of the columns say is there as claims: subject, field, value, witness."""
    every = [process(1, 0, "/init.scope", {}), INIT, process(11, 10, CGROUP, {"mnt": 11, "pid": 12})]
    known = memberships(every, RuntimeFiles(), None)
    stepped = identify(every, known)[2]
    assert [place(claim) for claim in stepped.contradicting] == ["host"]
    assert stepped.contradicting == [Claim(of_process(11), "in_container", False, "net_ns")]
    assert Claim(of_process(11), "container_id", ID, "cgroup") in stepped.confirming
    assert {*stepped.confirming, *stepped.contradicting} <= set(known.claims)
    assert known.claims.resolve(of_process(11), "pod_uid").witness == "container"
