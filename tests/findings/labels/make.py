# SPDX-License-Identifier: Apache-2.0
"""Labels of the findings of each image, from what made it: `python -m tests.findings.labels.make`.

A label: kind of finding, pod (`namespace/name`), container, pid, path, and the lowest severity that is acceptable. They
are made from the recorded truth and from the lists in tests/lab, never from what memir says. look_alikes: what belongs
there and must not be called high.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.images import ImageCase, cases, small_records
from tests.lab.pods import HELPER, INTRUDERS, SPOOFED_POD, container_id

HERE = Path(__file__).parent
BUILT = ("s-6.1-intruded",)
"""Images that `tests/run --long` builds: their labels are made when they are asked for."""
Label = dict[str, Any]


def label(kind: str, lowest: str, pod: str | None = None, container: str | None = None, **what: Any) -> Label:
    """pod: `namespace/name`. what: pid, path, container_id, pod_uid of those that a finding names."""
    return {"kind": kind, "lowest": lowest, "pod": pod, "container": container, **what}


def dropped(truth: Path, pod: str = "dev/miner-0") -> list[Label]:
    """The programs of tests/lab/small/apps.c in the pod miner-0: deleted, memfd with a forged name and rwx memory."""
    pids = {record["comm"]: record["pid"] for record in small_records(truth)["proc"]}
    return [
        label("deleted-executable", "high", pod, "miner", pid=pids["dropper"], path="/tmp/dropper"),
        label("memfd-executable", "high", pod, "miner", pid=pids["kworker/u8:3"], path="/memfd:x"),
        label("created-executable", "medium", None, None, path="/tmp/dropper"),
        label("kernel-thread-name", "high", pod, "miner", pid=pids["kworker/u8:3"]),
        label("anonymous-executable-memory", "medium", pod, "miner", pid=pids["kworker/u8:3"]),
    ]


BY_INTRUDER = {
    "stepped-onto-the-node": ("node-namespaces", "high"),
    "exec-session": ("exec-session", "medium"),
    "pod-namespaces-in-root-cgroup": ("left-cgroup", "high"),
    "host-namespaces-in-pod-cgroup": ("node-namespaces", "high"),
    "pod-in-another-pods-cgroup": ("other-pods-cgroup", "high"),
    "pod-namespaces-in-containerd-cgroup": ("left-cgroup", "high"),
    "pod-namespaces-in-made-up-service": ("left-cgroup", "high"),
    "only-net-namespace-of-pod": ("joined-namespaces", "medium"),
    "only-mount-namespace-of-pod": ("joined-namespaces", "medium"),
    "host-pid-namespace-child-of-pod": ("node-namespaces", "high"),
    "hidden-from-the-task-list": ("hidden-task", "high"),
    "hidden-from-proc": ("hidden-task", "high"),
    "hidden-from-both": ("hidden-task", "high"),
    "hidden-from-every-list": ("hidden-task", "high"),
    "hidden-in-a-pod": ("hidden-task", "high"),
    "hidden-in-a-pod-from-every-list": ("hidden-task", "high"),
}
"""The intruders of tests/lab/pods.py. The spoofed cgroup is labelled as the container that it names."""


def intruded(image: ImageCase) -> list[Label]:
    """s-6.12-intruded, s-6.1-intruded: the intruders of tests/lab/pods.py, and what the pod api's program starts."""
    processes = image.labels()["processes"]
    pods = {intruder.label: intruder.pod for intruder in INTRUDERS}
    labels = dropped(image.truth)
    for row in processes:
        if row["label"] in BY_INTRUDER:
            kind, lowest = BY_INTRUDER[row["label"]]
            pod = pods[row["label"]]
            whose = f"{pod.namespace}/{pod.name}" if pod else None
            labels.append(label(kind, lowest, whose, row["container_name"], pid=row["pid"]))
    records = small_records(image.truth)["proc"]
    (escaped,) = (row["pid"] for row in processes if row["label"] == "stepped-onto-the-node")
    (child,) = (record["pid"] for record in records if record["ppid"] == escaped)
    pids = {record.get("cmdline", "").split("\0")[0]: record["pid"] for record in records}
    api, miner, memfd = "shop/api-58f6c9d7b4-q8xkz", pids["./kworkerds"], pids["[kworker/u4:2]"]
    return [
        *labels,
        label("node-namespaces", "high", "shop/toolbox", "toolbox", pid=child),
        label("deleted-executable", "high", api, "api", pid=miner, path="/tmp/.x/kworkerds"),
        label("kernel-thread-name", "high", api, "api", pid=miner),
        label("miner", "high", api, "api", pid=miner),
        label("created-executable", "medium", api, "api", path="/tmp/.x/kworkerds"),
        label("memfd-executable", "high", api, "api", pid=memfd, path="/memfd:kthreadd"),
        label("kernel-thread-name", "high", api, "api", pid=memfd),
        label("unknown-container", "high", None, None, container_id=HELPER.id),
        label("unknown-container", "high", None, None, container_id=container_id("spoofed")),
        label("unknown-pod", "medium", None, None, pod_uid=SPOOFED_POD),
        label("privileged-container", "medium", "shop/toolbox", "toolbox"),
    ]  # fmt: skip


