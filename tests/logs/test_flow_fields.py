# SPDX-License-Identifier: Apache-2.0
"""Fields of VPC flow logs."""

from __future__ import annotations

from memir.logs.flow_fields import DEFAULT, names_of, selected, sql
from tests.logs.made import V5


def test_names_of() -> None:
    assert names_of(V5) == tuple(V5.split())
    for odd in ("", "version", "hello world of words", "version version srcaddr", "x'y srcaddr dstaddr version"):
        assert names_of(odd) == ()


def test_sql() -> None:
    assert "len(v) = 14" in (sql("2 123 x") or "")
    assert "len(v) = 19" in (sql(V5) or "")
    assert 'as "src_port"' in selected(dict.fromkeys(DEFAULT, "null"))
