# SPDX-License-Identifier: Apache-2.0
"""`memir acquire` against a real node in software emulation, and what the analysis then says of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from memir.acquire.transports.ssm.command import Commander
from memir.aws.address import S3Address
from memir.aws.client import Connection, service_client
from memir.evidence.verify import verify
from tests.acquire.rigs.emulated import HOST, EmulatedNode, build, release
from tests.acquire.rigs.emulated_pods import FILE, GONE, HEAP, PODS, UNLINKED, start_pods
from tests.acquire.rigs.s3shim import Shim
from tests.acquire.rigs.ssm import SsmServer

pytestmark = [pytest.mark.lab, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
CODE = "from memir.cli.main import main; main()"
RUN_BOUND = 1200
"""Seconds after which a run of memir is interrupted; nothing is measured with it."""
# what sshd, systemd and containerd write by themselves, whoever logs in
EXPECTED_ON_DISK = ("/var/log/", "/var/lib/systemd/", "/var/lib/containerd/", "/var/lib/dbus")


@pytest.fixture(scope="module")
def parts() -> Iterator[Path]:
    """A node's disk, kernel and keys. MEMIR_LAB_CACHE names a folder that keeps them for the next time."""
    if os.geteuid() != 0 or release().get("ID") != "debian":
        pytest.skip("a node is built with debootstrap, which needs root and Debian")
    kept = os.environ.get("MEMIR_LAB_CACHE")
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="memir-lab-"))
    build(folder)
    yield folder
    if not kept:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lab(parts: Path) -> Iterator[tuple[EmulatedNode, dict[str, int]]]:
    with EmulatedNode(parts) as machine:
        yield machine, start_pods(machine)


