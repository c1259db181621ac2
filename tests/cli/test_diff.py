# SPDX-License-Identifier: Apache-2.0
"""`memir diff`: in a terminal and as JSON."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from memir.case.case import Case
from memir.cli import diff
from tests.case.test_case import ANALYSIS, ONE, SECOND
from tests.cli.conftest import Memir, registered


def test_diff(memir: Memir, tmp_path: Path) -> None:
    modules = {"name": ["a", "b"], "srcversion": ["1", "2"], "size": [4096, 4096], "hidden": [False, False]}
    Case.create(tmp_path / "old").add_tables({"modules": pa.table(modules)}, ANALYSIS, ONE)
    changed = {**modules, "name": ["a", "c"], "hidden": [True, None]}
    Case.create(tmp_path / "new").add_tables({"modules": pa.table(changed)}, ANALYSIS, SECOND)
    ran = memir("diff", tmp_path / "old", tmp_path / "new", "--kind", "modules")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-5:-1] == [
        "modules: 1 new, 1 gone, 1 changed",
        "  + the node: c [srcversion 2; size 4096]",
        "  - the node: b [srcversion 2; size 4096]",
        "  ~ the node: a [hidden: false -> true]",
    ]
    document = memir("diff", tmp_path / "old", tmp_path / "new", "--json").json()
    assert [(each["state"], each["key"]["name"]) for each in document["differences"]] == [
        ("changed", "a"), ("gone", "b"), ("new", "c"),
    ]  # fmt: skip
    assert document["compared"] == ["modules"] and "processes" in document["lacking"]
    ran = memir("diff", tmp_path / "old", tmp_path / "none")
    assert ran.code == 3 and "none" in ran.err
    assert memir("diff", tmp_path / "old", tmp_path / "new", "--kind", "x").code == 2


def test_register() -> None:
    assert registered(diff) == ["diff"]
