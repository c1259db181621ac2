# SPDX-License-Identifier: Apache-2.0
"""Values of Kubernetes secrets that pods have mounted, as the page cache has their files.

The kubelet writes them into a tmpfs: <root>/pods/<uid>/volumes/kubernetes.io~secret/<volume>/..<time>/<key>
(pkg/volume/util/atomic_writer.go of kubernetes/kubernetes). A tmpfs lies in RAM as a whole, unless it was swapped out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memir.kernel.pagemap import file_pages
from memir.kube.ram import RamSource
from memir.kube.volumes import volume_of_path

MAX_VALUE = 1 << 16
"""Bytes of a value; the API takes 1 MiB for a whole secret, and longer ones are key stores."""
_MOST = 4096  # files
_PUBLIC = (b"-----BEGIN CERTIFICATE-----",)


@dataclass(frozen=True)
class MountedSecret:
    """volume: name in the pod's spec; key: the secret's; path: on the node; pod_uid: whose; value: its text."""

    volume: str
    key: str
    path: str
    pod_uid: str
    value: str


def mounted_secrets(source: RamSource) -> Iterator[MountedSecret]:
    """Each mounted value that is whole and text. What is not whole is a gap; certificates alone are no secret."""
    every = source.inodes
    chosen: list[tuple[int, str, str, str]] = []
    mounted = every.names.on_node.matches("kubernetes\\.io~secret/")
    named = np.flatnonzero(every.row >= 0)
    for index in named[mounted[every.row[named]]].tolist():
        path = (every.names.on_node[int(every.row[index])] or b"").decode("utf-8", "backslashreplace")
        volume = volume_of_path(path)
        if volume is not None and volume.kind == "secret" and volume.name and volume.pod_uid:
            chosen.append((index, path, volume.name, volume.pod_uid))
    source.gaps.add("secret", "mounted values", f"more than {_MOST} files", max(0, len(chosen) - _MOST))
    for index, path, name, uid in chosen[:_MOST]:
        size = int(every.inodes.size[index])
        if int(every.inodes.mode[index]) >> 12 != 8 or not 0 < size <= MAX_VALUE:
            continue
        pages = file_pages(source.kernel, np.array([every.inodes.inode[index]], np.uint64), MAX_VALUE)[0]
        if None in pages or not pages:
            source.gaps.add("secret", path, "a page of a mounted value is not in RAM")
            continue
        data = b"".join(page for page in pages if page is not None)[:size]
        if data.startswith(_PUBLIC) or b"\0" in data:
            continue
        text = data.decode("utf-8", "surrogateescape")
        if text.strip():
            yield MountedSecret(name, path.rpartition("/")[2], path, uid, text)