def start(tools: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMIR_TOOLS": str(tools)}
    return subprocess.Popen([sys.executable, "-c", CODE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=environment)  # fmt: skip


def memir(tools: Path, *arguments: str, code: int = 0) -> Any:
    """The command line; what it printed as JSON."""
    out, error = end_of(process := start(tools, *arguments))
    assert process.returncode == code, (arguments, process.returncode, error[-3000:])
    return json.loads(out) if "--json" in arguments else out + error


def end_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a run printed. One that takes too long is interrupted, so that it gives the node back to the next test."""
    try:
        return process.communicate(timeout=RUN_BOUND)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            _, error = process.communicate(timeout=300)
        finally:
            process.kill()
        pytest.fail(f"not at its end after {RUN_BOUND} s: {process.args!r}, interrupted: {error[-3000:]}")


def reach(node: EmulatedNode) -> list[str]:
    return ["acquire", "ssh", "root@127.0.0.1", "-p", str(node.port), "-i", str(node.key), "--known-hosts",
            str(node.known_hosts)]  # fmt: skip


def left(node: EmulatedNode) -> list[str]:
    """What a run could leave: files in memory, processes, modules."""
    script = (
        "ls -d /dev/shm/.[!.]* /dev/shm/* /run/.memir* 2>/dev/null; pgrep -fa memir; grep ^lime /proc/modules; true"
    )
    return node.run(script).split("\n")[:-1]


def rows(case: Path, table: str) -> list[dict[str, Any]]:
    read = pq.read_table(case / "tables" / f"{table}.parquet")
    # nanoseconds are more than datetime holds
    found: list[dict[str, Any]] = read.drop_columns(
        [name for name in read.column_names if name == "start_time"]
    ).to_pylist()
    return found


def compare(case: Path, before: dict[int, Any], after: dict[int, Any], started: dict[str, int]) -> None:
    """Every process that was there all the time, with the same values; every container and pod that was started."""
    found = {row["pid"]: row for row in rows(case, "processes")}
    # kernel workers change their names by what they work on; sshd serves those who look, forks for each, and with every
    # fork has its stack copied to another page while memory is being taken
    stable = {
        pid: one
        for pid, one in before.items()
        if after.get(pid) == one and not one["comm"].startswith(("kworker/", "sshd"))
    }
    assert len(stable) > 60
    for pid, one in stable.items():
        row = found[pid]
        told = {
            "ppid": row["ppid"], "comm": row["comm"], "uid": row["uid"], "exe": row["exe"], "args": row["args"] or [],
            "ns": {kind: row[f"{kind}_ns"] for kind in one["ns"]}, "cgroup": row["cgroup_path"],
        }  # fmt: skip
        exe = one["exe"]
        if exe is not None and exe.endswith(" (deleted)"):
            assert row["exe_deleted"], one
            exe = exe.removesuffix(" (deleted)")
        assert told == {
            "ppid": one["ppid"], "comm": one["comm"], "uid": one["uid"], "exe": exe, "args": one["args"],
            "ns": one["ns"], "cgroup": one["cgroup"],
        }, pid  # fmt: skip
    containers = {row["container_id"]: row for row in rows(case, "containers")}
    pods = {row["pod_uid"]: row for row in rows(case, "pods")}
    for pod in PODS:
        assert (pods[pod.uid]["pod_name"], pods[pod.uid]["namespace"]) == (pod.name, pod.namespace)
        for name in ("", *(one.name for one in pod.containers)):
            row = containers[pod.id_of(name)]
            assert (row["init_pid"], row["state"], row["pod_uid"]) == (started[pod.id_of(name)], "running", pod.uid)
            assert (row["kind"], row["container_name"]) == (("container", name) if name else ("sandbox", None))
            inside = {pid for pid, one in stable.items() if pod.id_of(name) in one["cgroup"]}
            assert inside
            for pid in inside:
                said = found[pid]
                assert (said["pod_name"], said["container_id"]) == (pod.name, pod.id_of(name)), pid


def test_over_ssh(lab: tuple[EmulatedNode, dict[str, int]], tmp_path: Path, avml: Path) -> None:
    node, started = lab
    node.run("touch /root/marker; sync")
    before = node.truth()
    folder, case = tmp_path / "ev", tmp_path / "case"
    receipt = memir(tmp_path, *reach(node), "-o", str(folder), "--tool-path", str(avml), "--json")
    after = node.truth()
    assert (receipt["status"], receipt["missing"], receipt["left_on_node"]) == ("complete", [], [])
    assert receipt["banner"] == node.run("cat /proc/version").strip()
    assert receipt["node"]["hostname"] == HOST
    assert left(node) == []
    written = node.run("sync; find / -xdev -newer /root/marker -type f -not -path '*/.cache/*'").split()
    assert [path for path in written if not path.startswith(EXPECTED_ON_DISK)] == []
    assert memir(tmp_path, "verify", str(folder), "--json", code=5)["complete"] is True
    memir(tmp_path, "analyze", str(folder), "-o", str(case))
    compare(case, before, after, started)
    # of what was there all the time: what ended while RAM was read may be of several moments
    deleted = [row for row in rows(case, "processes") if row["exe_deleted"] and row["pid"] in before.keys() & after]
    assert [(row["pod_name"], row["exe"], row["args"]) for row in deleted] == [
        ("miner-0", "/tmp/busyboxd", ["/tmp/busyboxd", "sleep", "1000005"])
    ]
    context = folder / "context"
    assert (context / "kallsyms").read_text().split("\n")[0] == node.run("head -n 1 /proc/kallsyms").strip()
    assert (context / "btf/vmlinux").stat().st_size == int(node.run("stat -c %s /sys/kernel/btf/vmlinux"))
    hunt(tmp_path, folder)


def hunt(work: Path, evidence: Path) -> None:
    """What was put into known places is found there: a process, a file, a file without a name, freed memory."""
    rules = work / "rules.yar"
    marks = {"Heap": HEAP, "File": FILE, "Unlinked": UNLINKED, "Gone": GONE}
    rules.write_text(
        "\n".join(f'rule {name} {{ strings: $a = "{mark}" condition: $a }}' for name, mark in marks.items())
    )
    found = memir(work, "hunt", str(evidence), "--rules", str(rules), "--json")["hits"]
    owners: dict[str, set[tuple[Any, ...]]] = {name: set() for name in marks}
    for row in found:
        owners[row["rule"]].add((row["owner"], row["pod_name"], row["container_name"], row["path"], row["deleted"]))
    # the environment is on the stack; the container's first process and what it started have it
    assert ("process", "web-5d4f8c-abcde", "sidecar", None, None) in owners["Heap"]
    assert ("file cache", "web-5d4f8c-abcde", "web", "/tmp/notes", False) in owners["File"]
    assert ("file cache", "miner-0", "miner", "/tmp/out", True) in owners["Unlinked"]
    assert {one[0] for one in owners["Gone"]} >= {"free"}
    for name in ("Heap", "File", "Unlinked"):
        pods = {one[1] for one in owners[name] if one[1]}
        assert pods == {"miner-0"} if name == "Unlinked" else {"web-5d4f8c-abcde"}, owners[name]


@contextmanager
def tunnel(node: EmulatedNode, port: int) -> Iterator[None]:
    """The node reaches a loopback port of ours by the same address."""
    process = subprocess.Popen(node.ssh_command("-N", "-R", f"{port}:127.0.0.1:{port}"))
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_over_ssm_to_s3(
    lab: tuple[EmulatedNode, dict[str, int]], tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any,
    ssm_server: SsmServer, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The agent's scripts run on the node; the node reaches the S3 server by the same address as we do."""
    node, started = lab
    agent = ssm_server.add(remote=node.ssh_command())
    ssm_server.scale = 1.0
    with tunnel(node, shim.port):
        before = node.truth()
        folder, case = tmp_path / "ev", tmp_path / "case"
        receipt = memir(
            tmp_path, "acquire", "ssm", "--instance-id", agent.instance_id, "--ssm-endpoint", ssm_server.endpoint,
            "--s3-endpoint", shim.endpoint, "--region", shim.region, "--to", f"s3://{bucket}/case", "-o", str(folder),
            "--tool-path", str(avml), "--object-lock", "GOVERNANCE:1", "--json",
        )  # fmt: skip
        after = node.truth()
    assert (receipt["status"], receipt["missing"], receipt["left_on_node"]) == ("complete", [], [])
    address = S3Address.parse(receipt["image"]["where"])
    image = tmp_path / "image.avml"
    s3.download_file(address.bucket, address.prefix, str(image))
    assert hashlib.sha256(image.read_bytes()).hexdigest() == receipt["image"]["sha256"]
    assert s3.head_object(Bucket=address.bucket, Key=address.prefix)["ObjectLockMode"] == "GOVERNANCE"
    names = [one["Key"] for one in s3.list_object_versions(Bucket=bucket).get("Versions", [])]
    assert [name for name in names if ".memir-" in name] == []
    kept = node.run("cat /var/lib/amazon/ssm/*/_script.sh")
    assert "memir" in kept
    for secret in ("X-Amz-Signature", "AKIA", "PRIVATE KEY"):
        assert secret not in kept
    assert left(node) == []
    # the image is read where it is; the folder alone does not make memir ask its bucket
    monkeypatch.setenv("AWS_ENDPOINT_URL", shim.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", shim.region)
    memir(tmp_path, "analyze", str(folder), "-o", str(case), code=3)
    memir(tmp_path, "analyze", receipt["image"]["where"], "-o", str(case))
    compare(case, before, after, started)
    there = ["--s3-endpoint", shim.endpoint, "--region", shim.region]
    assert memir(tmp_path, "verify", str(folder), *there, "--fetch", "--json", code=5)["complete"] is True


def test_a_cancelled_command_is_killed_on_the_node(
    lab: tuple[EmulatedNode, dict[str, int]], ssm_server: SsmServer
) -> None:  # fmt: skip
    """As a real agent does it: SIGKILL to the group, while what left the group lives on."""
    node, _ = lab
    agent = ssm_server.add(remote=node.ssh_command())
    client = service_client("ssm", Connection(ssm_server.region, ssm_server.endpoint))
    commander = Commander(client, agent.instance_id)
    sent = commander.send("sleep 2000001 & setsid sleep 2000002 </dev/null >/dev/null 2>&1 & wait", 300)
    node.run("while [ $(pgrep -fc '^sleep 200000') != 2 ]; do sleep 0.2; done")
    commander.cancel(sent)
    assert agent.invocations[0].ended.wait(600)
    assert agent.invocations[0].status == "Cancelled"
    assert node.run("pgrep -fa '^sleep 200000'").split()[1:] == ["sleep", "2000002"]
    node.run("pkill -fx 'sleep 2000002'")


def test_a_node_without_pythons_library_sends_with_curl(
    lab: tuple[EmulatedNode, dict[str, int]], tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any
) -> None:
    """As with Debian's python3-minimal, which has `python3` and no `http`."""
    node, _ = lab
    node.run("d=$(python3 -c 'import http; print(http.__path__[0])'); mv $d $d.away")
    try:
        with tunnel(node, shim.port):
            receipt = memir(
                tmp_path, *reach(node), "--to", f"s3://{bucket}/case", "--s3-endpoint", shim.endpoint, "--region",
                shim.region, "-o", str(tmp_path / "ev"), "--tool-path", str(avml), "--no-context", "--json",
            )  # fmt: skip
    finally:
        node.run("for d in /usr/lib/python3*/http.away; do mv $d ${d%.away}; done")
    assert (receipt["status"], receipt["missing"], receipt["left_on_node"]) == ("complete", [], [])
    captured = [line for line in (tmp_path / "ev/manifest.jsonl").read_text().splitlines() if '"captured"' in line]
    assert json.loads(captured[0])["receipt"]["extra"]["uploader"] == "bash"
    address = S3Address.parse(receipt["image"]["where"])
    body = s3.get_object(Bucket=address.bucket, Key=address.prefix)["Body"]
    assert hashlib.file_digest(body, "sha256").hexdigest() == receipt["image"]["sha256"]
    assert left(node) == []


def test_lime(lab: tuple[EmulatedNode, dict[str, int]], tmp_path: Path) -> None:
    """Built for this kernel, loaded into it, gone afterwards."""
    node, started = lab
    kernel = node.run("uname -r").strip()
    memir(tmp_path, "tools", "build", "lime", "--headers", str(headers(kernel)), "--source", str(source(tmp_path)))
    before = node.truth()
    folder, case = tmp_path / "ev", tmp_path / "case"
    receipt = memir(tmp_path, *reach(node), "-o", str(folder), "--tool", "lime", "--json")
    after = node.truth()
    assert (receipt["status"], receipt["tool"]["tool"], receipt["left_on_node"]) == ("complete", "lime", [])
    assert receipt["coverage"]["zero"] == receipt["coverage"]["missing"] == []
    assert {trace["where"] for trace in receipt["traces"]} >= {"kernel taint", "GuardDuty"}
    assert int(node.run("cat /proc/sys/kernel/tainted")) & (1 << 12)
    assert left(node) == []
    assert memir(tmp_path, "verify", str(folder), "--json", code=5)["complete"] is True
    memir(tmp_path, "analyze", str(folder), "-o", str(case))
    compare(case, before, after, started)


def headers(kernel: str) -> Path:
    """The kernel's headers; installed when they are not there."""
    folder = Path(f"/usr/src/linux-headers-{kernel}")
    if not folder.is_dir():
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", folder.name]
        subprocess.run(command, check=True, capture_output=True, env=environment)
    return folder


def source(work: Path) -> Path:
    """LiME's source from its Debian package, without installing that."""
    subprocess.run(["apt-get", "download", "-qq", "lime-forensics-dkms"], check=True, capture_output=True, cwd=work)
    package = next(work.glob("lime-forensics-dkms*.deb"))
    subprocess.run(["dpkg", "-x", str(package), str(work / "lime")], check=True, capture_output=True)
    return next((work / "lime/usr/src").glob("lime-forensics-*"))


def test_the_node_reboots_in_the_middle(
    lab: tuple[EmulatedNode, dict[str, int]], tmp_path: Path, avml: Path
) -> None:  # fmt: skip
    """Last in this file: the pods do not come back."""
    node, _ = lab
    folder = tmp_path / "ev"
    process = start(tmp_path, *reach(node), "-o", str(folder), "--tool-path", str(avml), "--format", "lime", "--json")
    image = folder / "image.lime.partial"
    while not image.exists() or image.stat().st_size < 20 << 20:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    threading.Thread(target=node.qmp, args=("system_reset",)).start()
    out, error = end_of(process)
    assert process.returncode == 4, error
    receipt = json.loads(out)
    assert receipt["status"] == "partial"
    assert receipt["image"]["size"] == image.stat().st_size >= 20 << 20
    found = verify(folder)
    assert (found.holds, found.complete) == (True, False)
    node.wait()
    assert left(node) == []


def test_a_kernel_that_refuses(parts: Path, tmp_path: Path, avml: Path) -> None:
    """LiME without a signature, and under lockdown AVML too, are refused before anything is changed."""
    with EmulatedNode(parts, "module.sig_enforce=1") as node:
        kernel = node.run("uname -r").strip()
        memir(tmp_path, "tools", "build", "lime", "--headers", str(headers(kernel)), "--source", str(source(tmp_path)))
        said = memir(tmp_path, *reach(node), "-o", str(tmp_path / "ev"), "--tool", "lime", code=4)
        assert "nothing was changed, lime: unsigned, and the kernel wants signed modules (use --tool avml)" in said
        assert not (tmp_path / "ev").exists()
        assert left(node) == []
        assert node.run("dmesg | grep -c lime; true").strip() == "0"
        # and so it is: memir does not refuse what would have worked
        with next(tmp_path.glob("lime-*.ko")).open("rb") as module:
            subprocess.run([*node.ssh_command(), "cat > /dev/shm/lime.ko"], stdin=module, check=True)
        tried = node.run("insmod /dev/shm/lime.ko path=/dev/null format=lime 2>&1; rm /dev/shm/lime.ko")
        assert "Key was rejected" in tried
        # integrity leaves /proc/kcore to AVML, confidentiality does not
        look = [*reach(node), "--dry-run", "--tool-path", str(avml), "-o", str(tmp_path / "ev")]
        node.run("echo integrity > /sys/kernel/security/lockdown")
        said = memir(tmp_path, *reach(node), "-o", str(tmp_path / "ev"), "--tool", "lime", code=4)
        assert "nothing was changed, lime: unsigned, and lockdown is integrity (use --tool avml)" in said
        assert "warn lockdown: integrity" in memir(tmp_path, *look)
        node.run("echo confidentiality > /sys/kernel/security/lockdown")
        assert "fail /proc/kcore: blocked by lockdown=confidentiality" in memir(tmp_path, *look, code=4)
        assert left(node) == []
