# SPDX-License-Identifier: Apache-2.0
"""Whose a checkpoint is: the runtime's spec.dump with its annotations, config.dump and status.dump."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memir.checkpoint.archive import Archive
from memir.errors import ImageFormatError
from memir.kube.annotations import CONTAINER_ID
from memir.kube.oci import OciSpec, parse_spec
from memir.kube.owner_batch import Owner

_LIMIT = 16 << 20
_STATES = {0: "unknown", 1: "running", 2: "exited", 3: "unknown"}  # CRI's ContainerState: created is none of memir's


@dataclass(frozen=True)
class Checkpointed:
    """The container. Times are ns since 1970 UTC; None is not known. doubts: where its documents contradict."""

    spec: OciSpec
    container_id: str | None
    image: str | None
    runtime: str | None
    created: int | None
    taken: int | None
    started: int | None
    restarts: int | None
    doubts: tuple[str, ...]

    @property
    def owner(self) -> Owner:
        """The container as owner of rows."""
        spec = self.spec
        return Owner(self.container_id, spec.container_name, spec.pod_uid, spec.pod_name, spec.namespace)


def read_container(archive: Archive) -> Checkpointed:
    """From the three documents. ImageFormatError if spec.dump is no OCI spec; what else lacks is a gap."""
    spec = parse_spec(archive.read("spec.dump", _LIMIT), "spec.dump", archive.gaps)
    if spec is None:
        raise ImageFormatError(f"{archive.path}: spec.dump is no OCI spec: nothing says whose this checkpoint is")
    config, status = _document(archive, "config.dump"), _document(archive, "status.dump")
    doubts = list(spec.doubts)
    ident = _text(config, "id")
    if ident is not None and not CONTAINER_ID.fullmatch(ident):
        doubts.append("the id in config.dump is no container's")
        ident = None
    names = {name for name in (ident, spec.container_id, _text(status, "id")) if name}
    if len(names) > 1:
        doubts.append("container ids differ: " + " ".join(sorted(name[:64] for name in names)))
    labels = status.get("labels")
    if isinstance(labels, dict):
        pod = {"pod.uid": spec.pod_uid, "pod.name": spec.pod_name, "pod.namespace": spec.namespace}
        for label, known in pod.items():
            told = labels.get("io.kubernetes." + label)
            if isinstance(told, str) and known is not None and told != known:
                doubts.append(f"{label} differs: spec.dump {known[:64]}, status.dump {told[:64]}")
    metadata = status.get("metadata")
    attempt = metadata.get("attempt") if isinstance(metadata, dict) else None
    return Checkpointed(
        spec, ident or spec.container_id, spec.image or _text(config, "rootfsImageName"), _text(config, "runtime"),
        _time(config, "createdTime"), _time(config, "checkpointedTime"), _nanoseconds(status.get("started_at")),
        attempt if isinstance(attempt, int) and 0 <= attempt < 1 << 31 else None, tuple(dict.fromkeys(doubts)),
    )  # fmt: skip


def state_of(archive: Archive) -> str:
    """The container's state by status.dump, as the table `containers` has it."""
    state = _document(archive, "status.dump", quiet=True).get("state")
    return _STATES.get(state, "unknown") if isinstance(state, int) else "unknown"


def _document(archive: Archive, name: str, *, quiet: bool = False) -> dict[str, Any]:
    try:
        document = json.loads(archive.read(name, _LIMIT))
    except KeyError:
        why = "not in the archive"
    except (ValueError, RecursionError):
        why = "not JSON"
    else:
        if isinstance(document, dict):
            return document
        why = "not a JSON object"
    if not quiet:
        archive.gaps.add("checkpoint archive", name, why)
    return {}


def _text(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value[:4096] if isinstance(value, str) and value else None


def _time(document: dict[str, Any], key: str) -> int | None:
    """A time of Go's JSON, nanoseconds kept; its zero is none."""
    text = _text(document, key)
    if text is None or text.startswith("0001-"):
        return None
    front, dot, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789")) if dot else 0
    zone = rest[digits:] if dot else ""
    try:
        whole = datetime.fromisoformat(front + zone)
    except ValueError:
        return None
    if whole.tzinfo is None:
        return None
    return int(whole.timestamp()) * 10**9 + int(rest[:digits][:9].ljust(9, "0") if digits else 0)


def _nanoseconds(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63 else None
