# SPDX-License-Identifier: Apache-2.0
"""Rows that show themselves, in a terminal and in a notebook: what `node["pods"]` and `node.sql(...)` give."""

from __future__ import annotations

import html
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError
from memir.text import safe

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

SHOWN = 20
"""Rows that a repr shows; a notebook shows twice as many. The rest is counted."""


class View:
    """Rows of a table or a query, as columns of Arrow. Iterating gives a dict a row; times are datetimes in UTC."""

    def __init__(self, name: str, table: pa.Table) -> None:
        """name: what the rows are, for people."""
        self.name = name
        self._table = table

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._table.to_pylist())

    def __getitem__(self, column: str) -> list[Any]:
        """The values of one column. KeyError for one that there is not."""
        values: list[Any] = self._table.column(column).to_pylist()
        return values

    def where(self, **values: Any) -> View:
        """The rows whose columns have these values: `pods.where(namespace="shop", phase=["Running", "Failed"])`.

        A list asks for any of its values, None for rows where the column is not known; of a column of lists, rows whose
        list holds the value. UsageError for a column that there is not.
        """
        import pyarrow as pa

        table = self._table
        for column, value in values.items():
            if column not in table.column_names:
                raise UsageError(f"{self.name} has no column {column}; it has {', '.join(table.column_names)}")
            wanted = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
            mask = [_has(cell, wanted) for cell in table.column(column).to_pylist()]
            table = table.filter(pa.array(mask, pa.bool_()))
        return View(self.name, table)

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table; each column's meaning is in the field's metadata."""
        return self._table

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a pandas frame. UsageError if pandas is not installed."""
        try:
            import pandas  # noqa: F401  Arrow's own error does not say how to get it
        except ImportError as error:
            raise UsageError("to_pandas() needs pandas: pip install pandas") from error
        frame: pandas.DataFrame = self._table.to_pandas()
        return frame

    def to_polars(self) -> polars.DataFrame:
        """The rows as a polars frame. UsageError if polars is not installed."""
        try:
            import polars
        except ImportError as error:
            raise UsageError("to_polars() needs polars: pip install polars") from error
        return polars.from_arrow(self._table)  # a Series is what it gives for an array only

    def __repr__(self) -> str:
        from memir.report.grid import grid

        rows = [list(row.values()) for row in self._table.slice(0, SHOWN).to_pylist()]
        width = shutil.get_terminal_size((120, 24)).columns
        return "\n".join([self._title(SHOWN), "", *grid(self.columns, rows, width)])

    def _repr_html_(self) -> str:
        from memir.report.cells import cell

        head = "".join(f"<th>{_html(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{_html(cell(name, value))}</td>" for name, value in row.items()) + "</tr>"
            for row in self._table.slice(0, 2 * SHOWN).to_pylist()
        )
        return (
            f"<p>{_html(self._title(2 * SHOWN))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _title(self, shown: int) -> str:
        count = f"{len(self)} row{'' if len(self) == 1 else 's'}"
        return f"{safe(self.name)}: {count}" + (f", the first {shown} of them" if len(self) > shown else "")


def _has(cell: Any, wanted: list[Any]) -> bool:
    if isinstance(cell, list):
        return cell in wanted or any(part in wanted for part in cell)
    return cell in wanted


def _html(text: str) -> str:
    """Text for a page: no markup of an image's, and nothing that a terminal or a reader's eye is misled by."""
    return html.escape(safe(text))
