# SPDX-License-Identifier: Apache-2.0
"""Tars of layers against their lists: in the folder and in a store, changed, cut, replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.evidence.files import check_files
from memir.evidence.findings import Findings
from memir.evidence.layer_list import LayerList
from memir.evidence.layers import MOST, Compared, Layers
from memir.evidence.records import File
from tests.evidence.test_files import WHERE, Store, record
from tests.evidence.test_layer_list import tree

TAR, LIST = "node/containers/c/upper.tar", "node/containers/c/upper.files.jsonl"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A tar and its list."""
    data = tree(tmp_path_factory.mktemp("layer"))
    lines: list[bytes] = []
    made = LayerList("upper", lines.append)
    made.feed(data)
    return data, b"".join(lines)


def judged(folder: Path, tar: bytes, listed: bytes, cut: frozenset[str] = frozenset()) -> tuple[list[str], list[str]]:
    """(what is wrong, what was checked) of a folder whose records fit what is in it."""
    for name, data in ((TAR, tar), (LIST, listed)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    findings = Findings(str(folder))
    check_files(folder, [record(TAR, tar, ""), record(LIST, listed, "")], "", None, findings, cut=cut)
    assert {problem.where for problem in findings.problems} <= {TAR}
    return [problem.what for problem in findings.problems], findings.checked


def test_they_go_together(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    wrong, checked = judged(tmp_path, *pair)
    assert (wrong, checked) == ([], ["2 files", "12 files in 1 layers, against their lists"])


def test_which_file_differs(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    tar, listed = pair
    wrong, _ = judged(tmp_path, tar.replace(b"own name", b"own nAme"), listed)
    assert len(wrong) == 1
    assert wrong[0].startswith("/a/.wh.mine/%2Ewh.x has sha256 ")
    lines = listed.splitlines(keepends=True)
    wrong, _ = judged(tmp_path, tar, b"".join(lines[:-1]))
    assert wrong == ["has /\\udcff\\udcfe, which its list has not"]
    wrong, _ = judged(tmp_path, tar, listed + b'{"path":"/more","type":"file"}\nno json\n')
    assert wrong == ["lacks /more, which its list has"]
    wrong, _ = judged(tmp_path, tar, b"".join([*lines[:2], b"no json\n", *lines[3:]]))
    assert wrong == ["has /a where its list has a line that is none (b'no json\\n')"]
    wrong, _ = judged(tmp_path, tar[:1024], listed)
    assert wrong[-1].startswith("lacks /")
    assert "it ends in the middle" in wrong[-1]


def test_what_was_cut(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    """A list may end before its tar where both were being written when the controller was killed, and only there."""
    tar, listed = pair
    for size in (len(listed) // 2, len(listed) - 1, 40):
        assert judged(tmp_path, tar, listed[:size], frozenset({LIST}))[0] == []
        assert judged(tmp_path, tar, listed[:size])[0]
    assert judged(tmp_path, tar, listed + b"x\n", frozenset({LIST}))[0]


def test_in_a_store(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    tar, listed = pair
    files = [record(TAR, tar), record(LIST, listed)]
    objects = {f"{WHERE}/{TAR}": tar, f"{WHERE}/{LIST}": listed}
    store = Store(objects)
    findings = Findings("x")
    assert check_files(tmp_path, files, WHERE, store, findings) == 0
    assert (findings.problems, findings.checked[-1]) == ([], "12 files in 1 layers, against their lists")
    del objects[f"{WHERE}/{LIST}"]
    check_files(tmp_path, files, WHERE, store, findings)
    assert [problem.where for problem in findings.problems] == [LIST, TAR]
    assert "its list cannot be read" in findings.problems[1].what
    elsewhere = File(LIST, 1, "00", {"where": "s3://others/x"})
    layers = Layers(tmp_path, [files[0], elsewhere], WHERE, store)
    with layers.passing(TAR) as feed:
        feed(tar)
    findings = Findings("x")
    layers.judge(findings)
    assert "its list cannot be read" in findings.problems[0].what


def test_many_differences_are_counted() -> None:
    compared = Compared()
    for number in range(MOST + 3):
        compared.say(str(number))
    assert (len(compared.different), compared.more) == (MOST, 3)
