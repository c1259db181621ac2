# SPDX-License-Identifier: Apache-2.0
"""The rows of a case of the EKS-shaped node held against containerd, /proc and the API: every difference, as a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet

Row = dict[str, Any]
STATUSES = {
    "initContainerStatuses": "init",
    "containerStatuses": "container",
    "ephemeralContainerStatuses": "ephemeral",
}
IDENT = re.compile(r"[0-9a-f]{64}")
MASKED = re.compile(r"\*\*\* \([a-z ]+, sha256 [0-9a-f]{16}\)")
# Go starts and ends threads of its own while the records are made
GO_PROGRAMS = {"containerd", "containerd-shim", "kubelet"}
HOW_IT_ENDED = ("exit_code", "reason", "started_at", "finished_at")
# what the kubelet's last report in RAM may be too old for, or no longer there, where no snapshot was given
OF_THE_API = ("phase", "owner", "qos", "node", "deleted_at", "service_account", "iam_role", "restarts", *HOW_IT_ENDED)


def rows(case: Path, table: str) -> list[Row]:
    found: list[Row] = pyarrow.parquet.read_table(case / "tables" / f"{table}.parquet").to_pylist()
    return found


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


class Truth:
    """What was recorded of the node beside its RAM."""

    def __init__(self, held: Path) -> None:
        node = json.loads((held / "truth.json").read_text())
        extra = json.loads((held / "extra.json").read_text())
        self.pods: list[Row] = json.loads((held / "pods.json").read_text())["items"]
        objects = json.loads((held / "cluster.json").read_text())["items"]
        self.accounts = {
            (one["metadata"]["namespace"], one["metadata"]["name"]): one["metadata"].get("annotations") or {}
            for one in objects if one["kind"] == "ServiceAccount"
        }  # fmt: skip
        # pods of a job come and go between the node's record, its RAM and the API's answer
        self.passing = any(one["kind"] == "CronJob" and not one["spec"].get("suspend") for one in objects)
        self.jobs = {
            pod["metadata"]["uid"] for pod in self.pods
            if any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or [])
        }  # fmt: skip
        self.tasks: list[Row] = node["tasks"]
        self.by_pid = {task["pid"]: task for task in self.tasks}
        self.running = {
            found[0]: int(found[1])
            for listed in extra["tasks"].values()
            for found in re.findall(r"^(\S+)\s+(\d+)\s+RUNNING", listed, re.M)
        }
        self.containers: dict[str, Row] = {}
        for space, listed in {"k8s.io": node["containers"], **extra["other"]}.items():
            self.containers |= {one["ID"]: one | {"space": space} for one in listed if one}
        self.uid_map: dict[str, list[str]] = extra["uid_map"]
        self.status: dict[str, tuple[Row, Row, str]] = {}
        for pod in self.pods:
            for key, kind in STATUSES.items():
                for status in pod["status"].get(key, []):
                    if status.get("containerID"):
                        self.status[status["containerID"].split("//")[1]] = (pod, status, kind)

    def passes(self, uid: str | None) -> bool:
        """Whether a pod may have been there in one of the records alone: a job's that still makes some."""
        known = {pod["metadata"]["uid"] for pod in self.pods} | {
            (pod["metadata"].get("annotations") or {}).get("kubernetes.io/config.hash") for pod in self.pods
        }
        return self.passing and uid is not None and (uid in self.jobs or uid not in known)

    def kind(self, ident: str) -> str:
        """sandbox, init, sidecar, ephemeral or container."""
        labels = self.containers[ident]["Labels"] or {}
        if labels.get("io.cri-containerd.kind") == "sandbox":
            return "sandbox"
        name, uid = labels.get("io.kubernetes.container.name"), labels.get("io.kubernetes.pod.uid")
        for pod in self.pods:
            if uid in (
                pod["metadata"]["uid"],
                (pod["metadata"].get("annotations") or {}).get("kubernetes.io/config.hash"),
            ):
                for one in pod["spec"].get("initContainers") or []:
                    if one["name"] == name:
                        return "sidecar" if one.get("restartPolicy") == "Always" else "init"
                if name in {one["name"] for one in pod["spec"].get("ephemeralContainers") or []}:
                    return "ephemeral"
        return "container"


