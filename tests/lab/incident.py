# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check incident: from an alert to findings and back, on a real node with the intruder of kube/5-attack.sh.

An alert file as EventBridge writes it; plan, respond, analyze, undo, by memir's own commands, each printed with what it
answered; the time from the alert to the first finding. Steps that need an AWS account are taken out of the plan, as a
reader would. Exit code 1 if the pod's UID does not survive, a finding about the pod lacks, or undo keeps what it could
take back. By hand: root, Debian, Go, half an hour. In a network namespace of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memir.case.case import Case
from memir.respond.launch import save_plan
from memir.respond.plan import read_plan
from tests.lab.isolation import OWN, alone, build
from tests.lab.pod_images import NODE, kubectl, lab, memir, node, script, tools

IMAGE = "public.ecr.aws/amazonlinux/amazonlinux:2023"
"""Of the pod that takes RAM, unless told otherwise: the closed node has it under this name."""
DEBIAN = "registry.example/shop/web:2.0.1"
INSTANCE = "i-0abc1234def567890"


def alert(pod: dict[str, Any]) -> dict[str, Any]:
    """GuardDuty's finding on a program that was put into a container, as EventBridge has it."""
    meta, status = pod["metadata"], pod["status"]["containerStatuses"][0]
    container = {"name": status["name"], "id": status["containerID"], "image": status["image"]}
    workload = {
        "name": meta["name"], "type": "pods", "uid": meta["uid"], "namespace": meta["namespace"],
        "containers": [container],
    }  # fmt: skip
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    process = {"name": "kworkerds", "executablePath": "/tmp/.x/kworkerds", "startTime": now, "euid": 0}
    return {
        "version": "0", "id": "8f3c0d6e", "detail-type": "GuardDuty Finding", "source": "aws.guardduty",
        "account": "111122223333", "time": now, "region": "eu-west-1", "resources": [],
        "detail": {
            "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "id": "5" * 32,
            "type": "Execution:Runtime/NewBinaryExecuted", "severity": 5,
            "resource": {
                "resourceType": "EKSCluster",
                "eksClusterDetails": {"name": "lab", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/lab"},
                "instanceDetails": {"instanceId": INSTANCE},
                "kubernetesDetails": {"kubernetesWorkloadDetails": workload},
            },
            "service": {
                "serviceName": "guardduty", "eventFirstSeen": now, "eventLastSeen": now, "count": 1,
                "runtimeDetails": {"process": process},
            },
        },
    }  # fmt: skip


class Transcript:
    """Commands and what they answered, as the guide shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wrong = folder, list[str]()

    def run(self, *words: str | Path, codes: tuple[int, ...] = (0,)) -> str:
        """One command of memir's, with its time."""
        shown = " ".join(str(word) for word in words).replace(f"{self.folder}/", "")
        code, text, seconds = memir(*words, limit=3600)
        print(f"$ memir {shown}\n{text}# exit code {code}, {seconds:.0f} s\n", flush=True)
        if code not in codes:
            self.wrong.append(f"memir {words[0]} ended with {code}")
        return text

    def right(self, what: str, holds: bool) -> None:
        """Noted if it does not hold."""
        if not holds:
            self.wrong.append(what)


def incident(folder: Path) -> list[str]:
    """What was wrong. The node runs, with its intruder."""
    config, place = lab() / "admin.conf", Transcript(folder)
    (pod,) = json.loads(kubectl("-n", "shop", "get", "pods", "-l", "app=api", "-o", "json"))["items"]
    path, evidence, case = folder / "alert.json", folder / "evidence", folder / "case"
    path.write_text(json.dumps(alert(pod)))
    began = time.monotonic()
    reach = ("--kubeconfig", config)
    place.run("plan", "--guardduty", path, "--by", "pod", "--evidence", evidence, *reach, "-o", folder / "whole.yaml")
    whole, _ = read_plan(folder / "whole.yaml")
    kept = dataclasses.replace(whole, steps=tuple(step for step in whole.steps if not step.unresolved))
    print("# steps that need the AWS account are taken out:", *(step.id for step in whole.steps if step.unresolved))
    digest = save_plan(kept, folder / "plan.yaml")
    place.run("respond", folder / "plan.yaml", "--execute", "--approve", digest, *reach)
    place.run("analyze", evidence / NODE, "-o", case, "--logs", path)
    seconds = time.monotonic() - began
    rows = Case(case)["findings"].to_pylist()
    ours = sorted(row["kind"] for row in rows if row["pod_uid"] == pod["metadata"]["uid"])
    print(f"# from the alert to the first finding: {seconds:.0f} s; {len(rows)} findings, of the pod:", *ours)
    place.right("findings about the pod of the alert lack", {"deleted-executable", "miner"} <= set(ours))
    place.run("respond", folder / "plan.yaml", "--undo", "--approve", digest, *reach, codes=(0, 4))
    (now,) = json.loads(kubectl("-n", "shop", "get", "pods", "-l", "app=api", "-o", "json"))["items"]
    place.right("the pod's UID changed", now["metadata"]["uid"] == pod["metadata"]["uid"])
    place.right("its labels are not as before", now["metadata"].get("labels") == pod["metadata"].get("labels"))
    return place.wrong


def give_image() -> None:
    """The image of memir's pods: one with a shell and coreutils, as Amazon Linux has, that the node has already."""
    node(f"ctr -n k8s.io images tag {DEBIAN} {IMAGE}")


def main() -> int:
    """0 if all was right."""
    if OWN not in os.environ:  # what needs the network comes before the namespace without one
        build()
        tools()
    if (code := alone("tests.lab.incident")) is not None:
        return code
    folder = lab() / "out" / "incident"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        script("4-up.sh", os.environ.get("MB", "1024"), "init_on_free=1")
        script("5-attack.sh")
        give_image()
        # free pages are zeros (init_on_free=1): without its caches half as much goes through the emulated processor
        node("sync; echo 3 > /proc/sys/vm/drop_caches; sleep 1")
        wrong = incident(folder)
    finally:
        script("7-down.sh")
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
