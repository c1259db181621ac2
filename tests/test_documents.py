# SPDX-License-Identifier: Apache-2.0
"""Typed documents: what they take, what they refuse and how they name the field; their schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest

from memir.documents import MAX_DOCUMENT, decode, encode, parse, read, read_bytes, schema
from memir.errors import CaseError, EvidenceError


@dataclass(frozen=True)
class Part:
    """A part."""

    name: str
    size: int = 0


@dataclass(frozen=True)
class Whole:
    """A whole."""

    version: Literal[2]
    parts: tuple[Part, ...]
    place: tuple[int, str]
    ratio: float | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "version": 2,
    "parts": [{"name": "a", "size": 1 << 63}, {"name": "b", "later": [1]}],
    "place": [-1, "x"],
    "ratio": 2,
    "flags": {"on": True},
}


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * (1 << 20))
    assert read_bytes(path, 1 << 20, CaseError) == b"x" * (1 << 20)
    with pytest.raises(CaseError, match=f"{path}: longer than 0 MiB: cut it"):
        read_bytes(path, 99, CaseError, "cut it")
    with pytest.raises(EvidenceError, match="none: cannot be read: No such file"):
        read_bytes(tmp_path / "none", 1, EvidenceError)


def test_there_and_back() -> None:
    whole = decode(Whole, GOOD, "doc")
    assert whole == Whole(2, (Part("a", 1 << 63), Part("b", 0)), (-1, "x"), 2.0, {"on": True})
    again = encode(whole)
    assert again["parts"] == [{"name": "a", "size": 1 << 63}, {"name": "b", "size": 0}] and again["place"] == [-1, "x"]
    assert decode(Whole, again, "doc") == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 3}, "field version is 3, where 2 is expected"),
        ({"version": True}, "field version is True, where 2 is expected"),
        ({"parts": {}}, "field parts is an object, where a list is expected"),
        ({"parts": [{"size": 1}]}, "field parts[0].name is missing"),
        ({"parts": [{"name": "a", "size": "1"}]}, "field parts[0].size is '1', where a whole number of 64 bits"),
        ({"parts": [{"name": "a", "size": True}]}, "field parts[0].size is True, where a whole number"),
        ({"parts": [{"name": "a", "size": 1 << 64}]}, "field parts[0].size is 18446744073709551616, where a whole"),
        ({"parts": [3]}, "field parts[0] is 3, where an object is expected"),
        ({"place": [1]}, "field place is a list, where a list of 2 is expected"),
        ({"place": [1, 2]}, "field place[1] is 2, where a text is expected"),
        ({"place": [1, "\ud800"]}, "field place[1] is '\\ud800', where a text of whole characters is expected"),
        ({"flags": {"\udfff": True}}, "field flags is '\\udfff', where a text of whole characters"),
        ({"ratio": "x"}, "field ratio is 'x', where a number is expected"),
        ({"ratio": 10**400}, "field ratio is 1000"),
        ({"flags": {"on": 1}}, "field flags.on is 1, where true or false is expected"),
        ({"flags": []}, "field flags is a list, where an object is expected"),
    ],
)
def test_the_field_that_is_wrong_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CaseError) as caught:
        decode(Whole, {**GOOD, **change}, "doc", CaseError)
    assert str(caught.value).startswith(f"doc: {words}")


def test_a_name_of_a_file_that_is_not_utf_8() -> None:
    """As Python has it from the system, and as it goes back to it."""
    assert decode(Part, {"name": "n\udcff.raw"}, "doc").name == "n\udcff.raw"


def test_a_document_that_is_no_object() -> None:
    with pytest.raises(EvidenceError, match="doc: the document is a list, where an object is expected"):
        decode(Whole, [], "doc")


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": NaN}', b"[-Infinity]", b"\xff\xfe{}", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(CaseError, match="doc: not JSON: "):
        parse(data, "doc", CaseError)


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read(path) == {"a": 1}
    with pytest.raises(CaseError, match="cannot be read: No such file"):
        read(tmp_path / "none", CaseError)
    with path.open("wb") as file:
        file.truncate(MAX_DOCUMENT + 1)
    with pytest.raises(CaseError, match="longer than 64 MiB"):
        read(path, CaseError)


def test_the_schema_takes_and_refuses_the_same() -> None:
    document = schema(Whole, "whole")
    assert document["title"] == "whole" and document["required"] == ["version", "parts", "place"]
    assert document["$defs"]["Part"]["properties"]["size"] == {"type": "integer"}
    validator = jsonschema.Draft202012Validator(document)
    validator.validate(GOOD)
    changes: list[dict[str, Any]] = [
        {"version": 3}, {"parts": {}}, {"place": [1]}, {"ratio": "x"}, {"flags": {"on": 1}},
    ]  # fmt: skip
    for change in changes:
        assert list(validator.iter_errors({**GOOD, **change})), change
