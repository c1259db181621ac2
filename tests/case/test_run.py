# SPDX-License-Identifier: Apache-2.0
"""When two hunts are the same run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from memir.case.record import RuleFile
from memir.case.run import rule_files, run_id
from memir.errors import RulesError

A, B = RuleFile("/a.yar", "aa" * 32), RuleFile("/b.yar", "bb" * 32)


def test_content_counts_and_order_does_not() -> None:
    first = run_id([A, B], {"x": 1}, {"kinds": {"free", "files"}, "scope": "region"})
    assert len(first) == 16 and int(first, 16) >= 0
    assert first == run_id(
        [B, RuleFile("/moved.yar", A.sha256)], {"x": 1}, {"scope": "region", "kinds": ("files", "free")}
    )
    for other in (
        run_id([A], {"x": 1}, {"kinds": {"free", "files"}, "scope": "region"}),
        run_id([A, B], {"x": 2}, {"kinds": {"free", "files"}, "scope": "region"}),
        run_id([A, B], {"x": True}, {"kinds": {"free", "files"}, "scope": "region"}),
        run_id([A, B], {"x": 1}, {"kinds": {"free"}, "scope": "region"}),
        run_id([A, B], {"x": 1}, {"kinds": {"free", "files"}, "scope": "process"}),
    ):
        assert other != first


def test_included_files_count(tmp_path: Path) -> None:
    (tmp_path / "index.yar").write_text('include "a.yar"\n')
    (tmp_path / "a.yar").write_text('include "index.yar"\nrule a { condition: true }')  # a circle
    files = rule_files([tmp_path / "index.yar"])
    assert [Path(one.path).name for one in files] == ["index.yar", "a.yar"]
    assert files[1].sha256 == hashlib.sha256((tmp_path / "a.yar").read_bytes()).hexdigest()
    (tmp_path / "compiled.yarc").write_bytes(b'YARA include "none.yar"')
    assert len(rule_files([tmp_path / "compiled.yarc"])) == 1
    (tmp_path / "a.yar").unlink()
    with pytest.raises(RulesError, match=r"a.yar: cannot be read: No such file"):
        rule_files([tmp_path / "index.yar"])
