# SPDX-License-Identifier: Apache-2.0
"""The kubelet's checkpoint of a container: POST nodes/NODE/proxy/checkpoint/NAMESPACE/POD/CONTAINER at the API server.

kubernetes pkg/kubelet/server/server.go, checkpoint(): 404 where the feature ContainerCheckpoint is off (no such path)
or there is no such container, 500 with the runtime's words where it cannot, else {"items": [PATH ON THE NODE]}.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from memir.errors import NodeError, RemoteError
from memir.kubeapi.client import Api, call_json, calling, status_of

ARCHIVE = re.compile(r"(?:/[A-Za-z0-9._-]+)+/checkpoints/checkpoint-[A-Za-z0-9._:+-]+\.tar")
"""<kubelet's folder>/checkpoints/checkpoint-<pod>_<namespace>-<container>-<time>.tar"""
OFF = "its kubelet has no checkpoint API: enable the feature gate ContainerCheckpoint (on by default since 1.30)"
NO_CRIU = (
    "its runtime cannot checkpoint: that needs CRIU 3.16 or later beside containerd 2.0 or CRI-O, and EKS's images "
    "have no CRIU; its memory is collected without (clear/memory), and `memir acquire` takes the node's RAM"
)


def request_checkpoint(api: Api, node: str, namespace: str, pod: str, container: str, timeout: int = 600) -> str:
    """Have the kubelet write a checkpoint; its path on the node. timeout: seconds.

    Raises NodeError that says why there is none, AccessError (nodes/proxy create), ConnectError.
    """
    words = [quote(word, safe="") for word in (node, namespace, pod, container)]
    path = "/api/v1/nodes/{}/proxy/checkpoint/{}/{}/{}".format(*words)
    where = f"node {node}, container {container}"
    try:
        with calling("create nodes/proxy", where):
            answer = call_json(api, "POST", path, query={"timeout": str(timeout)}, timeout=timeout + 30.0)
    except RemoteError as error:
        # the kubelet's own words come as plain text through the API server
        told, status = str(getattr(error.__cause__, "body", None) or error), status_of(error)
        if status == 404 and "does not exist" not in told:
            raise NodeError(f"{where}: {OFF}") from error
        if status >= 500 and re.search(r"criu|unimplemented|not implemented|not supported|unknown method", told, re.I):
            raise NodeError(f"{where}: {NO_CRIU} ({told.strip()[:200]})") from error
        if status >= 500:
            raise NodeError(f"{where}: its checkpoint failed: {told.strip()[:300]}") from error
        raise
    items = answer.get("items")
    name = items[0] if isinstance(items, list) and len(items) == 1 else None
    if not isinstance(name, str) or not ARCHIVE.fullmatch(name) or "/../" in name:
        raise NodeError(f"{where}: the kubelet answered {str(items)[:200]!r}, which is no path of a checkpoint")
    return name
