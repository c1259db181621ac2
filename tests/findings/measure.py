# SPDX-License-Identifier: Apache-2.0
"""docs/reference/precision.md: `MEMIR_IMAGES=FOLDER python -m tests.findings.measure > docs/reference/precision.md`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.findings.real import every
from tests.findings.score import LABELS, labels_of, score
from tests.findings.with_logs import every_with_logs
from tests.images import cases

HEAD = """# Precision and recall of findings

Made by `python -m tests.findings.measure` from the labels in tests/findings/labels, which were written from the
recorded truth and committed before the detection of their kind was. A label is a kind of finding on a pod,
container, process, path or container id, with the lowest severity that is acceptable; a finding matches one
label, once. An image with its own logs has a second line: labels of what the logs tell beside those of memory, and all
findings over both. Precision: high and critical findings that match a label, of all high and critical ones. Recall:
labels that a finding matches, of all labels.

Every image here was read while detections were written: the figures show that nothing labelled is lost and that
nothing else is called high on these images, not what happens on others. None of them is a node without an
intruder; their other pods (nginx, a shell that sleeps, a privileged DaemonSet with hostPID, an API that is
Python on its command line) stand for what is clean.

One node was left unread until the detections were written: Kubernetes 1.34 on kernel 6.1, 1,536 MiB, the workload
of tests/lab/kube/scenario.yaml and no intruder (`tests/lab/kube/4-up.sh 1536`), with the API's view and audit log. No
high and no critical finding; one medium (unexpected-listener: `nc` listens in the pod ledger, whose spec names no
port), three info (the node agent's rights).

One intruded node was left unread: `tests/lab/build s-6.1-second` (kernel 6.1, 192 MiB, its pods' API view), whose 20
labels (tests/findings/labels/s-6.1-second.json, made by tests/lab/second.py) were committed before memir read it, once,
with the tables that detections look at. Precision of high and critical 1.00 (6 of 6), recall 0.70 (14 of 20); 9 medium,
14 low or info. Missed: a program in a container's /dev/shm, a listener on 31337 in a sidecar. Told, but only as info
where the label asks for more: a cron job and an SSH key that a privileged pod left through its hostPath, the program of
it that then ran on the node, and the hostPath itself. Since then the two that were missed are told
(created-executable on a file system of RAM, unexpected-listener of a program that came later); these figures are of the
one unread look.

A second clean node was read once: `tests/lab/check clean` (tests/lab/clean/scenario.yaml; kernel 6.1, 1,536 MiB, 13
pods, 31 containers, with the API's view and audit log): a JVM, node.js behind jemalloc (LD_PRELOAD), Go, nginx in a
mesh's sidecar, PostgreSQL, a cron job, a DaemonSet with hostPID that reads every process, privileged CNI and CSI
look-alikes, probes by exec, apt-get at a container's start, an open `kubectl debug`. What may be told of it
(tests/lab/clean_labels.py) was committed before. No high and no critical finding; 6 medium, of which 5 were false
(joined-namespaces: runc of the node, in all of the node's namespaces, while it started probes) and one is expected
(created-executable: jq by apt-get); 10 low, 8 info. Since then a process that has joined no namespace is no longer
told; these figures are of the one look. The node was slow in emulation: its RAM was saved by hand when all but one pod
were ready (two containers in one pid namespace, which was being deleted), after stopped tasks that containerd did not
get rid of had been removed by hand. Not among them: a mesh's real proxy, a service account that is used, BPF programs
of a network plugin.

| image | high and critical | match a label | precision | labels | matched | recall | medium | low, info |
|---|---|---|---|---|---|---|---|---|
"""


def lines() -> Iterator[str]:
    """A line of the table for each image that is here and has labels."""
    for name in sorted(cases()):
        if (LABELS / f"{name}.json").is_file():
            yield line(name)
            if "with_logs" in labels_of(name):
                yield line(name, logs=True)


def line(name: str, *, logs: bool = False) -> str:
    """The line of an image. logs: of its findings over memory and its own logs together."""
    rows = every_with_logs(name) if logs else every(name)
    labels = labels_of(name)
    result = score(rows, labels["labels"] + (labels["with_logs"] if logs else []))
    medium = sum(row["severity"] == "medium" for row in rows)
    cells = (
        f"{name}, with its audit log" if logs else name, result.high, result.right, f"{result.precision:.2f}",
        result.labels, result.matched,
        f"{result.recall:.2f}", medium, len(rows) - medium - result.high,
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    print(HEAD + "\n".join(lines()))
