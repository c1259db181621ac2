# SPDX-License-Identifier: Apache-2.0
"""A response plan: what is done to which pod, node and role, in which order, and how it is taken back.

The file is YAML; docs/schemas/plan.schema.json is its schema. A plan is read by a person before it is run, and its
SHA-256 is what they approve: nothing that it does not say is done.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from memir import documents
from memir.errors import PlanError
from memir.kube.clusterfiles import yaml_documents

MAX_PLAN = 16 << 20
"""Bytes: a plan for a thousand pods has some five million."""

Value = str | int | bool | tuple[str, ...] | tuple[Mapping[str, str], ...] | None
Kind = Literal[
    "hold", "acquire", "collect", "snapshot-volumes", "isolate-pod", "detach", "revoke", "pause", "isolate-node",
    "cordon", "suspend",
]  # fmt: skip
ActionKind = Literal[
    "kube-fields", "kube-object", "kube-room", "acquire", "collect", "ec2-group", "ec2-groups", "ec2-snapshots",
    "ec2-profile", "asg-protection", "asg-processes", "asg-detach", "ec2-snapshot-lock", "iam-deny", "iam-trust",
    "eks-association", "eks-access-entry",
]  # fmt: skip
Order = Literal["memory-first", "aws"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One right. system kubernetes: verb, resource and group as RBAC names them; aws: verb is the IAM action."""

    system: Literal["kubernetes", "aws"]
    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    def words(self) -> str:
        """As it is granted: `patch pods in shop`, `ec2:CreateSnapshots on i-0abc`."""
        if self.system == "aws":
            return f"{self.verb} on {self.resource}"
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {resource}{name}" + (f" in {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is changed.

    target: the API server's path of the object, or AWS's id or ARN. uid: the object must have it. before and after:
    what is read there when the plan was made, and after the step; of a Kubernetes object by JSON pointer, null where
    there is none. manifest: the object to make, in YAML. with: what else the change needs to know. calls: each request.
    irreversible: why undo cannot take it back, "" if it can.
    """

    id: str
    kind: ActionKind
    target: str
    calls: tuple[str, ...]
    uid: str = ""
    before: Mapping[str, Value] = field(default_factory=dict)
    after: Mapping[str, Value] = field(default_factory=dict)
    manifest: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    irreversible: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. by: memir changes something itself, runs a command of its own, or leaves it to the reader's hand.

    limits: what the step does not do. triggers: what it sets off. seconds: from, to. unresolved: facts that the plan
    lacks; none may be left when it is run. refused: why memir does not do the step as asked, "" if it does.
    """

    id: str
    kind: Kind
    title: str
    why: str
    by: Literal["memir", "command", "hand"]
    undo: str
    seconds: tuple[int, int]
    changes: tuple[Change, ...] = ()
    command: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    triggers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    refused: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A pod that matched. owner: Kind/name of its controller; workload: at the end of the chain."""

    namespace: str
    name: str
    uid: str
    node: str | None
    reason: str
    owner: str | None = None
    workload: str | None = None
    service_account: str | None = None
    role: str | None = None
    host_network: bool = False
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """A folder of the node and what it lies on. device: major:minor. device_name: what was mounted. witness: a case."""

    folder: str
    device: str
    device_name: str
    on_root: bool
    witness: str


@dataclass(frozen=True, slots=True)
class NodeTarget:
    """A node that matched or that a pod is on. kind: who makes and ends it. folders: where a case says they lie."""

    name: str
    uid: str | None
    instance_id: str | None
    kind: Literal["auto", "fargate", "karpenter", "node-group", "other", "unknown"]
    zone: str | None = None
    group: str | None = None
    folders: tuple[NodeFolder, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where the facts come from. unread: resources that could not be read, and why."""

    kind: Literal["snapshot", "api"]
    where: str
    taken: str = ""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choices:
    """What was asked for by name, of steps that are filled in later. lock_days: of a lock on snapshots."""

    auto_scaling: Literal["suspend", "detach"] = "suspend"
    lock: Literal["governance", "compliance", "none"] = "governance"
    lock_days: int = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """A response plan. id: in every name, label and tag that a run of it makes. order: memory-first or aws."""

    schema: Literal[1]
    id: str
    made: str
    memir: str
    query: Mapping[str, str]
    source: Source
    order: Order
    order_reason: str
    pods: tuple[PodTarget, ...]
    nodes: tuple[NodeTarget, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    choices: Choices = field(default_factory=Choices)

    def unresolved(self) -> list[str]:
        """Every fact that the plan lacks, with its step."""
        return [f"{step.id}: {fact}" for step in self.steps for fact in step.unresolved]


def change_digest(change: Change) -> str:
    """SHA-256 of a change as the plan has it, hex: whether it is the one that a record was made of."""
    return hashlib.sha256(json.dumps(documents.encode(change), sort_keys=True).encode()).hexdigest()


def plan_text(plan: Plan) -> str:
    """A plan as YAML: fields in the order of the record, empty ones left out."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as blocks, and no aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    head = "# A response plan of memir. Read it, then: memir respond FILE (a dry run; nothing is changed)\n"
    document = _lean(documents.encode(plan))
    return head + yaml.dump(document, Dumper=Dumper, sort_keys=False, width=110, allow_unicode=False)


def _lean(value: Any) -> Any:
    """Without fields that are empty and have a default; before and after keep their nulls."""
    if isinstance(value, list):
        return [_lean(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, inner in value.items():
        if key in ("before", "after", "needs", "query"):
            if inner:
                kept[key] = inner
        elif inner not in ("", [], {}) or key in ("steps", "pods", "nodes", "calls", "why", "undo"):
            kept[key] = _lean(inner)
    return kept


def read_plan(path: Path) -> tuple[Plan, str]:
    """(plan, SHA-256 of the file in hex). Raises PlanError that names what is wrong and where."""
    data = documents.read_bytes(path, MAX_PLAN, PlanError)
    return parse_plan(data, str(path)), hashlib.sha256(data).hexdigest()


def parse_plan(data: bytes, name: str) -> Plan:
    """A plan from a file's bytes. Raises PlanError."""
    try:
        values = list(yaml_documents(data.decode(), name, PlanError))
    except UnicodeDecodeError as error:
        raise PlanError(f"{name}: not UTF-8 at byte {error.start}") from error
    if len(values) != 1:
        raise PlanError(f"{name}: {len(values)} YAML documents, where a plan is one")
    if not isinstance(values[0], dict) or not {"schema", "steps"} <= values[0].keys():
        raise PlanError(f"{name}: this is no plan: {_instead(values[0], name)}")
    plan = documents.decode(Plan, values[0], name, PlanError)
    for kind, ids in (
        ("step", [step.id for step in plan.steps]),
        ("change", [change.id for step in plan.steps for change in step.changes]),
    ):
        if double := next((ident for ident in ids if ids.count(ident) > 1), None):
            raise PlanError(f"{name}: two {kind}s are named {double!r}: a record of the run could not tell them apart")
    return plan


def _instead(value: Any, name: str) -> str:
    """What to do with a document that is not a plan."""
    words = {str(key).lower() for key in value} if isinstance(value, dict) else set[str]()
    if words & {"detail", "findings", "resource", "service"}:
        return f"an alert is made into one by `memir plan --guardduty {shlex.quote(name)} -o plan.yaml`"
    if "sha256" in words and "plan" in words:
        return "it is what --json prints of one; give the file that `memir plan ... -o FILE` wrote"
    return "`memir plan ... -o plan.yaml` writes one (memir plan --help)"


def plan_schema() -> dict[str, Any]:
    """docs/schemas/plan.schema.json."""
    return documents.schema(Plan, "memir plan.yaml")
