# SPDX-License-Identifier: Apache-2.0
"""What a list of indicators names, on a real image: its own miner's pool and a file's hash."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from memir.findings.indicators import TABLE, read_indicators
from tests.findings.real import INTRUDED, Row, brief, given, node

KIND = "known-indicator"


def with_list(tmp_path: Path, *lines: str) -> list[Row]:
    (tmp_path / "ioc.txt").write_text("\n".join(lines))
    return given(INTRUDED, KIND, indicators=indicators(tmp_path / "ioc.txt"))


def indicators(path: Path) -> pa.Table:
    return TABLE.rows(read_indicators(path).rows).to_arrow()


def test_a_hash(tmp_path: Path) -> None:
    files = [row for row in node(INTRUDED)[0]["inodes"].to_pylist() if row["sha256"] and row["pod_name"]]
    file = files[0]
    rows = with_list(tmp_path, file["sha256"].upper())
    path = file["container_path"] or file["node_path"] or file["path"]
    assert (rows[0]["severity"], rows[0]["technique"]) == ("high", "T1105")
    assert path in {row["path"] for row in rows}
    assert with_list(tmp_path, "0" * 64) == []


def test_a_hash_of_many_programs_says_so(tmp_path: Path) -> None:
    """One binary is all of the laboratory's programs: the reason names how many; a shared layer is not the node's."""
    files = [row for row in node(INTRUDED)[0]["inodes"].to_pylist() if row["container_path"] == "/tmp/.x/kworkerds"]
    (value,) = {row["sha256"] for row in files if row["sha256"]}
    rows = with_list(tmp_path, value)
    names = {str(row["path"]).rpartition("/")[2] for row in rows}
    assert {"kworkerds", "kubelet"} <= names
    assert all(f"; {len(names)} programs of unlike names have it (" in row["reason"] for row in rows)
    shared = next(row["title"] for row in rows if row["path"] == "/app/server")
    assert shared.startswith("/app/server (an image of ") and "shop/api-58f6c9d7b4-q8xkz" in shared


def test_addresses_and_networks(tmp_path: Path) -> None:
    ends = [row for row in node(INTRUDED)[0]["sockets"].to_pylist() if row["remote"] and row["family"] == "inet"]
    remote = next(row["remote"] for row in ends if row["pid"] is not None)
    rows = with_list(tmp_path, remote)
    assert rows and all(
        row["severity"] == "high" and f"{remote} port" in row["title"] for row in rows if "connected" in row["title"]
    )
    network = remote.rpartition(".")[0] + ".0/24"
    assert {row["pid"] for row in with_list(tmp_path, network)} >= {
        row["pid"] for row in rows if "connected" in row["title"]
    }
    assert with_list(tmp_path, "192.0.2.0/24") == []


def test_names_in_command_lines(tmp_path: Path) -> None:
    processes = node(INTRUDED)[0]["processes"].to_pylist()
    miner = next(row for row in processes if any("stratum" in arg for arg in row["args"] or ()))
    pool = next(arg for arg in miner["args"] if "stratum" in arg).partition("://")[2].partition(":")[0]
    rows = [row for row in with_list(tmp_path, pool.partition(".")[2]) if row["evidence"][0]["table"] == "processes"]
    assert ("high", miner["pod_name"], miner["container_name"], miner["pid"]) in brief(rows)
    assert f"has {pool}: known indicator {pool.partition('.')[2]}" in rows[0]["title"], "a name below the domain"


def test_without_a_list_nothing_is_looked_for() -> None:
    assert given(INTRUDED, KIND) == []
