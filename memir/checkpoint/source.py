# SPDX-License-Identifier: Apache-2.0
"""A checkpoint archive as a source of tables: one container's processes, of which everything else is its own."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from memir.checkpoint.archive import Archive
from memir.checkpoint.container import Checkpointed, read_container, state_of
from memir.checkpoint.tree import Tree
from memir.errors import no_kernel
from memir.gaps import Gaps
from memir.kube.owner_batch import Owner, OwnerBatch
from memir.kube.secrets import Secrets

WHAT = "a checkpoint archive"


class OneOwner:
    """Whose the rows of a checkpoint are: all of them its container's."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def by(self, what: str, keys: Any) -> OwnerBatch:
        """The owner of each key, whatever it is; a pod's own rows are the pod's."""
        mine = self.owner.whole_pod() if what == "pod_uid" else self.owner
        return OwnerBatch.of_lists([mine] for _ in range(len(keys)))

class CheckpointSource:
    """What tables are read from when the source is a checkpoint archive. What could not be read is in `gaps`."""

    kind: Literal["checkpoint"] = "checkpoint"
    cluster = None
    """What the Kubernetes API said is not joined with a checkpoint: its archive says whose it is."""

    def __init__(self, path: str | Path) -> None:
        """ImageError, ImageFormatError or UsageError if the archive cannot be used, before anything long."""
        self.gaps = Gaps()
        self.archive = Archive(path, self.gaps)
        self.secret_key: bytes | None = None
        """Key of fingerprints of passwords, a case's own; set before tables are read, else a random one is used."""
        try:
            self.container: Checkpointed = read_container(self.archive)
            self.tree = Tree(self.archive)
        except BaseException:
            self.archive.close()
            raise
        self.owners = OneOwner(self.container.owner)

    @property
    def kernel(self) -> NoReturn:
        """A checkpoint has none. UsageError, for what asks for one."""
        raise no_kernel(self.archive.path, WHAT)

    pid_of = kernel
    """Whose addresses are whose: of a kernel too."""

    @functools.cached_property
    def secrets(self) -> Secrets:
        """Masks what is secret in its tables, and keeps the clear values by fingerprint."""
        return Secrets(self.secret_key)

    @property
    def name(self) -> None:
        """The node's name: no checkpoint says it."""
        return None

    @property
    def swapped(self) -> Sequence[int]:
        """Pages that are swapped out: none, CRIU reads them in to dump them."""
        return ()

    @property
    def state(self) -> str:
        """The container's state when it was dumped."""
        return state_of(self.archive)

    def close(self) -> None:
        """Close the archive."""
        self.archive.close()
