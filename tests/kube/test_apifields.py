# SPDX-License-Identifier: Apache-2.0
"""Typed members of the API's JSON: the value, nothing, or an error that names the place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from memir.errors import ClusterError
from memir.kube.apifields import JsonObject, wrong_type

VALUE: dict[str, Any] = {
    "name": "x", "empty": "", "on": True, "count": 3, "labels": {"a": "b"}, "inner": {"deep": {"text": "y"}},
    "list": [{"n": 1}], "at": "2026-11-23T22:27:29Z", "local": "2026-11-23T22:27:29", "null": None,
}  # fmt: skip
AT = JsonObject(VALUE, "pods.json: items[3]")


def test_what_is_there() -> None:
    assert (AT.text("name"), AT.needed("name"), AT.flag("on"), AT.number("count")) == ("x", "x", True, 3)
    assert AT.texts("labels") == {"a": "b"}
    assert AT.object("inner").object("deep").where == "pods.json: items[3].inner.deep"
    assert [one.number("n") for one in AT.objects("list")] == [1]
    assert AT.moment("at") == AT.moment("local") == datetime(2026, 11, 23, 22, 27, 29, tzinfo=UTC)
    assert JsonObject({}, "pods.json: ").place("kind") == "pods.json: kind"
    assert JsonObject.of({"a": 1}, "x").value == {"a": 1}


def test_what_is_not_there() -> None:
    for key in ("none", "null"):
        assert (AT.text(key), AT.flag(key), AT.number(key), AT.texts(key)) == (None, False, None, {})
        assert (AT.objects(key), AT.moment(key), AT.object(key).value) == ([], None, {})
    assert AT.text("empty") is None


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda: AT.text("on"), "items[3].on: a boolean, not a string"),
        (lambda: AT.flag("name"), "items[3].name: a string, not a boolean"),
        (lambda: AT.number("on"), "items[3].on: a boolean, not a whole number"),
        (lambda: JsonObject({"n": 1 << 31}, "x").number("n"), "x.n: a number of more than 32 bits"),
        (lambda: AT.object("list"), "items[3].list: a list, not an object"),
        (lambda: AT.objects("inner"), "items[3].inner: an object, not a list"),
        (lambda: AT.texts("inner"), "items[3].inner.deep: an object, not a string"),
        (lambda: AT.moment("name"), "items[3].name: 'x' is not a time"),
        (lambda: AT.needed("empty"), "items[3].empty: missing"),
        (lambda: JsonObject.of(None, "items[4]"), "items[4]: null, not an object"),
    ],
)
def test_errors_name_the_place(read: Any, says: str) -> None:
    with pytest.raises(ClusterError) as caught:
        read()
    assert says in str(caught.value)


def test_wrong_type() -> None:
    assert str(wrong_type("a.b", 1.5, "an object")) == "a.b: a number, not an object"
