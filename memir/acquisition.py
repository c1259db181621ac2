# SPDX-License-Identifier: Apache-2.0
"""Take a node's RAM from a program: what `memir acquire` does, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from memir.acquire.options import Options
    from memir.acquire.sinks.base import Sink
    from memir.acquire.transports.base import Transport
    from memir.evidence.progress import Progress
    from memir.kubeapi.client import KubeOptions


def capture(
    transport: Transport | Literal["local"],
    evidence: str | Path,
    *,
    sink: Sink | None = None,
    options: Options | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    cluster: bool | KubeOptions = False,
) -> Mapping[str, Any]:
    """Acquire one node's RAM into an evidence folder; gives the receipt of a complete image.

    transport: how the node is reached (memir.acquire.transports), or "local" for this machine. sink: where the image
    goes, the evidence folder if not given. cluster: take the Kubernetes API's view too, of the cluster that
    the options name (kubeconfig, context); True: of the default one. Raises PartialError or
    Interrupted when the image is not whole: the folder then has what arrived, and a receipt that says what is missing;
    NodeError, AccessError or ConnectError before anything was changed on the node.
    """
    from memir.acquire.options import Options as AcquireOptions
    from memir.acquire.run import Acquisition
    from memir.acquire.sinks.file import FileSink
    from memir.kubeapi.client import KubeOptions

    if transport == "local":
        from memir.acquire.transports.local import LocalTransport

        transport = LocalTransport()
    folder = Path(evidence)
    kube = KubeOptions() if cluster is True else cluster or None
    run = Acquisition(
        transport,
        sink or FileSink(folder),
        folder,
        options or AcquireOptions(),
        report=report,
        snapshot=partial(_snapshot, kube) if kube is not None else None,
    )
    return run.execute()


def _snapshot(kube: KubeOptions, folder: Path) -> Sequence[Path]:
    from memir.kubeapi.snapshot import snapshot

    return snapshot(folder, kube)
