# SPDX-License-Identifier: Apache-2.0
"""A folder of `memir collect pod` as a source of tables: one pod's processes, of which everything is the pod's.

The folder may come from anyone: nothing in it is followed, every file is read to a bound, and lines that are no record
are passed over and counted.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from memir.errors import CustodyError, no_kernel
from memir.evidence.collected import FACTS
from memir.evidence.folder import MANIFEST, entries, read_file
from memir.evidence.pod_receipt import PodReceipt, pod_receipt_of
from memir.gaps import Gaps
from memir.kube.oci import OciSpec, parse_spec
from memir.kube.owner_batch import Owner, OwnerBatch
from memir.kube.secrets import Secrets

WHAT = "a collected pod"
PROCESSES = "node/processes.jsonl"
MAX_TABLE = 1 << 30
MAX_SPEC = 4 << 20
MAX_PROCESSES = 4096
_CONTAINER = re.compile(r"[0-9a-f]{64}")
MAX_PID = 1 << 22  # PID_MAX_LIMIT, include/linux/threads.h


class PodOwners:
    """Whose the rows are: of the container that a row names by its id, else the pod's as a whole."""

    def __init__(self, containers: dict[str, Owner], pod: Owner) -> None:
        self._containers, self._pod = containers, pod

    def by(self, what: str, keys: Any) -> OwnerBatch:
        """The owner of each key, a container's id; what: pod_uid for the pod's own rows."""
        whole = what == "pod_uid"
        return OwnerBatch.of_lists([self._pod if whole else self._containers.get(key, self._pod)] for key in keys)


