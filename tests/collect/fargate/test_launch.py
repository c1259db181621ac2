# SPDX-License-Identifier: Apache-2.0
"""A pod collected from within, under Fargate's limits: by an ephemeral container as root, as its user; by an exec."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.aws.client import Connection, service_client
from memir.collect.fargate.launch import as_json, prepare, where_it_runs, write_interfaces
from memir.collect.fargate.settings import FargateSettings
from memir.collect.folder import Folder
from memir.collect.run import PodCollection
from memir.collect.target import by_api
from memir.errors import PartialError, UsageError
from memir.evidence.custody import Manifest
from memir.evidence.verify import verify
from memir.kubeapi.client import KubeOptions, make_api
from tests.collect.fargate.rig import HEAP, HIDDEN, PASSWORD, ROOT_HEAP, USER, FargateRig, FargateServer


def run_of(pod: FargateRig, tmp_path: Path, **more: Any) -> PodCollection:
    name, kubeconfig = f"{pod.namespace}/{pod.name}", str(tmp_path / "kubeconfig")
    return prepare(FargateSettings(name, str(tmp_path / "ev"), kubeconfig=kubeconfig, **more))


def receipt_of(evidence: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((evidence / "receipt.json").read_text())
    return document


def heaps(evidence: Path) -> set[bytes]:
    cores = b"".join(path.read_bytes() for path in (evidence / "clear/memory").glob("*.core"))
    return {secret for secret in (HEAP, ROOT_HEAP, HIDDEN) if secret in cores}


def names(evidence: Path, pod: FargateRig, tar: str) -> set[str]:
    data = (evidence / "node/containers" / pod.container / tar).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        return {member.name for member in file.getmembers() if not member.isdir()}


def test_as_root_every_user_s_memory_but_what_hides(
    fargate_pod: FargateRig, server: FargateServer, tmp_path: Path
) -> None:
    run = run_of(fargate_pod, tmp_path, accept_ephemeral=True, case="CASE-13")
    with pytest.raises(PartialError, match="is not dumpable"):
        run.execute()
    evidence = tmp_path / "ev"
    assert heaps(evidence) == {HEAP, ROOT_HEAP}
    assert names(evidence, fargate_pod, "changed.tar") == {"app/config", "app/made", "root/inside", "etc/changed"}
    assert names(evidence, fargate_pod, "volumes/data.tar") == {"note"}
    assert (evidence / "node/deleted/1-fd-7").read_text() == "deleted\n"
    receipt = receipt_of(evidence)
    hidden = fargate_pod.inner(fargate_pod.hidden_pid)
    why = "is not dumpable (prctl PR_SET_DUMPABLE, or its program may not be read), without SYS_PTRACE"
    assert f"memory, environment, open files pid {hidden} (python3): {why}" in receipt["missing"]
    assert receipt["collection"]["processes"] == 5
    (name,) = server.made
    assert receipt["left_on_node"] == [
        f"ephemeral container {name} of pod {fargate_pod.namespace}/{fargate_pod.name}, in its specification until it "
        "is gone; its process was told to end"
    ]
    server.made[name].process.wait(30)
    environment = (evidence / "clear/processes.jsonl").read_text()
    assert PASSWORD in environment and "OF_ROOT" in environment
    kinds = {gap["kind"] for gap in receipt["collection"]["gaps"]}
    assert kinds >= {"kernel", "runtime record", "log file", "whiteout"}
    judged = verify(evidence)
    assert (judged.problems, judged.status, judged.whose["pod"]) == (
        [], "partial", f"{fargate_pod.namespace}/{fargate_pod.name}",
    )  # fmt: skip
    with memir.open(str(evidence)) as node:
        rows = {row["pid"]: row for row in node["processes"].to_arrow().to_pylist()}
        assert (rows[1]["uid"], rows[1]["container_name"], rows[hidden]["exe"]) == (USER, "web", None)
        assert rows[hidden]["args"][0] == "/usr/bin/python3"
        assert {"/data", "/proc"} <= {row["mount_point"] for row in node["mounts"].to_arrow().to_pylist()}
        with pytest.raises(UsageError, match="there is no table modules"):
            node["modules"]


def test_as_its_user_within_restricted(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    run = run_of(fargate_pod, tmp_path, accept_ephemeral=True, user=f"{USER}:{USER}")
    with pytest.raises(PartialError):
        run.execute()
    evidence = tmp_path / "ev"
    assert heaps(evidence) == {HEAP}
    receipt = receipt_of(evidence)
    inner = sorted(fargate_pod.inner(pid) for pid in fargate_pod.members() if _uid(pid) == 0 and _inside(pid))
    root = f"runs as user 0, group 0, this reader as {USER}, {USER}, without SYS_PTRACE"
    (gap,) = [gap for gap in receipt["collection"]["gaps"] if gap["why"] == root]
    # those of the rig, and what a container that an earlier test put beside it still runs
    assert (gap["count"] >= 2, gap["missing"], len(inner)) == (True, True, 2)
    assert all(f"{pid} (" in gap["where"] for pid in inner)
    # /root may not be entered, and was changed; /kept may not be entered either, but is of the image
    assert names(evidence, fargate_pod, "changed.tar") == {"app/config", "app/made", "etc/changed"}
    refused = [gap for gap in receipt["collection"]["gaps"] if gap["kind"] == "file" and gap["missing"]]
    assert [(gap["where"].rpartition("/")[2], gap["count"]) for gap in refused] == [("root", 1)]
    spec = server.recorded[f"{fargate_pod.namespace}/{fargate_pod.name}"]["spec"]["ephemeralContainers"][0]
    assert spec["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_by_an_exec(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    with pytest.raises(PartialError):
        run_of(fargate_pod, tmp_path, way="exec", memory=False).execute()
    receipt = receipt_of(tmp_path / "ev")
    assert (server.made, receipt["left_on_node"]) == ({}, [])
    assert "may be the intruder's" in receipt["notes"][2]
    assert names(tmp_path / "ev", fargate_pod, "changed.tar") == {"app/config", "app/made", "etc/changed"}
    assert not (tmp_path / "ev/clear/memory").exists()
    assert verify(tmp_path / "ev").problems == []


def test_nothing_is_made_unless_accepted(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    run = run_of(fargate_pod, tmp_path)
    _, checks, plan = run.preflight(look=False)
    assert [check.level for check in checks[:5]] == ["ok"] * 5
    assert "CANNOT BE TAKEN BACK" in plan.steps[0].what
    with pytest.raises(UsageError, match=r"cannot be taken back.*--accept-ephemeral"):
        run.execute()
    assert (server.made, len(server.dry)) == ({}, 2)
    assert not (tmp_path / "ev").exists()


def test_options(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--way 'ssh': write ephemeral or exec"):
        run_of(fargate_pod, tmp_path, way="ssh")
    run = run_of(fargate_pod, tmp_path, max_size="1G", rootfs=True)
    assert (run.options.max_size, run.options.rootfs) == (1 << 30, True)
    assert where_it_runs(run.target) == ""
    document = dict(run.target.document or {}, metadata={"uid": "u"})
    server.recorded["shop/plain"] = document
    plain = by_api(make_api(KubeOptions(str(tmp_path / "kubeconfig"))), "shop/plain", beside=True)
    assert "`memir collect pod shop/plain`, from its node's side, gives more" in where_it_runs(plain)


def test_the_interface_of_its_address(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    from botocore.stub import Stubber

    target = run_of(fargate_pod, tmp_path).target
    folder = Folder(tmp_path, Manifest(tmp_path))
    ec2 = service_client("ec2", Connection("eu-west-1", "http://127.0.0.1:9"))
    asked = {"Filters": [{"Name": "addresses.private-ip-address", "Values": ["10.0.0.9"]}]}
    with Stubber(ec2) as stub:
        stub.add_response("describe_network_interfaces", {"NetworkInterfaces": []}, asked)
        (gap,) = write_interfaces(ec2, target, folder)
        assert (gap.kind, gap.missing) == ("network interface", True)
        assert "AWS has no interface of the address 10.0.0.9" in gap.why
        both = [{"NetworkInterfaceId": name} for name in ("eni-1", "eni-2")]
        stub.add_response("describe_network_interfaces", {"NetworkInterfaces": both}, asked)
        (gap,) = write_interfaces(ec2, target, folder)
        assert (gap.missing, "several networks" in gap.why) == (False, True)
    document = json.loads((tmp_path / "api/interfaces.json").read_text())
    assert [item["NetworkInterfaceId"] for item in document["10.0.0.9"]] == ["eni-1", "eni-2"]
    assert as_json({"at": Path("x")}) == b'{\n "at": "x"\n}\n'


def _uid(pid: int) -> int:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("Uid:")).split()[1])


def _inside(pid: int) -> bool:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return len(next(row for row in rows if row.startswith("NSpid:")).split()) > 2
