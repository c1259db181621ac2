# SPDX-License-Identifier: Apache-2.0
"""What each witness says of a process, container, pod or node, kept whole; and which of them is believed.

A fact is never merged away: every witness's word is a Claim, PRECEDENCE says who has the last one, and what the
others say differently stays beside it as a doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["process", "container", "pod", "node"]
Value = str | int | bool


class Subject(NamedTuple):
    """Whom a claim is about: a process by pid, a container by id, a pod by UID, the node ("")."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


def of_process(pid: int) -> Subject:
    """A process of the node, by its pid in the initial pid namespace."""
    return Subject("process", str(pid))


def of_container(container_id: str) -> Subject:
    """A container by its id."""
    return Subject("container", container_id)


def of_pod(uid: str) -> Subject:
    """A pod by its UID (of a static pod: its configuration's hash)."""
    return Subject("pod", uid)


NODE = Subject("node", "")
"""The node whose memory this is."""


class Claim(NamedTuple):
    """One thing that one witness says.

    field: a column of the subject's table. witness: a key of WITNESSES. where: the document it was read from, "" if
    the witness is the kernel itself.
    """

    subject: Subject
    field: str
    value: Value
    witness: str
    where: str = ""


WITNESSES: Mapping[str, str] = {
    "cgroup": "the kernel's cgroup path",
    "container": "the container that the process is in",
    "mnt_ns": "mount namespace: whose first process has it too",
    "net_ns": "network namespace: whose first process has it too",
    "pid_ns": "pid namespace",
    "ipc_ns": "IPC namespace",
    "uts_ns": "UTS namespace",
    "user_ns": "user namespace",
    "cgroup_ns": "cgroup namespace",
    "namespaces": "namespaces of the container's first process",
    "process": "start of the container's first process",
    "mounts": "the node's mounts",
    "shim": "command line of the container monitor above the process",
    "env": "the process's own environment: whoever wants to writes it",
    "uts": "host name of the process's UTS namespace",
    "spec": "OCI spec (config.json, or containerd's copy of it)",
    "sandbox": "OCI spec of the pod's sandbox",
    "state": "runtime state (state.json of runc, status of crun)",
    "metadata": "containerd's meta.db, reached by its tree",
    "sibling": "another container of the same pod",
    "hostname": "host name of process 1",
    "firmware": "the machine's DMI table",
    "kubelet": "command line of the kubelet",
    "file": "a file of the node in page cache",
    "token": "service account token in the pod's projected volume; its signature is not checked",
    "status": "pod status as the kubelet sent it to the API, found in its memory",
    "event": "key of an event that the kubelet sent, in its memory",
    "cri": "status file of containerd's CRI plugin, in page cache",
    "watch": "the kubelet's own object of the pod, in its memory",
    "API": "the API server's answer, given with --cluster",
}

PRECEDENCE: Mapping[tuple[Kind, str], tuple[str, ...]] = {
    # The kernel's word comes first, then what the runtime wrote as root, then what the API was told.
    ("process", "container_id"): ("cgroup", "mnt_ns", "shim"),
    ("process", "pod_uid"): ("container", "cgroup", "net_ns", "shim"),
    # spec and runtime know sandboxes and containers; which are init, sidecar or ephemeral the pod's spec tells
    ("container", "kind"): ("API", "status", "event", "spec", "state", "metadata"),
    ("container", "container_name"): ("spec", "state", "metadata", "status", "API"),
    ("container", "pod_uid"): ("spec", "state", "sandbox", "cgroup", "metadata", "status", "API"),
    ("container", "pod_name"): ("spec", "sandbox", "state", "metadata", "sibling", "status", "API"),
    ("container", "namespace"): ("spec", "sandbox", "state", "metadata", "sibling", "status", "API"),
    ("container", "image"): ("spec", "state", "metadata", "API", "status"),
    ("container", "runtime"): ("spec", "state", "cgroup", "API"),
    ("container", "sandbox_id"): ("spec", "state", "metadata"),
    ("container", "containerd_namespace"): ("metadata", "spec", "state", "shim"),
    ("container", "cgroup_path"): ("cgroup",),
    # What a container was given is what its first process has, whatever the spec asked for.
    ("container", "host_pid"): ("namespaces", "spec", "sandbox"),
    ("container", "host_network"): ("namespaces", "spec", "sandbox"),
    ("container", "host_users"): ("namespaces", "spec", "sandbox"),
    ("container", "rootfs"): ("mounts", "spec"),
    # How a container ended the kubelet tells, and the runtime that told it: both later than what was asked of the API.
    ("container", "exit_code"): ("status", "cri", "API"),
    ("container", "reason"): ("status", "cri", "API"),
    ("container", "restarts"): ("metadata", "status", "API"),
    ("container", "started_at"): ("status", "cri", "API", "process"),
    ("container", "finished_at"): ("status", "cri", "API"),
    ("pod", "pod_name"): ("spec", "sandbox", "state", "metadata", "sibling", "token", "status", "API"),
    ("pod", "namespace"): ("spec", "sandbox", "state", "metadata", "sibling", "token", "status", "API"),
    ("pod", "qos"): ("spec", "cgroup", "status", "API"),
    ("pod", "host_network"): ("sandbox", "namespaces", "spec", "API"),
    ("pod", "service_account"): ("token", "API"),
    ("pod", "iam_role"): ("spec", "API"),
    ("pod", "owner"): ("API",),
    ("pod", "phase"): ("API", "status"),
    ("pod", "deleted_at"): ("API", "watch"),
    ("pod", "node"): ("API",),
    ("node", "name"): ("API", "kubelet", "hostname"),
    ("node", "instance_id"): ("firmware", "kubelet", "API"),
}
"""By kind of subject and field, the witnesses that may decide it, heaviest first. One that is not there never decides:
its claims only confirm or contradict."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A field's value, who said it, and the claims of another value; None, None where nobody who may decide spoke."""

    value: Value | None = None
    witness: str | None = None
    doubts: tuple[Claim, ...] = ()


