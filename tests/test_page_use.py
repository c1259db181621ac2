# SPDX-License-Identifier: Apache-2.0
"""RAM by pod and kind: sums of the table, nothing twice, nothing left out."""

from __future__ import annotations

import json

import pytest

import memir
from memir.page_use import KINDS, PageUse, Share, page_use
from tests.images import ROOT, cache, case


@pytest.fixture(scope="module")
def use() -> PageUse:
    with memir.open(case("s-6.12-intruded").image, cache=cache()) as node:
        return page_use(node)


def test_sums(use: PageUse) -> None:
    assert use.total == 192 << 20 == sum(use.kinds.values()) == sum(leaf[3] for leaf in use.leaves)
    for share in use.shares:
        assert share.total == sum(size for owner, _, _, size in use.leaves if owner is share)
    assert [KINDS.index(share.what) for share in use.shares] == sorted(KINDS.index(share.what) for share in use.shares)


def test_titles(use: PageUse) -> None:
    assert [share.title for share in use.shares] == [
        "dev/miner-0", "shop/api-58f6c9d7b4-q8xkz", "shop/web-7d4b9c6f5-abcde", "shop/toolbox",
        "kube-system/agent-x9z2k", "pod 99999999-9999-4999-8999-0123456789ab", "shop/migrate-w57gd",
        "container 5b92eb8b1775526893f94b06e66883acba55f7d13cdc77d7d10625bd11c07595",
        "shared by pods", "the node", "free", "not known",
    ]  # fmt: skip
    assert Share("pod", None, None, None, {}).title == "pod "


def test_leaves_and_charges(use: PageUse) -> None:
    miner = {(kind, name) for share, kind, name, _ in use.leaves if share.title == "dev/miner-0"}
    assert ("tmpfs", "/memfd:kworker") in miner or any(name.startswith("/memfd:") for _, name in miner)
    assert any(kind == "anonymous" and name.startswith("secretd ") for kind, name in miner)
    assert list(use.elsewhere) == []  # every page is charged to the pod whose it is
    assert use.removed == ()


def test_charged_to_a_pod_that_is_gone() -> None:
    """What a deleted pod left in a file system of RAM is charged to it still, and owned by nobody."""
    with memir.open(ROOT / "samples" / "s-6.12-recorded.raw.zst", cache=cache()) as node:
        (row,) = page_use(node).elsewhere
    assert (row["charged_pod_uid"], row["pod_uid"]) == ("77777777-8888-4888-8888-0123456789ab", None)
    assert (row["kind"], row["bytes"]) == ("tmpfs", 1_982_464)


def test_document_is_json(use: PageUse) -> None:
    document = json.loads(json.dumps(use.document()))
    assert document["total"] == 192 << 20
    assert document["shares"][0]["pod_name"] == "miner-0" and document["shares"][0]["what"] == "pod"
    assert document["shares"][0]["total"] == sum(document["shares"][0]["bytes"].values())
