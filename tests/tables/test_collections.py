# SPDX-License-Identifier: Apache-2.0
"""The table `collections`, and every table that a collected pod gives."""

from __future__ import annotations

from pathlib import Path

from memir.collected.source import CollectedSource
from memir.tables.collections import TABLE, read_collected
from memir.tables.table import read_tables, tables
from tests.collected.made import ID, PARTIAL, POD, folder


def test_the_one_collection(tmp_path: Path) -> None:
    source = CollectedSource(folder(tmp_path / "ev", PARTIAL))
    assert list(read_collected(source)["status"]) == ["partial"]
    (row,) = TABLE.read(source).to_arrow().to_pylist()
    assert (row["status"], row["missing"], row["files"]) == ("partial", ["memory pid 7: Permission denied"], 2)
    assert (row["transport_node"], row["asked_api"], row["pod_uid"]) == ("ip-10-0-0-7", True, POD.uid)
    assert row["finished_at"].isoformat() == "2026-11-29T12:00:00+00:00"


def test_every_table_is_typed_and_owned(tmp_path: Path) -> None:
    source = CollectedSource(folder(tmp_path / "ev"))
    read = {name: frame.to_arrow().to_pylist() for name, frame in read_tables(source).items()}
    assert sorted(read) == [
        "collections", "containers", "files", "inodes", "mounts", "pods", "processes", "sockets", "threads", "vmas",
    ]  # fmt: skip
    (process,) = read["processes"]
    assert (process["comm"], process["uid"], process["seccomp"]) == ("nginx", 101, 2)
    assert process["cap_effective"] == 0xA80425FB
    assert (process["exe"], process["exe_deleted"], process["label"]) == (
        "/usr/sbin/nginx", True, "cri-containerd.apparmor.d (enforce)",
    )  # fmt: skip
    assert (process["container_name"], process["pod_name"], process["namespace"]) == ("web", "web-1", "shop")
    assert process["start_time"].timestamp() == 1_795_000_005
    assert process["environ"][0].startswith("DB_PASSWORD=*** (password")
    (listening,) = read["sockets"]
    assert (listening["state"], listening["local_port"], listening["pid"], listening["fd"]) == ("LISTEN", 8080, 77, 3)
    assert listening["container_id"] == ID
    assert [row["path"] for row in read["vmas"]] == ["/usr/sbin/nginx", "[heap]"]
    assert {row["use"]: row["kind"] for row in read["files"]}["fd"] == "socket"
    (container,) = read["containers"]
    assert (container["image"], container["restarts"], container["state"]) == ("web@sha256:00", 2, "running")
    (pod,) = read["pods"]
    assert (pod["node"], pod["processes"], pod["seen_in"]) == ("node-1", 1, "both")
    assert [row["mount_point"] for row in read["mounts"]] == ["/"]
    absent = {name for name, table in tables().items() if "ram" in table.readers} - set(read)
    gaps = [gap for gap in source.gaps if gap.kind == "table"]
    assert sum(gap.count for gap in gaps) >= len(absent) > 10
    assert {gap.why for gap in gaps} == {"cannot be read from pod"}
