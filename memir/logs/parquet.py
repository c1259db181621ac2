# SPDX-License-Identifier: Apache-2.0
"""Logs as Parquet: VPC flow logs, which AWS writes to S3 so where it is asked to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from memir.logs.flow_fields import DEFAULT, selected
from memir.logs.format import quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from memir.gaps import Gaps

MAGIC = b"PAR1"
_ROWS = 1 << 16
_NEEDED = {"srcaddr", "dstaddr"}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""AWS's names of columns; a damaged one is no column of a flow log."""


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def flow_records(path: Path, connection: duckdb.DuckDBPyConnection, gaps: Gaps, log: str = "") -> Iterator[pa.Table]:
    """Rows of the table flowlogs, without `log`, with `line`: the record's number. What is none is a gap.

    log: by which gaps name the file, its path if there is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = {name.replace("_", "-"): name for name in file.schema_arrow.names}
        if not set(names) >= _NEEDED or not set(names) & set(DEFAULT[:3]):
            gaps.add("log", log or str(path), "Parquet that is no VPC flow log")
            return
        fields = {
            ours: f"nullif({quoted(theirs)}::varchar, '-')" for ours, theirs in names.items() if _NAME.fullmatch(theirs)
        }
        first = 1
        for batch in file.iter_batches(_ROWS):
            connection.register("records", pa.Table.from_batches([batch]))
            rows = connection.sql(f"select {selected(fields)} from records").to_arrow_table()
            connection.unregister("records")
            number = pa.array(range(first, first + rows.num_rows), pa.int64())
            first += rows.num_rows
            yield rows.append_column("line", number)
        lost = file.metadata.num_rows - first + 1
        if lost:  # a damaged column chunk can end before its records do, without an error
            gaps.add("log", log or str(path), "records that the Parquet file counts and does not hold", abs(lost))
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: a name that is no text
        gaps.add("log", log or str(path), f"Parquet that cannot be read: {str(error).splitlines()[0][:120]}")
