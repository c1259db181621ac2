# SPDX-License-Identifier: Apache-2.0
"""Open files by CRIU's ids, and sockets."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from memir.checkpoint.files import address, from_root, kind_of, old_rows, open_files, socket_rows, unix_name
from memir.checkpoint.images import entries
from tests.checkpoint.sample import members, of_pid, truth


def sample() -> list[dict[str, Any]]:
    return entries(members()["checkpoint/files.img"], "files", "files.img")[0]


def test_every_open_file_of_proc_is_there() -> None:
    paths = {file.path for file in open_files(sample(), set()).values()}
    said = {path.removesuffix(" (deleted)") for process in truth()["processes"] for path in process["fds"].values()}
    assert said <= paths
    assert {"/bin/busybox", "/", "/tmp"} <= paths


def test_removed_ids_are_deleted() -> None:
    rows: list[dict[str, Any]] = [
        {"type": 1, "id": 3, "reg": {"name": "tmp/x", "pos": 5, "flags": 0o100001}},
        {"type": 1, "id": 3},
        {"type": 8},
    ]
    files = open_files(rows, {3})
    assert list(files) == [3]
    assert (files[3].path, files[3].deleted, files[3].offset, files[3].flags) == ("/tmp/x", True, 5, 0o100001)


def test_files_without_a_path() -> None:
    files = open_files(
        [{"type": 7, "id": 1}, {"type": 2, "id": 2, "pipe": {"pipe_id": 9}}, {"type": 99, "id": 4}], set()
    )
    assert [files[key].path for key in (1, 2, 4)] == ["anon_inode:[eventpoll]", "pipe:[9]", None]


def test_an_image_a_kind() -> None:
    assert old_rows([{"id": 4, "name": "a"}], "reg-files") == [{"type": 1, "id": 4, "reg": {"id": 4, "name": "a"}}]
    assert old_rows([{"id": 4}], "unixsk")[0]["usk"] == {"id": 4}


@pytest.mark.parametrize(("name", "path"), [("/a", "/a"), ("a/b", "/a/b"), ("./a", "/a"), (".", "/"), (None, None)])
def test_from_root(name: str | None, path: str | None) -> None:
    assert from_root(name) == path


def test_sockets_are_those_of_proc() -> None:
    rows = [row for row in socket_rows(open_files(sample(), set())) if row["family"] != "unix"]
    said = set()
    for line in truth()["tcp"]:
        fields = line.split()
        ports = [int(fields[column].split(":")[1], 16) for column in (1, 2)]
        said.add((ports[0], ports[1] or None, int(fields[9]), {1: "ESTABLISHED", 10: "LISTEN"}[int(fields[3], 16)]))
    assert {(row["local_port"], row["remote_port"], row["inode"], row["state"]) for row in rows} == said
    assert sorted(str(row["local"]) for row in rows) == ["127.0.0.1", "::", "::ffff:127.0.0.1"]
    assert {row["remote_kind"] for row in rows} == {None, "loopback"}


def test_unix_sockets_and_their_peers() -> None:
    files = open_files(
        [{"type": 5, "id": 1, "usk": {"ino": 7, "type": 1, "state": 10, "name": b"/run/a\0"}},
         {"type": 5, "id": 2, "usk": {"ino": 8, "type": 1, "state": 1, "peer": 7}}], set(),
    )  # fmt: skip
    rows = socket_rows(files)
    assert [(row["local"], row["remote"], row["state"], row["type"]) for row in rows] == [
        ("/run/a", None, "LISTEN", "stream"), (None, "/run/a", "ESTABLISHED", "stream"),
    ]  # fmt: skip
    assert (
        next(row for row in socket_rows(open_files(sample(), set())) if row["family"] == "unix")["local"] == "/dev/log"
    )
    assert of_pid(6)["fds"]["0"].startswith("socket:")


def test_addresses() -> None:
    assert address([struct.unpack("<I", bytes([10, 0, 1, 7]))[0]], 2) == "10.0.1.7"
    assert address(list(struct.unpack("<4I", bytes(15) + b"\1")), 10) == "::1"
    assert address([], 2) is None
    assert address([1 << 40], 2) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [("127.0.0.1", "loopback"), ("::ffff:10.1.2.3", "private"), ("8.8.8.8", "outside"), ("224.0.0.1", "multicast"),
     ("0.0.0.0", None), (None, None)],
)  # fmt: skip
def test_kind_of(text: str | None, kind: str | None) -> None:
    assert kind_of(text) == kind


def test_unix_name() -> None:
    assert unix_name(b"\0abstract\0\0") == "@abstract"
    assert unix_name(b"") is None
