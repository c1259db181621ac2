# SPDX-License-Identifier: Apache-2.0
"""case.json is read: there and back, the files of 0.1.0, and every malformed shape."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memir.case.identity import Identity
from memir.case.read_record import parse_record, read_record
from memir.errors import CaseError
from memir.gaps import Gap
from tests.case.test_record import IDENTITY, full
from tests.fuzz import cases

EVIDENCE = {
    "image": "n.raw", "format": "raw", "container": None, "file_size": 4096, "ram_size": 4096, "missing": 0,
    "ranges": [{"start": 0, "size": 4096}], "sha256": "cd" * 32,
}  # fmt: skip
KERNEL = {
    "arch": "x86_64", "release": "6.1", "banner": "Linux", "build_id": "ab" * 20, "kaslr_shift": None,
    "paging_levels": 4, "page_table": 4096, "direct_map": 1 << 63, "symbols": 3, "sources": {"types": "BTF"},
}  # fmt: skip
HUNT1 = {
    "rules": {"files": ["a.yar"], "count": 1, "notes": []}, "scope": "region", "kinds": ["free"], "seconds": 1.5,
    "image": "n.raw", "hits": 2, "rows": 3, "units": {"free": 1}, "scanned": {"free": 4096}, "laps": {"scan": 1.0},
}  # fmt: skip
VERSION1: dict[str, Any] = {
    "command": "analyze", "evidence": EVIDENCE, "cluster": None, "kernel": KERNEL, "node": "n", "oddities": [
        {"kind": "k", "text": "t", "pid": 1, "container_id": None, "pod_uid": None}],
    "seconds": 2.5, "memir": "0.1.0", "written": "2026-01-01T00:00:00+00:00", "tables": {"processes": 5, "hits": 3},
    "gaps": [{"kind": "task", "where": "0x1", "why": "not readable", "count": 4}], "hunt": HUNT1,
}  # fmt: skip


def test_there_and_back() -> None:
    document = full()
    record = parse_record(json.loads(json.dumps(document)), "case.json")
    assert record.to_json() == document
    assert (record.schema, record.node, record.identity) == (2, "n", IDENTITY)
    assert record.tables == {"processes": 5, "hits": 3}
    assert [run.run for run in record.runs] == ["analyze", "00ff"]
    assert record.gaps == (Gap("task", "0x1", "not readable", 4),)


def test_a_file_of_0_1_0() -> None:
    record = parse_record(VERSION1, "case.json")
    assert record.identity == Identity("ab" * 20, None, ((0, 4096),), None, "cd" * 32)
    assert [(run.run, run.command, run.tables, run.seconds) for run in record.runs] == [
        ("analyze", "analyze", {"processes": 5}, 2.5), ("", "hunt", {"hits": 3}, 1.5),
    ]  # fmt: skip
    assert record.gaps == record.runs[0].gaps == (Gap("task", "0x1", "not readable", 4),)
    assert record.kernel is not None and record.kernel.release == "6.1" and record.oddities[0].pid == 1
    alone = {key: VERSION1[key] for key in ("memir", "written", "tables", "gaps", "hunt")}
    hunted = parse_record(alone, "case.json")
    assert (hunted.identity, hunted.images) == (None, ("n.raw",))


def test_the_wrong_field_is_named(tmp_path: Path) -> None:
    for change, words in (
        ({"schema": 3}, "field schema is 3: written by a newer memir"),
        ({"schema": "2"}, "field schema is '2', where 2 is expected"),
        ({"schema": True}, "field schema is True, where 2 is expected"),
        ({"identity": {}}, "field identity.build_id is missing"),
        ({"gaps": [{"kind": 1}]}, "field gaps[0].kind is 1, where a text is expected"),
    ):
        with pytest.raises(CaseError) as caught:
            parse_record({**full(), **change}, "case.json")
        assert words in str(caught.value)
    with pytest.raises(CaseError, match=r"the document is no object"):
        parse_record([], "case.json")
    with pytest.raises(CaseError, match=r"is not a case: it has no case.json"):
        read_record(tmp_path)
    (tmp_path / "case.json").write_text("{")
    with pytest.raises(CaseError, match=r"not JSON"):
        read_record(tmp_path)
    (tmp_path / "case.json").write_text(json.dumps(full()))
    assert read_record(tmp_path).node == "n"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in a document."""
    found = [path]
    if isinstance(value, dict):
        found += [place for key, inner in value.items() for place in places(inner, (*path, key))]
    if isinstance(value, list):
        found += [place for index, inner in enumerate(value) for place in places(inner, (*path, index))]
    return found


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("\ud800"), st.just([]),
    st.just({}), st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.just(10**400),
)  # fmt: skip


def mutated(document: Any, place: tuple[Any, ...], value: Any, drop: bool) -> Any:
    """A copy of a document with one value replaced or dropped."""
    out = copy.deepcopy(document)
    if not place:
        return value
    parent = out
    for step in place[:-1]:
        parent = parent[step]
    if drop:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return out


def check_mutations(document: Any, count: int) -> None:
    where = st.sampled_from(places(document))

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(where, ODD, st.booleans())
    def run(place: tuple[Any, ...], value: Any, drop: bool) -> None:
        try:
            record = parse_record(mutated(document, place, value, drop), "case.json")
        except CaseError as error:
            words = str(error)
            assert words.startswith("case.json: ")
            assert "field " in words or "the document is no" in words or "not a case" in words, words
        else:
            assert record.to_json()["schema"] == 2

    run()


@pytest.mark.parametrize("document", [full(), VERSION1], ids=["version 2", "version 1"])
def test_ten_thousand_malformed_shapes(document: Any) -> None:
    check_mutations(document, cases(500, 5_000))


def test_what_is_no_case_says_what_to_give(tmp_path: Path) -> None:
    case = tmp_path / "case"
    (case / "tables").mkdir(parents=True)
    (case / "case.json").write_text("{}")
    (case / "tables" / "pods.parquet").write_text("")
    (tmp_path / "node.raw").write_text("")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "manifest.jsonl").write_text("")
    (tmp_path / "folder").mkdir()
    for path, words in {
        case / "case.json": f"it is a part of one: give {case}",
        case / "tables": f"it is a part of one: give {case}",
        case / "tables" / "pods.parquet": f"it is a part of one: give {case}",
        tmp_path / "node.raw": f"it is a file. `memir analyze {tmp_path}/node.raw -o CASE` writes a case",
        tmp_path / "evidence": f"it is evidence that was acquired. `memir analyze {tmp_path}/evidence -o CASE` writes",
        tmp_path / "folder": "it has no case.json: `memir analyze IMAGE -o CASE` writes a case",
        tmp_path / "absent": "there is no such folder: `memir analyze IMAGE -o CASE` writes a case",
    }.items():
        with pytest.raises(CaseError) as caught:
            read_record(path)
        assert str(caught.value).startswith(f"{path} is not a case: {words}")