_NOTHING = Resolved()
_WEIGHT = {what: {witness: place for place, witness in enumerate(heard)} for what, heard in PRECEDENCE.items()}


class Claims:
    """Every claim by subject and field, in the order in which witnesses were heard; those of the node come first,
    which are heard when somebody asks which node it is."""

    def __init__(self) -> None:
        self._by: dict[Subject, dict[str, dict[Claim, None]]] = {}
        self.images: Mapping[str, str] = {}
        """Digest of images by their names, as containerd has them: two names of one image are no difference."""

    def add(self, subject: Subject, field: str, value: Value | None, witness: str, where: str = "") -> None:
        """Keep what a witness says. Silence (None, "") is no claim; the same claim counts once."""
        if value is None or value == "":
            return
        claim = Claim(subject, field, value, witness, where)
        self._by.setdefault(subject, {}).setdefault(field, {})[claim] = None

    def extend(self, other: Claims) -> None:
        """Take over every claim of another collection."""
        for subject, fields in other._by.items():
            mine = self._by.setdefault(subject, {})
            for name, claims in fields.items():
                mine.setdefault(name, {}).update(claims)

    def copy(self) -> Claims:
        """A collection of its own with the same claims."""
        other = Claims()
        for subject, fields in self._by.items():
            other._by[subject] = {name: dict(claims) for name, claims in fields.items()}
        other.images = self.images
        return other

    def resolve(self, subject: Subject, field: str) -> Resolved:
        """The word of the heaviest witness (of one witness's words the first), and what differs from it."""
        claims = self._by.get(subject, {}).get(field)
        if not claims:
            return _NOTHING
        order = _WEIGHT.get((subject.kind, field), {})
        deciding = [claim for claim in claims if claim.witness in order]
        if not deciding:
            return Resolved(doubts=tuple(claims))
        best = min(deciding, key=lambda claim: order[claim.witness])
        others = (claim for claim in claims if not self._same(field, claim.value, best.value))
        return Resolved(best.value, best.witness, tuple(others))

    def _same(self, field: str, value: Value, other: Value) -> bool:
        """Whether two values of a field mean the same."""
        if field != "image" or value == other:
            return value == other
        names = _image(str(value)), _image(str(other))
        digests = [self.images.get(name, name) for name in names]
        return names[0] == names[1] or digests[0] == digests[1]

    def text(self, subject: Subject, field: str) -> str | None:
        """The resolved value of a field of text."""
        value = self.resolve(subject, field).value
        return value if isinstance(value, str) else None

    def flag(self, subject: Subject, field: str) -> bool | None:
        """The resolved value of a boolean field."""
        value = self.resolve(subject, field).value
        return value if isinstance(value, bool) else None

    def number(self, subject: Subject, field: str) -> int | None:
        """The resolved value of a field of whole numbers (ns since 1970 UTC for times)."""
        value = self.resolve(subject, field).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def set_aside(self, subject: Subject, field: str, before: int, why: str) -> bool:
        """Take the word from witnesses whose number is below `before`: their claims stay, by `WITNESS WHY`, and no
        longer decide. Whether there was one."""
        claims = self._by.get(subject, {}).get(field, {})
        wrong = [
            claim for claim in claims
            if isinstance(claim.value, int) and claim.value < before and not claim.witness.endswith(why)
        ]  # fmt: skip
        for claim in wrong:
            del claims[claim]
            claims[claim._replace(witness=f"{claim.witness} {why}")] = None
        return bool(wrong)

    def doubts(self, subject: Subject) -> list[str]:
        """One line for each field of a subject that witnesses dispute, for people; the claims themselves stay data."""
        lines = []
        for field in self._by.get(subject, {}):
            answer = self.resolve(subject, field)
            if field in DISPUTED and answer.value is not None and answer.doubts:
                others = dict.fromkeys(f"{claim.witness} says {claim.value}" for claim in answer.doubts)
                lines.append(f"{field}: {answer.witness} says {answer.value}, {', '.join(others)}")
        return lines

    def __iter__(self) -> Iterator[Claim]:
        for subject in sorted(self._by, key=lambda subject: subject != NODE):
            for claims in self._by[subject].values():
                yield from claims

    def __len__(self) -> int:
        return sum(len(claims) for fields in self._by.values() for claims in fields.values())


DISPUTED = frozenset({
    "container_name", "pod_uid", "pod_name", "namespace", "image", "sandbox_id", "host_pid", "host_network",
    "host_users", "service_account", "iam_role", "qos",
})  # fmt: skip
"""Fields in which a difference is worth a line: the others differ by nature (times, states) or by how much is said."""


def _image(name: str) -> str:
    """An image reference in its long form: a spec says docker.io/library/nginx:latest where a pod asked for nginx.

    (distribution/reference/normalize.go: a first part without dot or colon is no registry.)
    """
    first, slash, rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    elif first == "index.docker.io":
        name = f"docker.io/{rest}"
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"
