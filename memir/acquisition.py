# SPDX-License-Identifier: Apache-2.0
"""Take a node's RAM from a program: what `memir acquire` does, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError

if TYPE_CHECKING:
    from memir.acquire.options import Options
    from memir.acquire.settings import Shared, TransportOptions
    from memir.acquire.sinks.base import Sink
    from memir.acquire.transports.base import Transport
    from memir.evidence.progress import Progress
    from memir.kubeapi.client import KubeOptions


def capture(
    transport: Transport | TransportOptions | str,
    evidence: str | Path,
    *,
    shared: Shared | None = None,
    sink: Sink | None = None,
    options: Options | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    cluster: bool | KubeOptions = False,
    **own: Any,
) -> Mapping[str, Any]:
    """Acquire one node's RAM into an evidence folder; gives the receipt of a complete image.

    transport: how the node is reached: a name ("local", "ssh", "ssm", "pod") with that transport's options as `own`,
    the options as their dataclass (memir.acquire.transports.registry), or a Transport of one's own. shared: the
    options that all transports share, as `memir acquire` has them. sink: where the image goes, else as `shared` says
    (the evidence folder). options: of the run, instead of those that `shared` gives. cluster: take the Kubernetes API's
    view too, of the cluster that the options name (kubeconfig, context); True: of the default one.

    Raises UsageError for an unknown transport or more than one node; PartialError or Interrupted when the image is not
    whole: the folder then has what arrived, and a receipt that says what is missing; NodeError, AccessError or
    ConnectError before anything was changed on the node.
    """
    from memir.acquire.options import Options as AcquireOptions
    from memir.acquire.run import Acquisition
    from memir.acquire.settings import Shared as SharedOptions
    from memir.acquire.sinks.file import FileSink
    from memir.acquire.transports.registry import TRANSPORTS
    from memir.kubeapi.client import KubeOptions

    folder = Path(evidence)
    chosen: Any = _named(transport, own) if isinstance(transport, str) else transport
    kinds: Any = tuple(TRANSPORTS.values())
    if isinstance(chosen, kinds):
        from memir.acquire.launch import prepare

        names, make = prepare(chosen, replace(shared or SharedOptions(), output=folder))
        if len(names) != 1:
            raise UsageError(f"capture() takes one node, and these are {len(names)}: call it for each")
        run = make(names[0], report)
        run.sink, run.options = sink or run.sink, options or run.options
    else:
        run = Acquisition(chosen, sink or FileSink(folder), folder, options or AcquireOptions(), report=report)
    kube = KubeOptions() if cluster is True else cluster or None
    if kube is not None:
        run.snapshot = partial(_snapshot, kube)
    return run.execute()


def _named(name: str, own: Mapping[str, Any]) -> Any:
    from memir.acquire.transports.registry import TRANSPORTS

    if name not in TRANSPORTS:
        raise UsageError(f"there is no transport {name!r}; there are {', '.join(sorted(TRANSPORTS))}")
    return TRANSPORTS[name](**own)


def _snapshot(kube: KubeOptions, folder: Path) -> Sequence[Path]:
    from memir.kubeapi.snapshot import snapshot

    return snapshot(folder, kube)
