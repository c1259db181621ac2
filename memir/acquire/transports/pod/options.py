# SPDX-License-Identifier: Apache-2.0
"""`memir acquire pod`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memir.acquire.settings import Shared, option, size_of
from memir.errors import UsageError

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport

IMAGE = "public.ecr.aws/amazonlinux/amazonlinux:2023"


@dataclass
class PodAcquireOptions:
    """Through a privileged pod on the node, removed afterwards (a dry run makes it too, to look)."""

    node: list[str] = option([], "Name of a node; once or several times.")
    selector: str | None = option(None, "Every node with these Kubernetes labels.", "--selector", "-l")
    namespace: str = option("default", "Where the pod is made.", "--namespace", "-n")
    image: str = option(IMAGE, "Image of the pod: any, unless --helper none, which needs its sh and coreutils.")
    helper: str = option("auto", "What works in the pod: auto (the tool store's helper), none, or its file.")
    host_pid: bool = option(False, "See the node's processes (RAM needs it not).")
    host_network: bool = option(False, "Use the node's network.")
    no_node_hash: bool = option(False, "Do not hash the stream on the node as well.")

    def node_hash(self) -> bool:
        """Unless it was forbidden."""
        return not self.no_node_hash

    def check(self, shared: Shared) -> None:
        """The helper sends through its exec: it has no TLS of its own."""
        if not shared.via:
            shared.via = "node" if self.helper == "none" else "controller"

    def names(self, shared: Shared) -> list[str]:
        """Nodes by name and label."""
        names = list(self.node)
        if self.selector:
            from memir.kubeapi.client import KubeOptions
            from memir.kubeapi.nodes import node_names

            names += node_names(self.selector, KubeOptions(shared.kubeconfig, shared.context))
        if not names:
            raise UsageError("which node? pass --node, or --selector KEY=VALUE")
        return list(dict.fromkeys(names))

    def transport(self, name: str, shared: Shared) -> Transport:
        """One pod."""
        from memir.acquire.tools.store import Store
        from memir.acquire.transports.pod.spec import PodOptions
        from memir.acquire.transports.pod.transport import PodTransport
        from memir.kubeapi.client import KubeOptions

        pod = PodOptions(
            namespace=self.namespace, image=self.image, host_pid=self.host_pid, host_network=self.host_network,
            rate=size_of(shared.limit_rate),
        )
        kube = KubeOptions(shared.kubeconfig, shared.context)
        helper = None if self.helper == "none" else Store().helper if self.helper == "auto" else self._helper_file
        return PodTransport(name, pod, kube, take_over=shared.resume is not None, find_helper=helper)

    def offline(self, name: str, shared: Shared) -> Transport:
        """It asks nobody until it connects."""
        return self.transport(name, shared)

    def _helper_file(self, _: str) -> Path:
        return Path(self.helper)
