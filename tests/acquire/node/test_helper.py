# SPDX-License-Identifier: Apache-2.0
"""The helper for containers without a shell: built, sent in a Secret, run where there is nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.acquire.collect import read_lines, script
from memir.acquire.facts import NodeRun
from memir.acquire.preflight import parse_lines, read_facts, survey
from memir.acquire.scripts import (
    capture_script,
    cleanup_script,
    facts_script,
    hash_script,
    parse_pairs,
    parse_receipt,
    setup_script,
    touch_script,
)
from memir.acquire.tools.build import HELPER_LIMIT, build_helper
from memir.acquire.tools.store import Store
from memir.acquire.transports.pod.spec import PodOptions, manifest
from memir.acquire.transports.pod.transport import PodTransport
from memir.errors import NodeError, UsageError
from memir.kubeapi.client import KubeOptions
from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.noderig import Segment, banner, iomem, kcore, meminfo

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1", "uid": "n-1"},
    "spec": {},
    "status": {"nodeInfo": {"architecture": "amd64" if os.uname().machine == "x86_64" else "arm64"}},
}
# the program that stands for a tool: writes what it is told to its FIFO, says something, ends as it is told
TOOL = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    static char block[65536];
    (void)count;
    memset(block, 'x', sizeof block);
    int out = open(words[1], O_WRONLY);
    for (int i = 0; i < atoi(words[2]); i++)
        if (write(out, block, sizeof block) < 0) return 9;
    (void)!write(1, "a word of the tool\n", 19);
    return atoi(words[3]);
}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("tools"))
    build_helper(made, os.uname().machine)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KubeServer]:
    """Containers whose image is empty: nothing but /proc and what the pod mounts."""
    image = tmp_path / "image"
    (image / "proc").mkdir(parents=True)
    (image / ".real").mkdir()
    # a machine in a sandbox may have no /proc/kcore: AVML and the helper see one of ours, and all else as it is
    for entry in Path("/proc").iterdir():
        if entry.name not in {"iomem", "kcore", "meminfo"}:
            (image / "proc" / entry.name).symlink_to(f"../.real/{entry.name}")
    segments = [Segment(0x1000, os.urandom(1 << 20)), Segment(0x1000000, (banner() + os.urandom(3 << 20))[: 3 << 20])]
    (image / "proc/iomem").write_bytes(iomem(segments))
    (image / "proc/kcore").write_bytes(kcore(segments))
    (image / "proc/meminfo").write_bytes(meminfo(segments))
    made = KubeServer(image=image)
    made.load([NODE])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def transport(server: KubeServer, store: Store, tmp_path: Path) -> Iterator[PodTransport]:
    kube = KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig")))
    options = PodOptions(image="registry.example/empty:1", start_seconds=120.0)
    made = PodTransport("node-1", options, kube, find_helper=store.helper)
    made.connect()
    yield made
    made.close()


def test_build_pins_a_static_program_that_fits_into_a_secret(store: Store) -> None:
    (pinned,) = store.list()
    assert (pinned.tool, pinned.machine) == ("helper", os.uname().machine)
    assert 10_000 < pinned.size < HELPER_LIMIT
    path = store.helper(os.uname().machine)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == pinned.sha256
    with pytest.raises(UsageError, match=r"no helper for riscv64.*memir tools build helper --machine riscv64"):
        store.helper("riscv64")
    with pytest.raises(UsageError, match="x86_64 and aarch64, not 'mips'"):
        build_helper(store, "mips")


def test_the_pod_mounts_it_from_a_secret(store: Store) -> None:
    options = PodOptions(helper=store.helper(os.uname().machine), grace=77)
    spec = manifest("node-1", "r1", options)["spec"]
    assert spec["containers"][0]["command"] == ["/memir/helper", "keep", "77"]
    assert {"name": "helper", "secret": {"secretName": "memir-helper-r1", "defaultMode": 0o555}} in spec["volumes"]
    assert {"name": "helper", "mountPath": "/memir", "readOnly": True} in spec["containers"][0]["volumeMounts"]
    assert "hostPath" not in json.dumps(spec)


def test_rights_name_the_secret(transport: PodTransport, server: KubeServer) -> None:
    server.deny.add("create secrets")
    checks = {check.name: check for check in transport.check()}
    assert checks["create secrets"].level == "fail"
    assert checks["create secrets"].advice == "bind a role that allows create secrets"
    assert "create secrets" in [step.command for step in transport.steps()]


def test_facts_are_those_of_the_script(transport: PodTransport) -> None:
    before = time.time()
    mine = parse_lines(transport.run(facts_script()).out)
    after = time.time()
    shell = parse_lines(subprocess.run(["sh", "-c", facts_script()], capture_output=True, check=False).stdout)
    for name in ("kernel", "machine", "uid", "boot_id", "lockdown", "swaps"):
        assert mine[name].strip() == shell[name].strip(), name
    assert before <= float(mine["clock"]) <= after
    facts = read_facts(mine, time.time()).facts
    assert facts.ram_bytes == (1 << 20) + (3 << 20)
    assert facts.kcore
    assert facts.tmpfs.startswith("pod /dev/shm tmpfs ")
    assert survey(transport).running == ""


def test_a_run_from_lock_to_removal(transport: PodTransport, server: KubeServer) -> None:
    ready = transport.run(setup_script("a-1", grace=60, poll=5, need=0))
    assert parse_pairs(ready)["dir"] == "/dev/shm/.memir-a-1"
    other = transport.run(setup_script("b-2", grace=60, poll=5, need=0))
    assert other.code == 75
    assert other.error.startswith("run a-1 since 20")
    assert survey(transport).running.startswith("a-1 since 20")
    data = os.urandom(300_000)
    transport.put("/dev/shm/.memir-a-1/file", data, mode=0o700)
    assert transport.run(hash_script("/dev/shm/.memir-a-1/file")).text[:64] == hashlib.sha256(data).hexdigest()
    assert transport.run(touch_script("/dev/shm/.memir-a-1/alive")).code == 0
    removed = transport.run(cleanup_script("a-1"))
    assert (removed.code, removed.text) == (0, "left=\n")
    (name,) = server.containers
    shm = Path(f"/proc/{server.containers[name].pid}/root/dev/shm")
    assert sorted(path.name for path in shm.iterdir()) == [".memir-keep"]


@pytest.mark.parametrize(("code", "hashed"), [(0, True), (3, False)])
def test_a_capture(transport: PodTransport, server: KubeServer, tmp_path: Path, code: int, hashed: bool) -> None:
    source = tmp_path / "tool.c"
    source.write_text(TOOL)
    subprocess.run(["gcc", "-static", "-o", str(tmp_path / "tool"), str(source)], check=True)
    transport.run(setup_script("c-3", grace=60, poll=5, need=0))
    run = NodeRun("c-3", "/dev/shm/.memir-c-3", 60)
    transport.put(run.path("tool"), tmp_path / "tool", mode=0o700)
    command = f"{run.path('tool')} {run.fifo} 400 {code}"
    stream = transport.open_stream(capture_script(run, command, "cat", nice=3, hashed=hashed))
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
        size += len(chunk)
    result = stream.wait(300)
    receipt = parse_receipt(result.err)
    assert receipt is not None
    assert size == 400 * 65536 == receipt.size
    assert (receipt.tool, receipt.consumer, result.code) == (code, 0, 1 if code else 0)
    assert receipt.sha256 == (digest.hexdigest() if hashed else "")
    assert receipt.log == "a word of the tool\n"
    # it ended when it was told that all had arrived, with its outputs open till then
    assert (bytes(server.execs[-1].typed), server.execs[-1].ended_untyped) == (b"\n", False)


def test_context_has_the_names_of_the_script(transport: PodTransport) -> None:
    packed = transport.run(script("after"), limit=64 << 20)
    mine = dict(read_lines(iter([packed.out])))
    assert mine["version"] == Path("/proc/version").read_bytes()
    assert mine["iomem"].startswith(b"00000000-00000fff : Reserved\n")
    assert {"after/uptime", "after/mountinfo", "after/processes.stat", "kallsyms", "meminfo", "boot_id"} <= mine.keys()
    status = mine["after/processes.status"].decode(errors="replace")
    assert f"/proc/{os.getpid()}/status:PPid:\t{os.getppid()}\n" in status


def test_what_needs_a_shell_is_said(transport: PodTransport) -> None:
    with pytest.raises(NodeError, match="--via controller"):
        transport.run("echo hello")


def test_nothing_stays(transport: PodTransport, server: KubeServer) -> None:
    transport.run(facts_script())
    assert list(server.secrets) == [f"memir-helper-{transport._run}"]
    transport.close()
    assert (server.pods, server.secrets) == ({}, {})


def test_ram_of_a_node_through_an_empty_image(
    server: KubeServer, store: Store, avml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command as a user types it, with the real AVML."""
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setenv("MEMIR_TOOLS", str(store.folder))
    done = subprocess.run(
        [sys.executable, "-m", "memir", "acquire", "pod", "--node", "node-1", "--kubeconfig", str(kubeconfig),
         "--image", "registry.example/empty:1", "--tool-path", str(avml), "--format", "lime", "-o",
         str(tmp_path / "evidence"), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    receipt = json.loads(done.stdout)
    assert receipt["image"]["size"] == (1 << 20) + (3 << 20) + 2 * 32
    assert base64.b64encode((tmp_path / "evidence/image.lime").read_bytes()[:4]) == base64.b64encode(b"EMiL")
