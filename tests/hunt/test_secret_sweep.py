# SPDX-License-Identifier: Apache-2.0
"""All RAM is looked through: planted secrets are met in the process, with its pod, and known values as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memir.hunt.secret_sweep import HOLDERS, Sweep
from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from tests.images import case
from tests.kube.test_aws_keys import KEY
from tests.planted import PASSWORD, planted

HEAP = "MEMIR-HEAP-SECRET-7f3a91c2e5d84b06"


@pytest.fixture(scope="module")
def with_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """s-6.1-small with a key id of AWS in a heap."""
    path = planted(tmp_path_factory.mktemp("image") / "node.raw")
    data = path.read_bytes()
    put = f" {KEY} ".ljust(len(HEAP)).encode()
    assert case("s-6.1-small").raw_truth()["secret"]["heap_secret"] == HEAP and data.count(HEAP.encode()) == 1
    path.write_bytes(data.replace(HEAP.encode(), put))
    return path


def test_sweep(with_key: Path) -> None:
    with open_image(with_key) as memory:
        source = RamSource(Kernel(memory, locate(memory)))
        places = Sweep(source, {"mark": PASSWORD, "short": "hunter2"}).places()
    (key,) = (place for place in places if place.secret is not None)
    assert key.secret is not None and (key.secret.kind, key.secret.value) == ("aws access key id", KEY)
    assert (key.row["owner"], key.row["pod_name"], key.row["container_name"]) == ("process", "miner-0", "miner")
    known = [place for place in places if place.secret is None]
    assert {place.fingerprint for place in known} == {"mark"}
    assert {place.row["pod_name"] for place in known} >= {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    raw = with_key.read_bytes()
    for place in places:
        value = PASSWORD if place.secret is None else place.secret.value
        assert raw[place.paddr : place.paddr + len(value)] == value.encode()
        assert set(place.row) >= {"owner", "pid", "path"} and place.row["owner"] in HOLDERS
    assert not any(PASSWORD in str(place.row) or KEY in str(place.row) for place in places), "no clear text goes on"


def test_nothing_where_nothing_is(node_of: Callable[[str], RamSource]) -> None:
    assert Sweep(node_of("s-6.1-small"), {}).places() == []
