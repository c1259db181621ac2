# SPDX-License-Identifier: Apache-2.0
"""labels.json: which process is which intruder, what should be concluded of it, and how the hidden ones were hidden."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.images import small_records
from tests.lab.hide import hide
from tests.lab.pods import HELPER, INTRUDERS, JOB, NODE, SPOOFED_POD


def _pids(truth: Path) -> dict[tuple[str, ...], list[int]]:
    found: dict[tuple[str, ...], list[int]] = {}
    for record in small_records(truth)["proc"]:
        found.setdefault(tuple(record.get("cmdline", "").split("\0")[:-1]), []).append(record["pid"])
    return found


def make(raw: Path, truth: Path) -> dict[str, Any]:
    """The labels of an image just saved; hides in it those that are to be hidden."""
    pids = _pids(truth)
    processes: list[dict[str, Any]] = []
    for intruder in INTRUDERS:
        shown = intruder.shows or intruder.args
        (pid,) = pids[shown]
        processes.append(
            {
                "label": intruder.label, "pid": pid, "args": list(shown),
                "pod_name": intruder.pod.name if intruder.pod else None, "container_name": intruder.container,
                "disagreements": list(intruder.disagreements), "hidden_from": list(intruder.hidden), "changes": [],
            }
        )  # fmt: skip
    changes = hide(raw, {row["pid"]: tuple(row["hidden_from"]) for row in processes if row["hidden_from"]})
    for row in processes:
        row["changes"] = [asdict(change) for change in changes.get(row["pid"], [])]
    return {
        "node": NODE,
        "processes": processes,
        # known by the name of a cgroup alone, and a process that the node's mounts speak against
        "pods": [{"label": "spoofed-pod", "pod_uid": SPOOFED_POD, "pod_name": None, "seen_in": "ram"}],
        "containers": [
            {"label": "container-without-a-pod", "container_id": HELPER.id, "container_name": HELPER.name,
             "args": list(HELPER.args), "state": "running", "seen_in": "ram"},
            *({"label": "ended-job", "container_id": one.id, "container_name": name, "args": list(one.args),
               "state": "exited", "seen_in": seen}
              for one, name, seen in ((JOB.sandbox, None, "ram"), (JOB.containers[0], JOB.containers[0].name, "both"))),
        ],
    }  # fmt: skip
