# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.tornjson import LIMIT, find_members, read_object, without_lone_surrogates
from tests.fuzz import cases

CASES = cases(300)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=5)


def dump(value: Any, spaced: bool = False) -> bytes:
    """As Go's encoder writes: UTF-8, no spaces, lone surrogates gone."""
    text = json.dumps(value, ensure_ascii=False, separators=None if spaced else (",", ":"))
    return text.encode("utf-8", "replace")


def within(part: Any, whole: Any) -> bool:
    """Whether everything in `part` is in `whole`, at the same place."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(item, whole[key]) for key, item in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(within, part, whole))
    return part == whole and type(part) is type(whole)


@settings(max_examples=CASES // 3, deadline=None)
@given(objects, st.binary(max_size=20), st.booleans())
def test_whole_objects_come_back_whatever_follows(value: dict[str, Any], after: bytes, spaced: bool) -> None:
    data = dump(value, spaced)
    value = json.loads(data)
    for tail in (b"", b"\0" * 100, b"\0" + after, b"\xff" + after, b"\n" + after):
        found = read_object(data + tail)
        assert found is not None
        assert (found.value, found.complete, found.length) == (value, True, len(data))


@settings(max_examples=CASES // 3, deadline=None)
@given(objects, st.data(), st.binary(max_size=40))
def test_a_cut_object_never_gives_what_was_not_there(value: dict[str, Any], data: st.DataObject, junk: bytes) -> None:
    whole = dump(value)
    cut = data.draw(st.integers(0, len(whole) - 1))
    keys = frozenset(value)
    found = read_object(whole[:cut] + b"\0" + junk, part_lists=keys)
    if found is not None:
        assert not found.complete
        assert within(found.value, json.loads(whole))
        assert found.length <= cut


def test_members_before_the_cut() -> None:
    whole = b'{"a":1,"b":{"c":"x","d":[1,2]},"e":[{"f":1},{"f":2},{"f":3}],"g":"end"}'
    at = whole.index(b',{"f":3}')
    found = read_object(whole[: at + 5])
    assert found is not None
    assert found.value == {"a": 1, "b": {"c": "x", "d": [1, 2]}}
    found = read_object(whole[: at + 5], part_lists=("e",))
    assert found is not None
    assert found.value["e"] == [{"f": 1}, {"f": 2}]
    assert whole[: found.length] == whole[:at]


@pytest.mark.parametrize("cut", [b'{"pid":12', b'{"pid":12 ', b'{"pid":tru', b'{"pid":"x', b'{"pid":"x"'])
def test_a_value_is_whole_only_if_something_follows(cut: bytes) -> None:
    assert read_object(cut) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"{",
        b"[]",
        b"[1]",
        b'"x"',
        b"1",
        b"nul",
        b"{]",
        b'{"a"',
        b'{"a":',
        b"{1:2}",
        b"\xff\xfe",
        b"{{{",
    ],
)
def test_nothing_there(data: bytes) -> None:
    assert read_object(data) is None


def test_nothing_is_read_beyond_a_nul_or_broken_utf8() -> None:
    for broken in (b"\0", b"\xff", b"\xc3(", b"\n"):
        found = read_object(b'{"a":1,"b":"x' + broken + b'y","c":2}')
        assert found is not None
        assert (found.value, found.complete) == ({"a": 1}, False)


def test_odd_values() -> None:
    found = read_object(b'{"a":1,"a":2}')
    assert found is not None
    assert found.value == {"a": 2}
    assert "twice" in found.doubts[0]
    found = read_object(rb'{"a":"\ud83d\ude00","b":"\ud83dx","\udfff":[{"c":"\udc00"}]}')
    assert found is not None
    assert found.value == {"a": "\U0001f600", "b": "\ufffdx", "\ufffd": [{"c": "\ufffd"}]}
    json.dumps(found.value, ensure_ascii=False).encode()
    for number in (b"NaN", b"Infinity", b"-Infinity", b"9" * 5000, b"1e" + b"9" * 400):
        found = read_object(b'{"a":1,"b":' + number + b',"c":3}')
        assert found is not None
        assert found.value["a"] == 1


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' * 200_000,
        b'{"a":[' + b"[" * 1_000_000,
        b'{"a":1,"b":' + b"[" * 50_000 + b"]" * 50_000 + b',"c":2}',
        b'{"a":{"b":{"c":{"d":{"e":{"f":' + b'"x",' * 200_000,
        b'{"env":[' + b'"x",' * 250_000,
        b'{"a":"' + b'\\"' * 500_000,
        b'{"a":"' + b"x" * (2 * LIMIT) + b'"}',
        b"{" + b'"a":1,' * 150_000,
        b'{"a":' + b" " * (LIMIT - 100),
        b'{"\\ud800":' + b'{"x":' * 500 + b"1" + b"}" * 500 + b"}",
    ],
)
def test_hostile_documents_are_fast(data: bytes) -> None:
    start = time.process_time()
    read_object(data, part_lists=("env",))
    find_members(data, ("annotations", "a"))
    assert time.process_time() - start < 20


@settings(max_examples=CASES, deadline=None)
@given(st.binary(max_size=200) | st.text('{}[]",:\\u0d8ae1-. tfn\0', max_size=200).map(lambda text: text.encode()))
def test_any_bytes_are_read(data: bytes) -> None:
    for lead in (b"", b'{"a":', b'{"annotations":{"x":"y",'):
        read_object(lead + data, part_lists=("a",))
        find_members(lead + data, ("annotations", "a"))


def test_find_members_in_the_middle() -> None:
    text = (
        rb'source":"/x"}],"annotations":{"k":"v \",\"annotations\":{\"k\":\"fake\"}"},'
        rb'"linux":{"cgroupsPath":"a:b:c","namespaces":[{"type":"pid"}],"maskedPaths":["/pro'
    )
    found = find_members(text, ("annotations", "cgroupsPath", "namespaces", "maskedPaths", "mounts"))
    assert found["annotations"] == {"k": 'v ","annotations":{"k":"fake"}'}
    assert found["cgroupsPath"] == "a:b:c"
    assert found["namespaces"] == [{"type": "pid"}]
    assert set(found) == {"annotations", "cgroupsPath", "namespaces"}


def test_lone_surrogates() -> None:
    """UTF-8 and every table refuse them; a pair is a character."""
    value = {"a\ud800": ["\udfff", "\ud83d\ude00"], "n": 1}
    assert without_lone_surrogates(value, r'{"a\ud800"}') == {"a\ufffd": ["\ufffd", "\U0001f600"], "n": 1}
    assert without_lone_surrogates(value, "no escape in the text") is value
