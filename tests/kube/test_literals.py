# SPDX-License-Identifier: Apache-2.0
"""The same matches as `re` alone, on hostile text made of the parts of what the kubelet's patterns find."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.kube import event_keys, kubelet
from memir.kube.literals import matches

UID = b"0123abcd-0123-4567-89ab-0123456789ab"
PARTS = {
    "statuses": [b'"containerStatuses":[{"', b'"initContainerStatuses":[{"', b'"ephemeralContainerStatuses":[{"',
                 b'Statuses":[{"', b'"container', b'Statuses":', b'"', b"[{", b'{"'],
    "alone": [b'{"containerID":"', b"containerd://" + b"a" * 64, b'",', b"f" * 64 + b'",', b'{"name":"', b"web",
              b'","state":{', b"a" * 63, b"x.y-0" * 12 + b"abcd://"],
    "patch": [b'{"metadata":{"uid":"', UID, b'"},', b'{"metadata":', UID[1:]],
    "key": [b"Pod", b"default", b"web-0", b"a" * 316, b"a" * 150, b"spec.", b"containers{", b"initContainers{",
            b"ephemeralContainers{", b"main", b"}", UID, b"0" * 32, b"v1", b"Normal", b"Warning",
            b"Poddefaultweb-0spec.containers{main}" + UID + b"v1Normal"],
}  # fmt: skip
PATTERNS = {
    "statuses": (kubelet._STATUSES, [b'Statuses":[{"'], 24, 16),
    "alone": (kubelet._ALONE, kubelet._ALONE_BEGINS, 0, 200),
    "patch": (kubelet._PATCH, [b'{"metadata":{"uid":"'], 0, 64),
    "key": (event_keys._KEY, [b"ontainers{"], 352, 136),
}


def spans(found: object) -> list[tuple[int, int, tuple[bytes | None, ...]]]:
    return [(match.start(), match.end(), match.groups()) for match in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PARTS)
@given(data=st.data())
def test_the_same_as_re(name: str, data: st.DataObject) -> None:
    text = b"".join(data.draw(st.lists(st.sampled_from([*PARTS[name], b" ", b"\0"]), max_size=24)))
    pattern, literals, before, after = PATTERNS[name]
    assert spans(matches(pattern, text, literals, before, after)) == spans(pattern.finditer(text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("statuses", b'"ephemeralContainerStatuses":[{"'),
        ("alone", b'{"containerID":"' + b"c" * 64 + b"://" + b"0" * 64 + b'",'),
        ("alone", b'{"name":"' + b"n" * 63 + b'","state":{'),
        ("patch", b'{"metadata":{"uid":"' + UID + b'"},'),
        ("key", b"Pod" + b"p" * 316 + b"spec.ephemeralContainers{" + b"n" * 63 + b"}" + UID + b"v1Warning"),
    ],
    ids=["statuses", "id", "name", "patch", "key"],
)
def test_the_longest_of_each(name: str, text: bytes) -> None:
    pattern, literals, before, after = PATTERNS[name]
    data = b"x" + text + b"x"
    (found,) = spans(matches(pattern, data, literals, before, after))
    assert [found] == spans(pattern.finditer(data))


def test_planted_literals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of them cost no more than `re` does, and what stands between and behind them is found."""
    text = b'{"name":"web","state":{' + b'{"name":"' * 40 + b'{"name":"api","state":{ {"name":"' + b'{"name":"' * 40
    text += b'{"containerID":"containerd://' + b"0" * 64 + b'",'
    pattern, literals, before, after = PATTERNS["alone"]
    for many in (0, 1, 2, 40, 41, 42, 43, 1000):
        monkeypatch.setattr("memir.kube.literals.MANY", many)
        assert spans(matches(pattern, text, literals, before, after)) == spans(pattern.finditer(text))
    assert len(spans(pattern.finditer(text))) == 3


def test_one_match_may_hold_the_literal_twice_and_two_may_be_near_one() -> None:
    twice = re.compile(rb"a[xy]*")
    assert spans(matches(twice, b"ayxayx", [b"y"], 4, 8)) == [(0, 3, ()), (3, 6, ())]
    assert spans(matches(twice, b"ayyy", [b"y"], 4, 8)) == [(0, 4, ())]
    assert spans(matches(twice, b"xxxx", [b"y"], 4, 8)) == []