def expected_container(truth: Truth, ident: str) -> Row:
    """Columns of a row by containerd, the node and the API."""
    known = truth.containers[ident]
    labels, spec = known["Labels"] or {}, known["Spec"]
    capabilities = (spec["process"].get("capabilities") or {}).get("effective") or []
    pid = truth.running.get(ident)
    want: Row = {
        "kind": truth.kind(ident), "container_name": labels.get("io.kubernetes.container.name"),
        "pod_uid": labels.get("io.kubernetes.pod.uid"), "pod_name": labels.get("io.kubernetes.pod.name"),
        "namespace": labels.get("io.kubernetes.pod.namespace"),
        "image": (spec.get("annotations") or {}).get("io.kubernetes.cri.image-name", known["Image"]),
        "args": spec["process"]["args"], "state": "running" if pid else "exited", "init_pid": pid,
        "privileged": len(capabilities) > 35 and not spec["linux"].get("seccomp"),
        "containerd_namespace": known["space"],
    }  # fmt: skip
    if pid in truth.by_pid:
        namespaces, host = truth.by_pid[pid]["ns"], truth.by_pid[1]["ns"]
        want |= {"host_pid": namespaces["pid"] == host["pid"], "host_network": namespaces["net"] == host["net"]}
        want |= {"host_users": namespaces["user"] == host["user"]}
    if ident in truth.status:
        status = truth.status[ident][1]
        ended = ended_as(status, ident)
        began = ended or status["state"].get("running") or {}
        want |= {"exit_code": ended.get("exitCode"), "reason": ended.get("reason")}
        want |= {"finished_at": moment(ended.get("finishedAt")), "started_at": moment(began.get("startedAt"))}
        want["restarts"] = status["restartCount"]
    return want


def ended_as(status: Row, ident: str) -> Row:
    """How a container ended: the present one, or the one that waits to be made anew."""
    for state in (status["state"], status.get("lastState") or {}):
        ended: Row = state.get("terminated") or {}
        if ended and (ended.get("containerID") or ident).endswith(ident):
            return ended
    return {}


def same_text(have: object, want: object) -> bool:
    """Whether arguments are equal but for what memir masks of them."""
    if not isinstance(have, list) or not isinstance(want, list) or len(have) != len(want):
        return False
    masked = (MASKED.split(text) for text in have)
    patterns = (".+".join(map(re.escape, parts)) for parts in masked)
    return all(re.fullmatch(pattern, text, re.S) for pattern, text in zip(patterns, want, strict=True))


def container_lines(case: Path, truth: Truth, *, cluster: bool) -> Iterator[str]:
    mine = {row["container_id"]: row for row in rows(case, "containers")}
    known, not_known = 0, 0
    for ident, container in truth.containers.items():
        labels = container["Labels"] or {}
        what = f"{labels.get('io.kubernetes.pod.name')}/{labels.get('io.kubernetes.container.name')} {ident[:12]}"
        row = mine.pop(ident, None)
        if truth.passes(labels.get("io.kubernetes.pod.uid")):
            continue
        if row is None:
            yield f"container {what}: no row"
            continue
        for name, value in expected_container(truth, ident).items():
            have = row[name]
            if name == "started_at" and value is not None and have is not None:
                # the process began up to seconds before the kubelet saw it
                have = value if abs((have - value).total_seconds()) < 60 else have
            if not cluster and name in OF_THE_API:
                known, not_known = known + (have is not None), not_known + (have is None and value is not None)
                if have is None:
                    continue
            if have != value and not (name == "args" and same_text(have, value)):
                yield f"container {what}: {name} is {have!r}, not {value!r}"
    for ident, row in mine.items():
        if row["state"] != "removed" and row["seen_in"] != "api" and not truth.passes(row["pod_uid"]):
            yield f"container {ident[:12]} is nowhere: {row['pod_name']}/{row['container_name']} {row['state']}"
    if not cluster:
        print(f"without the API: {known} facts of it known from RAM, {not_known} not")


