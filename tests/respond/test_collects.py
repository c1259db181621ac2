# SPDX-License-Identifier: Apache-2.0
"""A whole response in which the step collect collects for real: over a real sshd, from a pod of this machine.

`memir plan`, `memir respond` and what it starts are run as they are typed; the API server is the strict stand-in.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.evidence.pod_receipt import pod_receipt_of
from memir.evidence.verify import verify
from memir.respond.journal import read_journal
from memir.respond.launch import save_plan
from memir.respond.plan import read_plan
from tests.acquire.rigs.sshd import Sshd
from tests.collect.podrig import HEAP, PodRig
from tests.respond import shop
from tests.respond.strict_api import StrictApi
from tests.respond.worlds import without

POD = f"/api/v1/namespaces/shop/pods/{shop.WEB}"


class HeldApi(StrictApi):
    """held: called at the first request for a container's log, which is in the middle of a collection."""

    held: Any = None

    def answer(self, method: str, url: str, body: str, content_type: str) -> tuple[int, dict[str, Any]]:
        if "/log?" in url and self.held is not None:
            held, self.held = self.held, None
            held()
        return super().answer(method, url, body, content_type)


@dataclass
class Place:
    """Where it happens. folder: of the plan and the evidence; digest: of the plan as it is run."""

    folder: Path
    server: HeldApi
    pod: PodRig
    digest: str
    words: tuple[str, ...]
    environment: dict[str, str]

    @property
    def evidence(self) -> Path:
        return self.folder / f"evidence/pods/shop_{shop.WEB}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "memir", *words], capture_output=True, text=True, check=False, cwd=self.folder,
            env=self.environment,
        )  # fmt: skip

    def respond(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("respond", "plan.yaml", *words, "--approve", self.digest, *self.words)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    server = HeldApi()
    server.load(shop.items())
    known = server.objects[POD]
    container = known["status"]["containerStatuses"][0]["containerID"].rpartition("//")[2]
    rig = PodRig(tmp_path / "pod", shop.WEB, "shop", known["metadata"]["uid"], container)
    home = tmp_path / "home/.ssh"
    home.mkdir(parents=True, mode=0o700)
    try:
        rig.start()
        with Sshd(rig.root / "run/sshd-rig", chroot=rig.root) as sshd:
            sshd.trust(home / "known_hosts")
            (home / "config").write_text(
                f"Host {shop.NODE}\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User root\n"
                f"  IdentityFile {sshd.client_key}\n  UserKnownHostsFile {home}/known_hosts\n"
            )
            kubeconfig = server.start(tmp_path)
            source = str(Path(memir.__file__).parents[1])
            environment = os.environ | {"HOME": str(tmp_path / "home"), "PYTHONPATH": source}
            made = Place(tmp_path, server, rig, "", ("--kubeconfig", str(kubeconfig)), environment)
            _plan(made)
            yield made
    finally:
        server.stop()
        rig.stop()


def _plan(place: Place) -> None:
    """As it is typed; then what needs an account is taken out of the file, as the plan says that one may."""
    shop.folder(place.folder / "cluster")
    planned = place.run("plan", "--pod", f"shop/{shop.WEB}", "--cluster", "cluster", "--by", "ssh", "--evidence",
                        "evidence", "-o", "whole.yaml")  # fmt: skip
    assert planned.returncode == 0, planned.stderr
    whole, _ = read_plan(place.folder / "whole.yaml")
    kept = without(whole, "acquire", "snapshot-volumes", "isolate-node", "hold", "revoke", "pause")
    assert next(step.kind for step in kept.steps) == "collect"
    place.digest = save_plan(kept, place.folder / "plan.yaml")


@pytest.mark.long("a pod, an sshd and seven commands")
def test_killed_in_the_middle_gone_on_with_and_analyzed(place: Place) -> None:
    def kill() -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    place.server.held = kill
    words = [sys.executable, "-m", "memir", "respond", "plan.yaml", "--execute", "--approve", place.digest]
    process = subprocess.Popen(
        [*words, *place.words], cwd=place.folder, env=place.environment, start_new_session=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (place.evidence / "api/pod.json").is_file(), "it was in the middle of the collection"
    assert [record["event"] for record in read_journal(place.folder / "plan.run")][-1] == "before"

    refused = place.respond("--resume")
    assert refused.returncode == 4
    assert "holds evidence that is begun: move the folder away (a collection is not gone on with; " in refused.stderr
    assert "`memir collect close FOLDER` closes one that was killed" in refused.stderr
    closed = place.run("collect", "close", str(place.evidence))
    assert (closed.returncode, closed.stderr) == (0, "")
    place.evidence.rename(place.folder / "cut")

    done = place.respond("--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete: pod" in done.stdout
    receipt = pod_receipt_of(place.evidence)
    assert receipt is not None
    assert (receipt.status, receipt.collection.pod.uid, receipt.case) == (
        "complete", place.pod.uid, read_plan(place.folder / "plan.yaml")[0].id,
    )  # fmt: skip
    assert HEAP in (place.evidence / f"clear/memory/{place.pod.pid}.core").read_bytes()
    assert verify(place.evidence).problems == []
    assert verify(place.folder / "cut").status == "interrupted"
    assert place.pod.left() == [], "nothing is on the node"
    events = read_journal(place.folder / "plan.run")
    assert events[-1]["event"] == "end"
    assert place.server.objects[POD]["metadata"]["labels"]["memir/isolate"], "what comes after it was done"
    collected = next(number for number, record in enumerate(events) if record["event"] == "after")
    assert "collect" in str(events[collected])
    assert place.server.refused == []

    with memir.open(place.evidence) as node:
        rows = node.sql("select pid, container_id, pod_name from processes").to_arrow().to_pylist()
        assert (place.pod.pid, place.pod.container, shop.WEB) in {tuple(row.values()) for row in rows}
        changed = node.sql("select container_path from inodes where change = 'whiteout'").to_arrow().to_pylist()
        assert changed == [{"container_path": "/etc/gone"}]
    analyzed = place.run("analyze", str(place.evidence), "-o", "case")
    assert analyzed.returncode == 0, analyzed.stderr
    assert "shop/web" in analyzed.stdout
    undone = place.respond("--undo")
    assert undone.returncode == 4, "evidence is kept, and that is told"
    assert "evidence is kept" in undone.stdout
    assert "memir/isolate" not in place.server.objects[POD]["metadata"]["labels"]
