# SPDX-License-Identifier: Apache-2.0
"""VPC flow logs as Parquet."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memir.errors import LogsError
from memir.gaps import Gaps
from memir.logs.parquet import flow_records, is_parquet
from memir.logs.source import LogSource
from memir.tables.sql import connected
from tests.fuzz import cases, mutations
from tests.logs.made import rows

# as AWS writes it: numbers are numbers, names have underscores
FLOWS = pa.table({
    "version": pa.array([8, 8], pa.int32()), "account_id": ["111122223333"] * 2, "interface_id": ["eni-0a1b"] * 2,
    "srcaddr": ["10.0.2.15", None], "dstaddr": ["198.51.100.77", "-"], "srcport": pa.array([40000, None], pa.int32()),
    "dstport": pa.array([443, None], pa.int32()), "protocol": pa.array([6, None], pa.int32()),
    "packets": pa.array([10, None], pa.int64()), "bytes": pa.array([5000, None], pa.int64()),
    "start": pa.array([1795472870, 1795472870], pa.int64()), "end": pa.array([1795472930, 1 << 60], pa.int64()),
    "action": ["ACCEPT", "-"], "log_status": ["OK", "NODATA"], "pkt_srcaddr": ["10.244.0.3", None],
    "ecs_cluster_name": ["c", None],
})  # fmt: skip


def test_records(tmp_path: Path) -> None:
    path = tmp_path / "flow"
    pq.write_table(FLOWS, path)
    assert is_parquet(path)
    flow, none = rows(path, "flowlogs")
    assert (flow["time"], flow["src"], flow["dst_port"], flow["bytes"], flow["version"], flow["line"]) == (
        datetime(2026, 11, 23, 22, 27, 50, tzinfo=UTC), "10.244.0.3", 443, 5000, 8, 1,
    )  # fmt: skip
    assert flow["fields"] == ["ecs-cluster-name=c"]
    assert (none["status"], none["src"], none["dst"], none["end"], none["line"]) == ("NODATA", None, None, None, 2)


def test_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "other"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(LogsError, match="Parquet that is no VPC flow log"):
        _ = LogSource([path]).tables
    assert not is_parquet(tmp_path / "absent")


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "flow"
    pq.write_table(FLOWS, path)
    with connected({}) as connection:
        for data in mutations([path.read_bytes()], cases(60, 2000)):
            path.write_bytes(b"PAR1" + data[4:])
            gaps = Gaps()
            read = sum(table.num_rows for table in flow_records(path, connection, gaps))
            assert read or gaps.total


@pytest.mark.parametrize("name", [b"pkt_dst\xffaddr", b"pkt\0dst_addr", b'pkt"dst_addr', b"pkt'dst_addr"])
def test_a_column_whose_name_is_damaged_is_none_of_ours(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flow"
    pq.write_table(FLOWS.append_column("pkt_dst_addrx"[: len(name)], pa.array(["1.1.1.1"] * FLOWS.num_rows)), path)
    path.write_bytes(path.read_bytes().replace(b"pkt_dst_addrx"[: len(name)], name))
    gaps = Gaps()
    with connected({}) as connection:
        read = [row for table in flow_records(path, connection, gaps) for row in table.to_pylist()]
    if b"\xff" in name:
        assert (read, gaps.total) == ([], 1)
    else:
        assert [row["fields"] for row in read] == [["ecs-cluster-name=c"], []]
