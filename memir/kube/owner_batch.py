# SPDX-License-Identifier: Apache-2.0
"""An owner, and the owners of many things at once: what Owners answers with, and what tables make of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from memir.kernel.pagetable import I64


@dataclass(frozen=True, slots=True)
class Owner:
    """A container or pod; all None is the node itself. container_id is None for a pod as a whole."""

    container_id: str | None = None
    container_name: str | None = None
    pod_uid: str | None = None
    pod_name: str | None = None
    namespace: str | None = None

    def parts(self) -> tuple[str | None, ...]:
        """Its fields in the order of the tables' columns."""
        return self.container_id, self.container_name, self.pod_uid, self.pod_name, self.namespace

    def columns(self) -> dict[str, str | None]:
        """Its fields by the names of the tables' columns."""
        return dict(zip(PARTS, self.parts(), strict=True))

    def whole_pod(self) -> Owner:
        """The pod, no container of it in particular."""
        return Owner(None, None, self.pod_uid, self.pod_name, self.namespace)


PARTS = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")
NODE = Owner()


@dataclass(frozen=True)
class OwnerBatch:
    """Owners of n things: those of thing i are owners[j] for j in index[first[i]:first[i + 1]]; none: not known.

    first: int64[n + 1]. index: int64[m].
    """

    owners: tuple[Owner, ...]
    first: I64
    index: I64

    @classmethod
    def of_lists(cls, lists: Iterable[Iterable[Owner]]) -> OwnerBatch:
        """From the owners of each thing."""
        number: dict[Owner, int] = {}
        rows = [[number.setdefault(owner, len(number)) for owner in owners] for owners in lists]
        first = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
        return cls(tuple(number), first, np.array([place for row in rows for place in row], np.int64))

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, row: int) -> tuple[Owner, ...]:
        return tuple(self.owners[place] for place in self.index[self.first[row] : self.first[row + 1]].tolist())

    def single(self) -> tuple[list[Owner], I64]:
        """(owners, int64[n]): the one owner of each thing, -1 where there is none or several pods share it.

        What several containers of one pod own is the pod's. The node counts as an owner: what a pod shares with it is
        not the pod's.
        """
        owners = list(self.owners)
        count = np.diff(self.first)
        alone = np.full(len(self), -1, np.int64)
        alone[count == 1] = self.index[self.first[:-1][count == 1]]
        known: dict[bytes, int] = {}
        for row in np.flatnonzero(count > 1).tolist():
            part = self.index[self.first[row] : self.first[row + 1]]
            key = part.tobytes()
            if key not in known:
                several = {self.owners[place] for place in part.tolist()}
                whole = {owner.whole_pod() for owner in several}
                known[key] = -1
                if len(several) == 1:
                    known[key] = int(part[0])
                elif len(whole) == 1 and next(iter(whole)).pod_uid is not None:
                    known[key] = len(owners)
                    owners.append(next(iter(whole)))
            alone[row] = known[key]
        return owners, alone

    def shared_by(self) -> list[list[str] | None]:
        """For each thing that has no single owner: UIDs of the pods that own it, sorted; None where no pod does."""
        _, alone = self.single()
        shared: list[list[str] | None] = [None] * len(self)
        known: dict[bytes, list[str] | None] = {}
        for row in np.flatnonzero((alone < 0) & (np.diff(self.first) > 0)).tolist():
            part = self.index[self.first[row] : self.first[row + 1]]
            key = part.tobytes()
            if key not in known:
                known[key] = sorted({uid for place in part.tolist() if (uid := self.owners[place].pod_uid)}) or None
            shared[row] = known[key]
        return shared

    def columns(self) -> dict[str, Any]:
        """The tables' owner columns: filled where there is one owner, else null and the pods are in shared_by."""
        import pyarrow as pa

        owners, alone = self.single()
        index = pa.array(alone, pa.int64(), mask=alone < 0)
        parts = zip(*(owner.parts() for owner in owners), strict=True) if owners else [()] * len(PARTS)
        columns: dict[str, Any] = {
            name: pa.array(list(part), pa.string()).take(index) for name, part in zip(PARTS, parts, strict=True)
        }
        return columns | {"shared_by": pa.array(self.shared_by(), pa.list_(pa.string()))}


def owner_order(owner: Owner) -> tuple[str, ...]:
    """A key to sort owners by: container id first; the node before all."""
    return tuple(part or "" for part in owner.parts())


def sort_owners(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    """Each owner once, in the order of container ids, then pods."""
    return tuple(sorted(set(owners), key=owner_order))


def plain_keys(keys: Any) -> list[Any]:
    """Keys of an array or list as a list."""
    if hasattr(keys, "to_pylist"):
        return list(keys.to_pylist())
    return list(keys.tolist() if isinstance(keys, np.ndarray) else keys)


def owners_of_keys(known: Mapping[Hashable, tuple[Owner, ...]], keys: Any) -> OwnerBatch:
    """Owners of keys; each distinct key is looked up once."""
    return owners_of_numbers(keys, lambda unique: [known.get(key, ()) for key in unique])


def owners_of_numbers(keys: Any, look_up: Callable[[list[int]], list[tuple[Owner, ...]]]) -> OwnerBatch:
    """Owners of numbers (null: not known), each distinct one looked up once."""
    if isinstance(keys, np.ndarray) and keys.dtype == np.uint64 and not isinstance(keys, np.ma.MaskedArray):
        numbers = keys
    else:
        numbers = np.array([0 if key is None else key for key in plain_keys(keys)], np.uint64)
    unique, back = np.unique(numbers, return_inverse=True)
    few = OwnerBatch.of_lists(look_up(unique.tolist()))
    count = np.diff(few.first)[back]
    first = np.concatenate(([0], np.cumsum(count, dtype=np.int64)))
    start = few.first[:-1][back]
    step = np.arange(int(count.sum())) - np.repeat(first[:-1], count)
    return OwnerBatch(few.owners, first, few.index[np.repeat(start, count) + step])
