# SPDX-License-Identifier: Apache-2.0
"""Rows by pod and container, and names of their folders."""

from __future__ import annotations

from typing import Any

import pytest

import memir
from memir.errors import UsageError
from memir.extract.whose import SHORTEST, check_names, folder_of, is_of
from tests.images import cache, case

ROW: dict[str, Any] = {"pod_name": "web", "pod_uid": "u-1", "namespace": "shop", "container_name": "app",
                       "container_id": "0af6be6a49cb" + "0" * 52}  # fmt: skip
NODE: dict[str, Any] = dict.fromkeys(ROW)


@pytest.mark.parametrize("pod", [(), ("web",), ("shop/web",), ("u-1",), ("x", "web")])
@pytest.mark.parametrize("container", [(), ("app",), ("0af6be",), ("0" * 9, "app")])
def test_of_it(pod: tuple[str, ...], container: tuple[str, ...]) -> None:
    assert is_of(ROW, pod, container)
    assert is_of(NODE, pod, container) == (not pod and not container)


@pytest.mark.parametrize(
    ("pod", "container"), [(("we",), ()), ((), ("0af",)), (("web",), ("b",)), (("dev/web",), ())]
)
def test_not_of_it(pod: tuple[str, ...], container: tuple[str, ...]) -> None:
    assert not is_of(ROW, pod, container)


def test_folders() -> None:
    assert folder_of(ROW) == "shop_web_app" and folder_of(NODE) == "node"
    assert folder_of({**ROW, "container_name": None}) == "shop_web_0af6be6a49cb"
    assert folder_of({**ROW, "pod_name": None, "container_name": "../x"}) == "u-1_..%2Fx"


def test_names_that_nothing_has() -> None:
    """The message lists those that there are; a name, an id and the start of one are known."""
    with memir.open(case("s-6.1-small").image, cache=cache()) as node:
        ident = node["containers"].to_arrow()["container_id"][0].as_py()
        check_names(node, ("miner-0", "shop/web-7d4b9c6f5-abcde"), ("web", ident, ident[:SHORTEST]))
        with pytest.raises(UsageError, match=r"^there is no pod dev/web: there are dev/miner-0, "):
            check_names(node, ("miner-0", "dev/web"), ())
        with pytest.raises(UsageError, match=r"^there is no container x: there are .*[0-9a-f]{12}$"):
            check_names(node, (), ("x",))