def expected_pod(truth: Truth, pod: Row) -> Row:
    meta, spec, status = pod["metadata"], pod["spec"], pod["status"]
    notes = meta.get("annotations") or {}
    account = spec.get("serviceAccountName")
    roles = [
        variable["value"] for one in spec["containers"] for variable in one.get("env") or []
        if variable["name"] == "AWS_ROLE_ARN"
    ]  # fmt: skip
    annotated = truth.accounts.get((meta["namespace"], account), {}).get("eks.amazonaws.com/role-arn")
    owners = [f"{one['kind']}/{one['name']}" for one in meta.get("ownerReferences") or []]
    return {
        "pod_uid": notes.get("kubernetes.io/config.hash") if "kubernetes.io/config.mirror" in notes else meta["uid"],
        "qos": status.get("qosClass"), "host_network": bool(spec.get("hostNetwork")), "node": spec.get("nodeName"),
        "service_account": account, "phase": status["phase"], "owner": owners[0] if owners else None,
        "iam_role": roles[0] if roles else annotated, "deleted_at": moment(meta.get("deletionTimestamp")),
    }  # fmt: skip


def pod_lines(case: Path, truth: Truth, *, cluster: bool) -> Iterator[str]:
    mine: dict[tuple[str, str], list[Row]] = {}
    for row in rows(case, "pods"):
        mine.setdefault((row["namespace"], row["pod_name"]), []).append(row)
    for pod in truth.pods:
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        listed = mine.pop(key, [])
        if len(listed) != 1:
            yield f"pod {'/'.join(key)} has {len(listed)} rows"
        for row in listed:
            for name, value in expected_pod(truth, pod).items():
                if row[name] != value and (cluster or name not in OF_THE_API or row[name] is not None):
                    yield f"pod {'/'.join(key)}: {name} is {row[name]!r}, not {value!r}"
                elif row[name] != value:
                    print(f"not known without the API: pod {'/'.join(key)} {name} {value}")
    for key, listed in mine.items():
        if not all(row["removed"] or truth.passes(row["pod_uid"]) for row in listed):
            yield f"pod {key} is nowhere: {[(row['pod_uid'], row['seen_in'], row['containers']) for row in listed]}"


def process_lines(case: Path, truth: Truth) -> Iterator[str]:
    mine = {row["pid"]: row for row in rows(case, "processes")}
    compared = 0
    for task in truth.tasks:
        row = mine.get(task["pid"])
        if row is None or task["kthread"]:
            continue
        compared += 1
        for name, value in expected_process(truth, task).items():
            if name == "threads" and task["comm"] in GO_PROGRAMS:
                continue
            if row[name] != value:
                yield f"pid {task['pid']} {task['comm']}: {name} is {str(row[name])[:160]}, not {str(value)[:160]}"
    print(f"{len(truth.containers)} containers, {len(truth.pods)} pods, {compared} user processes compared")


def expected_process(truth: Truth, task: Row) -> Mapping[str, object]:
    exe = task["exe"] or ""
    want: Row = {
        "cap_effective": int(task["cap_eff"], 16), "seccomp": int(task["seccomp"]), "pids": task["nspid"],
        "threads": task["threads"], "exe": exe.removesuffix(" (deleted)"), "exe_deleted": exe.endswith(" (deleted)"),
        "kernel_thread": task["kthread"],
    }  # fmt: skip
    idents = [found[-1] for line in task["cgroup"] if (found := IDENT.findall(line))]
    if idents:
        labels = (truth.containers.get(idents[0]) or {}).get("Labels") or {}
        want["container_name"] = labels.get("io.kubernetes.container.name")
        want |= {
            "pod_name": labels.get("io.kubernetes.pod.name"),
            "namespace": labels.get("io.kubernetes.pod.namespace"),
        }
    return want


def differences(case: Path, held: Path, *, cluster: bool) -> list[str]:
    """All lines. cluster: the case was made with the API's view."""
    truth = Truth(held)
    lines = [*container_lines(case, truth, cluster=cluster), *pod_lines(case, truth, cluster=cluster)]
    return [*lines, *process_lines(case, truth)]
