# SPDX-License-Identifier: Apache-2.0
"""The table guardduty_claims: each claim seen, contradicted, or not resident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.logs.guardduty_claims import read
from memir.logs.source import LogSource
from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.logs.made import audit, finding, written


def _verdicts(folder: Path, **more: Any) -> dict[str, tuple[str, str | None]]:
    """(verdict, key of the row that says so) by claim, of one finding."""
    path = written(folder, "a", finding(**more), audit("get", "/api/v1/secrets"))
    return {
        row["claim"]: (row["verdict"], row["row_key"]) for row in read(LogSource([path], node(INTRUDED)[0].get)).rows()
    }


def _runtime(**details: Any) -> dict[str, Any]:
    return {"service": {"runtimeDetails": details}}


def test_a_process_that_is_there(tmp_path: Path) -> None:
    verdicts = _verdicts(tmp_path)
    for name in ("name", "executablePath", "pid", "namespacePid", "startTime"):
        assert verdicts[f"process.{name}"] == ("seen", "pid = 221"), name
    assert verdicts["instance.id"] == ("not resident", None)
    assert verdicts["workload.namespace"][0] == "seen"


def test_a_process_that_is_another(tmp_path: Path) -> None:
    """The same process with another program contradicts; the same number, started at another time, is another one."""
    same = {"pid": 221, "startTime": 1795168898857, "executablePath": "/usr/bin/curl"}
    assert _verdicts(tmp_path, **_runtime(process=same))["process.executablePath"] == ("contradicted", "pid = 221")
    later = same | {"startTime": "2026-11-20T10:03:00Z"}
    verdicts = _verdicts(tmp_path, **_runtime(process=later))
    assert {verdicts[f"process.{name}"][0] for name in ("pid", "startTime", "executablePath")} == {"not resident"}
    gone = {"pid": 99999, "name": "kworkerds"}
    assert set(_verdicts(tmp_path, **_runtime(process=gone))["process.name"]) == {"not resident", None}


def test_context(tmp_path: Path) -> None:
    tables = node(INTRUDED)[0]
    module = tables["modules"]["name"][0].as_py()
    context = {"moduleName": module, "toolName": "xmrig", "commandLineExample": "/bin/sleep 888011",
               "libraryPath": "/nowhere.so", "targetProcess": {"pid": 222, "name": "x"}}  # fmt: skip
    verdicts = _verdicts(tmp_path, **_runtime(context=context))
    assert {claim: verdict for claim, (verdict, _) in verdicts.items() if claim.startswith(("context", "target"))} == {
        "context.moduleName": "seen", "context.toolName": "not resident", "context.commandLineExample": "seen",
        "context.libraryPath": "not resident", "targetProcess.pid": "seen", "targetProcess.name": "not resident",
    }  # fmt: skip
    assert verdicts["context.commandLineExample"][1] == "pid = 317"


def test_containers_and_requests(tmp_path: Path) -> None:
    box = next(row for row in node(INTRUDED)[0]["containers"].to_pylist() if row["container_name"] == "toolbox")
    resource = {
        "containerDetails": {"id": box["container_id"], "image": "evil", "securityContext": {"privileged": True}}
    }
    action = {"action": {"kubernetesApiCallAction": {"requestUri": "/api/v1/secrets", "verb": "get"}}}
    verdicts = _verdicts(tmp_path, resource=resource, service=action)
    key = f"container_id = '{box['container_id']}'"
    assert verdicts["container.id"] == verdicts["container.privileged"] == ("seen", key)
    assert verdicts["container.image"] == ("contradicted", key)
    assert verdicts["api.requestUri"] == ("seen", f"log = '{tmp_path / 'a'}' and line = 2")


def test_connections(tmp_path: Path) -> None:
    socket = next(row for row in node(INTRUDED)[0]["sockets"].to_pylist() if row["remote_port"] and row["pid"])
    network = {"remoteIpDetails": {"ipAddressV4": socket["remote"].removeprefix("::ffff:")},
               "remotePortDetails": {"port": socket["remote_port"]}}  # fmt: skip
    verdicts = _verdicts(tmp_path, service={"action": {"networkConnectionAction": network}})
    assert {verdicts[f"network.{name}"][0] for name in ("remoteIp", "remotePort")} == {"seen"}
    elsewhere = {"remoteIpDetails": {"ipAddressV4": "198.51.100.9"}, "remotePortDetails": {"port": 1}}
    verdicts = _verdicts(tmp_path, service={"action": {"networkConnectionAction": elsewhere}})
    assert {verdicts[f"network.{name}"] for name in ("remoteIp", "remotePort")} == {("not resident", None)}


def test_hostile_values(tmp_path: Path) -> None:
    odd = {"pid": "1 or 1=1", "name": "'; drop table g; --", "startTime": "1e308", "namespacePid": -1}
    verdicts = _verdicts(tmp_path, **_runtime(process=odd, context={"filePath": "a' or 'b'='b", "moduleSha256": "x"}))
    assert {verdict for claim, (verdict, _) in verdicts.items() if not claim.startswith("workload")} == {"not resident"}


def test_without_a_node(tmp_path: Path) -> None:
    rows = LogSource([written(tmp_path, "a", finding())]).table("guardduty_claims").to_pylist()
    assert {row["verdict"] for row in rows} == {"not resident"}
    assert len(rows) == 9


@on_the_node
def test_the_workload_above_a_pod(tmp_path: Path) -> None:
    """The Deployment of node-6.1's api pod, with a UID of its own: its pod, and the container of its name."""
    workload = {
        "name": "api", "type": "deployments", "namespace": "shop", "uid": "11111111-2222-3333-4444-555555555555",
        "hostNetwork": False, "hostPID": True, "serviceAccountName": "api",
        "containers": [{"name": "api", "image": "registry.example/shop/api:1.4.2",
                        "securityContext": {"privileged": True}}],
    }  # fmt: skip

    def verdicts(**more: Any) -> dict[str, str]:
        resource = {"kubernetesDetails": {"kubernetesWorkloadDetails": {**workload, **more}}}
        source = LogSource([written(tmp_path, "a", finding(resource=resource))], node(NODE)[0].get)
        rows = source.table("guardduty_claims").to_pylist()
        assert {row["pod_name"] for row in rows if row["verdict"] != "not resident"} <= {"api-8489696577-l7df2"}
        return {row["claim"].removeprefix("workload."): row["verdict"] for row in rows if "workload" in row["claim"]}

    assert verdicts() == {
        "name": "seen", "namespace": "seen", "hostNetwork": "seen", "serviceAccountName": "seen",
        "hostPID": "contradicted", "uid": "not resident", "type": "not resident",
        "container.name": "seen", "container.image": "seen", "container.privileged": "contradicted",
    }  # fmt: skip
    # another Deployment whose name begins alike, and a DaemonSet of that name, are not it
    for other in ({"name": "ap"}, {"type": "daemonsets"}, {"containers": [{"name": "other", "image": "x"}]}):
        changed = verdicts(**other)
        assert changed["container.name"] == "not resident", other
