# SPDX-License-Identifier: Apache-2.0
"""The real AVML on a chosen /proc/kcore, through the local transport: what is success, and what is not."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from memir.acquire.transports.local import LocalTransport
from memir.errors import (
    AccessError,
    Interrupted,
    MemirError,
    NodeError,
    PartialError,
    StorageError,
    UsageError,
)
from memir.evidence.progress import Progress
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import MIB, NodeRig, Segment, banner, contents, kcore
from tests.acquire.rigs.nodes import HIGH, LOW, MakeNode
from tests.acquire.rigs.runs import clean, job, memory_of, records, stream_of
from tests.acquire.rigs.wait import until


def test_the_chosen_bytes_arrive(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    receipt = job(node, tmp_path / "ev", avml, context=True).execute()
    image = tmp_path / "ev" / "image.lime"
    blocks = memory_of(image)
    assert blocks[0x1000] == LOW.data
    assert blocks[0x100000] == HIGH.data[: 16 * MIB]
    assert blocks[0x100000 + 32 * MIB] == HIGH.data[32 * MIB :]
    assert set(blocks) == {0x1000, 0x100000, 0x100000 + 32 * MIB}
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    assert receipt["status"] == "complete"
    assert receipt["missing"] == receipt["left_on_node"] == []
    assert receipt["image"]["sha256"] == digest
    assert receipt["image"]["size"] == image.stat().st_size
    assert receipt["coverage"]["zero"] == [[0x100000 + 16 * MIB, 0x100000 + 32 * MIB]]
    assert receipt["coverage"]["ram_bytes"] == 0x9E000 + 40 * MIB
    assert receipt["banner"] == banner().decode().strip()
    assert receipt["tool"]["version"] == "0.21.0"
    assert receipt["tool"]["files"][0]["sha256"] == hashlib.sha256(avml.read_bytes()).hexdigest()
    captured = next(record for record in records(tmp_path / "ev") if record["event"] == "captured")
    assert (captured["receipt"]["tool"], captured["receipt"]["sha256"]) == (0, digest)
    assert [record["event"] for record in records(tmp_path / "ev") if record["event"] != "file"] == [
        "begin", "node", "tool", "capture", "captured", "cleaned", "image", "verdict", "end",
    ]  # fmt: skip
    assert clean(node)
    found = verify(tmp_path / "ev")
    assert found.complete, found.problems


def test_context_is_taken_and_hashed(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    job(node, tmp_path / "ev", avml, context=True).execute()
    context = tmp_path / "ev" / "context"
    assert (context / "iomem").read_bytes() == (node.root / "proc/iomem").read_bytes()
    assert (context / "version").read_bytes() == Path("/proc/version").read_bytes()
    assert (context / "cmdline").read_bytes() == Path("/proc/cmdline").read_bytes()
    assert b" T " in (context / "kallsyms").read_bytes() or b" t " in (context / "kallsyms").read_bytes()
    if Path("/sys/kernel/btf/vmlinux").exists():
        assert (context / "btf/vmlinux").read_bytes() == Path("/sys/kernel/btf/vmlinux").read_bytes()
    assert {path.name for path in (context / "before").iterdir()} >= {"date", "uptime", "mountinfo", "iomem"}
    assert {path.name for path in (context / "after").iterdir()} >= {"date", "uptime", "mountinfo"}
    named = {r["name"]: r["sha256"] for r in records(tmp_path / "ev") if r["event"] == "file"}
    for path in context.rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "ev").as_posix()
            assert named.pop(name) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert named == {}


def test_compressed_is_the_same_memory(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    receipt = job(node, tmp_path / "ev", avml, format="avml").execute()
    plain = tmp_path / "plain"
    subprocess.run([str(avml), "convert", "--source-format", "lime_compressed", "--format", "lime",
                    str(tmp_path / "ev/image.avml"), str(plain)], check=True, capture_output=True)  # fmt: skip
    assert memory_of(plain)[0x1000] == LOW.data
    assert receipt["image"]["where"] == "image.avml"
    assert receipt["image"]["format"] == "avml"


def test_nothing_is_changed_when_the_look_fails(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    (node.root / "proc/kcore").unlink()
    with pytest.raises(NodeError, match=r"nothing was changed, /proc/kcore: cannot be read"):
        job(node, tmp_path / "ev", avml).execute()
    assert not (tmp_path / "ev").exists()
    assert node.left() == []


def test_without_system_ram_there_is_nothing_to_compare_with(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    (node.root / "proc/iomem").write_text("00000000-00000000 : System RAM\n")
    with pytest.raises(NodeError, match="/proc/iomem: shows no System RAM"):
        job(node, tmp_path / "ev", avml).execute()


def test_kcore_blocked_midway_is_partial(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    # the headers promise more than the file holds: one failed read, as AVML sees a page that cannot be read
    whole = (node.root / "proc/kcore").read_bytes()
    (node.root / "proc/kcore").write_bytes(whole[: 20 * MIB] + b"")
    with pytest.raises(PartialError, match="the tool's exit code is 1: AVML failed") as caught:
        job(node, tmp_path / "ev", avml).execute()
    assert caught.value.exit_code == 4
    receipt = json.loads((tmp_path / "ev/receipt.json").read_bytes())
    assert receipt["status"] == "partial"
    assert receipt["resume"]
    assert not (tmp_path / "ev/image.lime").exists()
    kept = memory_of(tmp_path / "ev/image.lime.partial")
    assert kept[0x1000] == LOW.data
    assert kept[0x100000] == HIGH.data[: 16 * MIB]
    assert any("are missing: " in why for why in receipt["missing"])
    assert clean(node)
    found = verify(tmp_path / "ev")
    assert found.holds
    assert not found.complete


def test_a_kcore_that_skips_ram_is_partial_even_with_exit_0(make_node: MakeNode, tmp_path: Path, avml: Path) -> None:
    node = make_node(LOW, HIGH)
    cut = Segment(HIGH.paddr, HIGH.data[: 30 * MIB])
    (node.root / "proc/kcore").write_bytes(kcore([LOW, cut]))
    start = HIGH.paddr + 30 * MIB
    why = f"/proc/kcore does not give {10 * MIB:,} bytes of System RAM: {start:#x}-{HIGH.end - 1:#x}"
    with pytest.raises(PartialError, match=why):
        job(node, tmp_path / "ev", avml).execute()
    receipt = json.loads((tmp_path / "ev/receipt.json").read_bytes())
    assert receipt["coverage"]["unreadable"] == [[start, HIGH.end]]
    assert receipt["coverage"]["complete"] is False


def test_an_image_without_its_kernel_is_partial(make_node: MakeNode, tmp_path: Path, avml: Path) -> None:
    data = contents(2 * MIB, 3).replace(banner(), b"\xaa" * len(banner()))
    node = make_node(Segment(0x100000, data))
    with pytest.raises(PartialError, match=rf"the kernel {platform.release()} does not name itself in it"):
        job(node, tmp_path / "ev", avml).execute()
    assert json.loads((tmp_path / "ev/receipt.json").read_bytes())["status"] == "partial"


def test_a_tool_that_changes_on_the_way_is_not_run(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    class Bent(LocalTransport):
        def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
            data = source if isinstance(source, bytes) else source.read_bytes()
            super().put(path, data[:-1] + b"?", mode=mode)

    acquisition = job(node, tmp_path / "ev", avml)
    acquisition.transport = Bent(node.root)
    with pytest.raises(PartialError, match="it was not run"):
        acquisition.execute()
    assert clean(node)


def test_two_runs_at_once(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(progress: Progress) -> None:
        if progress.phase == "capture":
            begun.set()
            go_on.wait()

    first = job(node, tmp_path / "one", avml, limit_rate=8 * MIB, grace=60, report=hold)
    thread = threading.Thread(target=first.execute)
    thread.start()
    try:
        until(begun.is_set)
        with pytest.raises(NodeError, match=rf"lock: a run is going on: {first.run_id} since 20"):
            job(node, tmp_path / "two", avml).execute()
        late = job(node, tmp_path / "three", avml)
        preflight = first.preflight()
        with pytest.raises(PartialError, match=rf"another run is going on on this node .run {first.run_id}"):
            late.execute(replace(preflight, state=replace(preflight.state, running=""), checks=()))
    finally:
        go_on.set()
        thread.join()
    assert json.loads((tmp_path / "one/receipt.json").read_bytes())["status"] == "complete"
    assert clean(node)


def test_a_dead_run_s_lock_is_taken_over(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    shm = node.root / "dev/shm"
    (shm / ".memir-lock").mkdir()
    (shm / ".memir-lock/run").write_text("20260101-000000-aaaa\n")
    (shm / ".memir-lock/pid").write_text("4194303\n")
    (shm / ".memir-20260101-000000-aaaa").mkdir()
    receipt = job(node, tmp_path / "ev", avml).execute()
    assert receipt["status"] == "complete"
    assert next(r for r in records(tmp_path / "ev") if r["event"] == "node")["stale"] == "20260101-000000-aaaa"
    assert clean(node)


def test_noexec_memory_gets_a_mount_of_its_own(make_node: MakeNode, tmp_path: Path, avml: Path) -> None:
    node = make_node(shm_options="mode=1777,noexec,nosuid,nodev")
    assert job(node, tmp_path / "ev", avml).execute()["status"] == "complete"
    assert next(r for r in records(tmp_path / "ev") if r["event"] == "node")["mounted"] is True
    assert clean(node)
    assert f"{node.root}/dev/shm/.memir" not in Path("/proc/mounts").read_text()


def test_interrupted_keeps_what_came(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done > 4 * MIB:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        job(node, tmp_path / "ev", avml, limit_rate=8 * MIB, report=stop).execute()
    assert caught.value.exit_code == 130
    receipt = json.loads((tmp_path / "ev/receipt.json").read_bytes())
    assert receipt["status"] == "interrupted"
    assert receipt["missing"][0] == "interrupted by the user"
    kept = (tmp_path / "ev/image.lime.partial").read_bytes()
    whole = stream_of(node)
    assert len(kept) > 4 * MIB
    assert kept == whole[: len(kept)]
    assert clean(node)
    assert verify(tmp_path / "ev").holds


def test_a_full_disk_keeps_what_fitted_and_says_so(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "full", str(disk)], check=True)
    try:
        with pytest.raises(PartialError, match=r"No space left on device|the space that is free here"):
            job(node, disk / "ev", avml, format="avml").execute()
        receipt = json.loads((disk / "ev/receipt.json").read_bytes())
        assert receipt["status"] == "partial"
        size = (disk / "ev/image.avml.partial").stat().st_size
        assert receipt["image"]["size"] == size > 4 * MIB
        assert verify(disk / "ev").holds
        with pytest.raises((StorageError, PartialError), match=r"has no room|bytes free, the node has"):
            job(node, disk / "ev2", avml, format="lime").execute()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert clean(node)


def test_the_watchdog_cleans_up_when_the_controller_is_gone(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from memir.acquire.transports.local import LocalTransport; from memir.acquire.sinks.file import FileSink\n"
        "from memir.acquire.run import Acquisition, Options\n"
        "ev = Path(sys.argv[2])\n"
        "Acquisition(LocalTransport(Path(sys.argv[1])), FileSink(ev), ev, Options(tool_path=Path(sys.argv[3]),"
        " format='lime', context=False, grace=6, limit_rate=1 << 20)).execute()\n"
    )
    import sys

    process = subprocess.Popen([sys.executable, "-c", code, str(node.root), str(tmp_path / "ev"), str(avml)])
    until(lambda: list((node.root / "dev/shm").glob(".memir-2*/stream")), process.poll)
    process.kill()
    process.wait()
    assert node.left()
    assert clean(node)


def test_a_wrong_key_stops_before_the_node_is_touched(node: NodeRig, tmp_path: Path, avml: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the signing key"):
        job(node, tmp_path / "ev", avml, sign_key=tmp_path / "none").execute()
    assert node.left() == []


def test_not_root_is_said(tmp_path: Path, avml: Path) -> None:
    if os.geteuid() != 0:
        with pytest.raises(AccessError, match="is not root"):
            LocalTransport().connect()
    else:
        with pytest.raises(MemirError, match=r"root|chroot"):
            LocalTransport(tmp_path / "none").connect()


def test_the_rate_limit_holds(small_node: NodeRig, tmp_path: Path, avml: Path) -> None:
    receipt = job(small_node, tmp_path / "ev", avml, limit_rate=2 * MIB).execute()
    assert receipt["seconds"] > receipt["image"]["size"] / (2 * MIB) * 0.95