class CollectedSource:
    """What tables are read from when the source is a collected pod. What could not be read is in `gaps`."""

    kind: Literal["pod"] = "pod"
    cluster = None

    def __init__(self, path: str | Path) -> None:
        """CustodyError if it is no folder of a collected pod, or has a link or device in it."""
        self.path = Path(path)
        receipt = pod_receipt_of(self.path)
        if receipt is None:
            raise CustodyError(f"{path}: no receipt.json of a collected pod (see `memir collect pod --help`)")
        self.receipt: PodReceipt = receipt
        where = receipt.collection.where
        if where and not (self.path / PROCESSES).exists():
            raise CustodyError(
                f"{path} has the record of a collected pod, its files are in {where}: bring them here with "
                f"`aws s3 cp --recursive {shlex.quote(where)} DIR`, then `memir verify DIR` and `memir analyze DIR`"
            )
        self.gaps = Gaps()
        for gap in receipt.collection.gaps:
            self.gaps.add(gap.kind, gap.where, gap.why, gap.count)
        self.names = []
        for name, kind in entries(self.path):
            if kind not in ("file", "folder"):
                raise CustodyError(f"{self.path / name} is a link or device, which no run of memir's makes: refused")
            if kind == "file":
                self.names.append(name)
        self.secret_key: bytes | None = None
        """Key of fingerprints of passwords, a case's own; set before tables are read, else a random one is used."""

    @property
    def kernel(self) -> NoReturn:
        """A collected pod has none. UsageError, for what asks for one."""
        raise no_kernel(self.path, WHAT)

    pid_of = kernel
    """Whose addresses are whose: of a kernel too."""

    @functools.cached_property
    def secrets(self) -> Secrets:
        """Masks what is secret in its tables, and keeps the clear values by fingerprint."""
        return Secrets(self.secret_key)

    @property
    def name(self) -> str | None:
        """The node's name: as the API server has it, else its host name."""
        return self.receipt.collection.pod.node or self.receipt.node.hostname or None

    @property
    def swapped(self) -> Sequence[int]:
        """Pages that are swapped out: none, they were read back in."""
        return ()

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, whose records have the hash of every file."""
        return hashlib.sha256((self.path / MANIFEST).read_bytes()).hexdigest()

    def read(self, name: str, limit: int = MAX_TABLE) -> bytes:
        """A file's content; b"" with a gap if it is not there or longer than `limit`."""
        try:
            return read_file(self.path, name, limit)
        except FileNotFoundError:
            self.gaps.add("file of the collection", name, "is not there")
        except CustodyError as error:
            self.gaps.add("file of the collection", name, str(error).partition(": ")[2] or str(error))
        return b""

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """The objects of a file of JSON lines, at most MAX_PROCESSES."""
        for number, line in enumerate(self.read(name).splitlines()[:MAX_PROCESSES], 1):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            pid = value.get("pid") if isinstance(value, dict) else None
            if type(pid) is int and 0 < pid <= MAX_PID:
                yield value
            else:
                self.gaps.add("row of the collection", f"{name} line {number}", "is no record of a process")

    def below(self, folder: str) -> Iterable[tuple[str, str]]:
        """(first folder below, rest) of every file below a folder of the collection, as ("4026531840", "tcp")."""
        for name in self.names:
            if name.startswith(folder + "/"):
                first, _, rest = name[len(folder) + 1 :].partition("/")
                yield first, rest

    @functools.cached_property
    def processes(self) -> list[dict[str, Any]]:
        """Records of node/processes.jsonl, by pid, once each."""
        records = {row["pid"]: row for row in self.rows(PROCESSES)}
        for pid, record in records.items():
            container = record.get("container") or ""
            if container and not (isinstance(container, str) and _CONTAINER.fullmatch(container)):
                self.gaps.add("row of the collection", f"{PROCESSES} pid {pid}", "its container is no container's id")
                record["container"] = ""
        return list(records.values())

    @functools.cached_property
    def words(self) -> dict[int, dict[str, Any]]:
        """Arguments and environment by pid, in clear."""
        return {row["pid"]: row for row in self.rows("clear/processes.jsonl")}

    @functools.cached_property
    def specs(self) -> dict[str, OciSpec]:
        """The runtime's own record of each container and sandbox, by id."""
        specs: dict[str, OciSpec] = {}
        for ident, rest in self.below("node/runtime"):
            if rest.endswith("/config.json") and ident not in specs:
                where = f"/{ident}/config.json"
                spec = parse_spec(self.read(f"node/runtime/{ident}/{rest}", MAX_SPEC), where, self.gaps)
                if spec is not None:
                    specs[ident] = spec
        return specs

    @functools.cached_property
    def _told(self) -> dict[str, dict[str, Any]]:
        """node/collector.json: `node` and `files`."""
        try:
            value = json.loads(self.read(FACTS, 64 << 20) or b"{}")
        except (ValueError, RecursionError):
            value = {}
        return {name: part for name, part in value.items() if isinstance(part, dict)} if isinstance(value, dict) else {}

    @property
    def node_facts(self) -> dict[str, Any]:
        """What the collector said at its end: roots, btime, ticks."""
        return self._told.get("node", {})

    def filled(self, name: str) -> list[str]:
        """Files in a layer's tar that became shorter while they were read, so that zeros stand for their end."""
        facts = self._told.get("files", {}).get(name)
        paths = facts.get("filled") if isinstance(facts, dict) else None
        return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []

    @functools.cached_property
    def owners(self) -> PodOwners:
        """Whose rows are."""
        pod = self.receipt.collection.pod
        name, namespace = pod.name or None, pod.namespace or None
        for spec in self.specs.values():
            name, namespace = name or spec.pod_name, namespace or spec.namespace
        whole = Owner(None, None, pod.uid, name, namespace)
        named = {row.container_id: row.name for row in pod.containers if row.container_id}
        known = {ident: spec.container_name for ident, spec in self.specs.items()} | named
        for process in self.processes:
            if process.get("container"):
                known.setdefault(str(process["container"]), None)
        return PodOwners(
            {ident: Owner(ident, label, pod.uid, name, namespace) for ident, label in known.items()}, whole
        )
