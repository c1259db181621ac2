# SPDX-License-Identifier: Apache-2.0
"""`memir acquire local`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memir.acquire.settings import Shared, option

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport


@dataclass
class LocalOptions:
    """This machine, or the node whose root file system is mounted here (kubectl debug node/NAME, --root /host)."""

    root: Path | None = option(None, "The node's root, where it is mounted (as /host).")
    sudo: bool = option(False, "Run the steps with sudo.")
    hash_as_well: bool = option(False, "Hash the stream before memir's own pipe as well.", "--node-hash")

    def node_hash(self) -> bool:
        """Only when asked for: the stream does not leave this machine on its way."""
        return self.hash_as_well

    def check(self, shared: Shared) -> None:
        """Nothing contradicts."""

    def names(self, shared: Shared) -> list[str]:
        """This machine."""
        del shared
        return [platform.node() or "local"]

    def transport(self, name: str, shared: Shared) -> Transport:
        """Child processes."""
        from memir.acquire.transports.local import LocalTransport

        del name, shared
        return LocalTransport(self.root, self.sudo)

    def offline(self, name: str, shared: Shared) -> Transport:
        """It asks nobody until it connects."""
        return self.transport(name, shared)