def node_6_1(image: ImageCase) -> list[Label]:
    """node-6.1: what the intruder's script left, by the command lines that it started."""
    pids: dict[str, list[int]] = {}
    truth = image.recorded()
    for pid, process in truth.items():
        pids.setdefault(" ".join(process.args or []), []).append(pid)

    def pid_of(part: str) -> int:
        (pid,) = (numbers[0] for words, numbers in pids.items() if part in words and "nsenter" not in words)
        return pid

    api, tools = "shop/api-8489696577-l7df2", "shop/toolbox"
    miner, memfd, escaped = pid_of("./kworkerds"), pid_of("[kworker/u4:2]"), pid_of("hostescape")
    (child,) = (pid for pid, process in truth.items() if process.ppid == escaped)
    # it was started with this command line, in a cgroup of its own beside those of pods (`ctr run`)
    (rogue,) = (process for process in truth.values() if "do sleep 1000; done" in " ".join(process.args or []))
    helper = "a82f117191b070bb64f8e260264cd9854a16550695d7cf29c8710de67d046770"
    assert "helper" in rogue.cgroups[0]
    return [
        label("deleted-executable", "high", api, "api", pid=miner, path="/tmp/.x/kworkerds"),
        label("kernel-thread-name", "high", api, "api", pid=miner),
        label("miner", "high", api, "api", pid=miner),
        label("memfd-executable", "high", api, "api", pid=memfd, path="/memfd:kthreadd"),
        label("kernel-thread-name", "high", api, "api", pid=memfd),
        label("history-off", "medium", api, "api", pid=memfd),
        label("created-executable", "medium", api, "api", path="/tmp/.x/kworkerds"),
        label("code-on-command-line", "high", api, "api", pid=pid_of("REVSHELL")),
        label("exec-session", "medium", api, "api", pid=pid_of("export STAGE=2")),
        label("node-namespaces", "high", tools, "toolbox", pid=escaped),
        label("node-namespaces", "high", tools, "toolbox", pid=child),
        label("privileged-container", "medium", tools, "toolbox"),
        label("unknown-container", "high", None, None, container_id=helper),
    ]


def node_6_1_with_logs(image: ImageCase) -> list[Label]:
    """node-6.1 with the API server's audit log: the five execs of the intruder's script, each by what it started."""
    by_kind = {(each["kind"], each.get("path")): each["pid"] for each in node_6_1(image) if "pid" in each}
    api, tools = "shop/api-8489696577-l7df2", "shop/toolbox"
    escaped = min(each["pid"] for each in node_6_1(image) if each["kind"] == "node-namespaces")
    return [
        label("api-session", "high", api, pid=by_kind["deleted-executable", "/tmp/.x/kworkerds"]),
        label("api-session", "high", api, pid=by_kind["memfd-executable", "/memfd:kthreadd"]),
        label("api-session", "medium", api, pid=by_kind["code-on-command-line", None]),
        label("api-session", "medium", api, pid=by_kind["exec-session", None]),
        label("api-session", "high", tools, pid=escaped),
    ]


LOOK_ALIKES = {
    "node-6.1": [
        {"pod": "kube-system/node-agent-", "why": "DaemonSet of the node: privileged, hostPID, hostNetwork, /host"},
        {"pod": "shop/web-", "why": "nginx and a shell that sleeps, as their specs say"},
        {"pod": "payments/ledger", "why": "its spec runs nc -e; the connection is the api pod's doing"},
        {"pod": "shop/migrate-", "why": "a job that has ended"},
    ],
    "s-6.12-intruded": [
        {"pod": "kube-system/agent-x9z2k", "why": "host network, as its spec says"},
        {"pod": "shop/migrate-w57gd", "why": "a job that has ended"},
    ],
}  # fmt: skip
LOOK_ALIKES["s-6.1-intruded"] = LOOK_ALIKES["s-6.12-intruded"]
SMALL = [
    {"pod": "shop/web-7d4b9c6f5-abcde", "why": "a server and its client"},
    {"pod": "kube-system/agent-x9z2k", "why": "host network, another cgroup driver"},
]


def make(image: ImageCase) -> dict[str, Any]:
    """The labels of an image."""
    makers = {"node-6.1": node_6_1, "s-6.12-intruded": intruded, "s-6.1-intruded": intruded}
    maker = makers.get(image.name)
    labels = dropped(image.truth) if maker is None else maker(image)
    document = {"image": image.name, "labels": labels, "look_alikes": LOOK_ALIKES.get(image.name, SMALL)}
    # of findings over its logs, beside those over memory alone
    return document | ({"with_logs": node_6_1_with_logs(image)} if image.name == "node-6.1" else {})


def main() -> None:
    """One file an image; one that the tests build anew, with other pids each time, has none."""
    for name, image in cases().items():
        if name in BUILT:
            continue
        text = json.dumps(make(image), indent=1)
        (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
