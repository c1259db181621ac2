# SPDX-License-Identifier: Apache-2.0
"""Values of secret volumes: token volumes of a real image stand in for one, by the name of their plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from memir.kube.mounted_secrets import MountedSecret, mounted_secrets
from memir.kube.path_column import PathColumn
from memir.kube.ram import RamSource
from memir.kube.secrets import Secrets

PROJECTED, SECRET = b"kubernetes.io~projected", b"kubernetes.io~secret"


class _Renamed:
    """The node, with its projected volumes named as secret volumes are."""

    def __init__(self, source: RamSource, size: int | None = None) -> None:
        self._source = source
        every = source.inodes
        paths = [None if path is None else path.replace(PROJECTED, SECRET) for path in every.names.on_node]
        on_node = PathColumn(pa.array(paths, pa.large_binary()))
        rows = every.inodes if size is None else replace(every.inodes, size=np.full(len(every), size))
        self.inodes = replace(every, names=replace(every.names, on_node=on_node), inodes=rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@pytest.fixture(scope="module")
def source(node_of: Callable[[str], RamSource]) -> RamSource:
    return node_of("s-6.12-intruded")


def test_mounted_secrets(source: RamSource) -> None:
    renamed: Any = _Renamed(source)
    values = list(mounted_secrets(renamed))
    assert {(each.pod_uid, each.volume, each.key) for each in values} >= {
        ("dddddddd-4444-4444-8444-0123456789ab", "kube-api-access-x7k2p", "token"),
        ("eeeeeeee-5555-4555-8555-0123456789ab", "kube-api-access-x7k2p", "token"),
    }
    (token,) = (each for each in values if each.key == "token" and each.pod_uid.startswith("dddd"))
    assert Secrets().text(token.value)[1][0].kind == "token"
    assert token == MountedSecret(
        "kube-api-access-x7k2p", "token",
        "/var/lib/kubelet/pods/dddddddd-4444-4444-8444-0123456789ab/volumes/kubernetes.io~secret/"
        "kube-api-access-x7k2p/token", "dddddddd-4444-4444-8444-0123456789ab", token.value,
    )  # fmt: skip


def test_only_secret_volumes_of_a_sensible_size(source: RamSource) -> None:
    assert list(mounted_secrets(source)) == []
    empty: Any = _Renamed(source, size=0)
    huge: Any = _Renamed(source, size=1 << 20)
    assert list(mounted_secrets(empty)) == list(mounted_secrets(huge)) == []
