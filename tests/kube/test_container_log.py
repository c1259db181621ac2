# SPDX-License-Identifier: Apache-2.0
"""Logs of containers in the kubelet's and Docker's formats; parts of a line are joined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.cached_file import CachedFile
from memir.kube.container_log import container_lines, is_container_log
from memir.kube.log_line import microseconds

CRI = b"""2026-11-23T22:27:04.812801123Z stdout F listening on 8080
2026-11-23T22:27:05.5Z stderr P first, 
2026-11-23T22:27:05.6Z stdout F between
2026-11-23T22:27:05.7Z stderr P second, 
2026-11-23T22:27:05.8+01:00 stderr F last
no line of any format
2026-11-23T22:27:06Z stdout F 
"""  # noqa: W291  # a text may end with a space, and be empty
DOCKER = b"""{"log":"a \\u00fc\\n","stream":"stderr","time":"2026-11-23T22:27:04.8Z"}
{"log":5}
{"log":"torn
"""


def rows(data: bytes) -> list[tuple[int | None, str | None, list[str]]]:
    pages = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    return [(line.time, line.text, line.fields) for line in container_lines(CachedFile(pages))]


def test_cri() -> None:
    base = microseconds("2026-11-23T22:27:00Z") or 0
    assert base == 1_795_472_820_000_000
    assert rows(CRI) == [
        (base + 4_812_801, "listening on 8080", ["stream=stdout"]),
        (base + 5_500_000, "first, second, last", ["stream=stderr"]),
        (base + 5_600_000, "between", ["stream=stdout"]),
        (base + 6_000_000, "", ["stream=stdout"]),
    ]


def test_docker() -> None:
    assert rows(DOCKER) == [(microseconds("2026-11-23T22:27:04.800Z"), "a ü", ["stream=stderr"])]


def test_paths() -> None:
    pod = "/var/log/pods/shop_web-1_033d7310-cf79-4a27-bd7e-4a76f5e16849/nginx/0.log"
    docker = f"/var/lib/docker/containers/{'a' * 64}/{'a' * 64}-json.log"
    for path in (pod, pod + ".20261123-222704", docker, docker + ".1"):
        assert is_container_log(path)
    for path in ("/var/log/nginx/0.log", pod + ".gz", f"/containers/{'a' * 64}/{'b' * 64}-json.log", ""):
        assert not is_container_log(path)


def test_times() -> None:
    assert microseconds("2026-11-23T22:27:04") is None  # of no zone
    assert microseconds("2026-99-23T22:27:04Z") is None


@given(st.lists(st.sampled_from([*CRI.splitlines(), *DOCKER.splitlines(), b"\xff", b"{" * 5000]), max_size=12))
def test_anything_else_is_left_out(lines: list[bytes]) -> None:
    assert len(rows(b"\n".join(lines))) <= len(lines)
