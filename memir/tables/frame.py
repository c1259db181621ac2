# SPDX-License-Identifier: Apache-2.0
"""A frame: columns of one length, as numpy or Arrow arrays, and their way to Arrow and Parquet without a dict a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import CaseError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


_YEARS = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds since 1970 of the years 1 to 9999: what Python's datetime can hold, and who shows times."""


class Frame:
    """Columns by name. A column is a numpy array, a numpy masked array or list (None: not known), or an Arrow array.

    keys: what whose-is-this is asked by, one a row, if that is no column. ValueError if lengths differ.
    """

    __slots__ = ("_schema", "data", "keys")

    def __init__(self, data: Mapping[str, Any] | pa.Table, keys: Any = None) -> None:
        """data: columns by name, or an Arrow table."""
        self._schema: pa.Schema | None = None
        if not isinstance(data, Mapping):
            self._schema = data.schema
            data = dict(zip(data.column_names, data.columns, strict=True))
        self.data: dict[str, Any] = dict(data)
        self.keys = keys
        lengths = {name: len(values) for name, values in self.data.items()}
        if keys is not None:
            lengths["keys"] = len(keys)
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return list(self.data)

    def __len__(self) -> int:
        return len(next(iter(self.data.values()))) if self.data else 0

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def take(self, order: Sequence[int] | NDArray[np.int64]) -> Frame:
        """These rows, in this order. order: numbers of rows."""
        return Frame({name: taken(values, order) for name, values in self.data.items()},
                     None if self.keys is None else taken(self.keys, order))  # fmt: skip

    def to_arrow(self, schema: pa.Schema | None = None) -> pa.Table:
        """An Arrow table. schema: its columns, in order, and their types; without one Arrow finds the types."""
        import pyarrow as pa

        schema = schema or self._schema
        if schema is None:
            return pa.table({name: _array(values, None) for name, values in self.data.items()})
        return pa.Table.from_arrays([_array(self.data[column.name], column.type) for column in schema], schema=schema)

    def rows(self) -> list[dict[str, Any]]:
        """The rows as plain Python, for printing: times are datetime (UTC), None is not known."""
        return self.to_arrow().to_pylist()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())


def taken(values: Any, order: Sequence[int] | NDArray[np.int64]) -> Any:
    """These rows of a column, in this order. order: numbers of rows."""
    import numpy as np

    rows = np.asarray(order, np.int64)
    if isinstance(values, np.ndarray):
        return values[rows]
    return values.take(rows) if hasattr(values, "take") else [values[row] for row in rows.tolist()]


def known(values: NDArray[Any], least: int = 0) -> list[int | None]:
    """Numbers, those below `least` as None: what walks of the kernel do not know they give as -1."""
    return [value if value >= least else None for value in values.tolist()]


def text_array(values: Sequence[bytes | None] | pa.Array[Any]) -> pa.Array[Any]:
    """Bytes from the kernel as an Arrow array of strings: what texts() makes of them, but no Python string for each.

    values: bytes, or an Arrow array of them.
    """
    import pyarrow as pa

    from memir.kernel.engine import texts

    given = values if isinstance(values, pa.Array) else pa.array(values, pa.binary())
    try:
        return given.cast(pa.string())  # ArrowInvalid where one is no UTF-8
    except pa.ArrowInvalid:
        return pa.array(texts(given.to_pylist()), pa.string())


def coded(texts: Sequence[str | None], code: NDArray[np.integer[Any]]) -> pa.Array[Any]:
    """A column of few different texts: texts[code] for each, as Arrow strings."""
    import pyarrow as pa

    return pa.array(texts, pa.string()).take(pa.array(code))


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a column's type."""
    import pyarrow as pa

    if name == "timestamp":
        return pa.timestamp("us", "UTC")
    if name.startswith("list<"):
        return pa.list_(arrow_type(name[5:-1]))
    if name == "proof":
        return pa.struct([("table", pa.string()), ("key", pa.string())])
    kind: pa.DataType = pa.bool_() if name == "bool" else getattr(pa, name)()
    return kind


def beyond_years(table: pa.Table) -> bool:
    """Whether a time of it may lie outside of the years 1 to 9999 (a null may look so, too)."""
    import numpy as np
    import pyarrow as pa

    for column in table.columns:
        for chunk in column.chunks if pa.types.is_timestamp(column.type) else ():
            words: Any = chunk.buffers()[1]
            number = np.frombuffer(words or b"", np.int64)[chunk.offset : chunk.offset + len(chunk)]
            if ((number < _YEARS[0]) | (number > _YEARS[1])).any():
                return True
    return False


def in_range(values: Any, kind: pa.DataType) -> tuple[Any, int]:
    """(a column in which integers that its type cannot hold are null, how many those are); other types as they are."""
    import numpy as np
    import pyarrow as pa

    from memir.kube.owner_batch import plain_keys

    if pa.types.is_list(kind):
        rows = [None if row is None else list(row) for row in plain_keys(values)]
        parts = [None if row is None else in_range(row, kind.value_type) for row in rows]
        left = [part and [value for value in part[0] if value is not None] for part in parts]
        return left, sum(part[1] for part in parts if part is not None)
    if pa.types.is_timestamp(kind):
        least, most = _YEARS
    elif pa.types.is_integer(kind):
        integer: Any = kind.to_pandas_dtype()
        limits = np.iinfo(integer)
        least, most = int(limits.min), int(limits.max)
    else:
        return values, 0
    if hasattr(values, "to_pylist") and pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    given = plain_keys(values)
    kept = [value if value is None or least <= value <= most else None for value in given]
    return kept, sum(old is not None and new is None for old, new in zip(given, kept, strict=True))


def _array(values: Any, kind: pa.DataType | None) -> Any:
    import numpy as np
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if kind is None or values.type == kind else values.cast(kind)
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, kind, mask=np.ma.getmaskarray(values))
    if isinstance(values, np.ndarray) and values.dtype != object:
        array = pa.array(values)
        return array if kind is None or array.type == kind else array.cast(kind)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_clean(value) for value in values], kind)


def _clean(value: Any) -> Any:
    """Arrow's strings are UTF-8: a lone surrogate, which JSON from an image may hold, is escaped."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {key: _clean(part) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [_clean(part) for part in value]
    return value


def plain(rows: Iterable[Mapping[str, Any]]) -> Frame:
    """Rows of someone else's columns; a column of several types, or of odd values, becomes text."""
    import pyarrow as pa

    rows = list(rows)
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [_clean(row.get(name)) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            columns[name] = pa.array([None if value is None else _clean(str(value)) for value in values], pa.string())
        if pa.types.is_timestamp(columns[name].type):
            columns[name] = columns[name].cast(arrow_type("timestamp"))
    return Frame(columns)


def write_parquet(frame: Frame, path: Path) -> None:
    """Write one table under a temporary name, then rename; CaseError if the folder cannot be written."""
    import pyarrow.parquet as pq

    table, temporary = frame.to_arrow(), path.with_name(path.name + ".part")
    # Names and paths repeat, addresses and numbers seldom: looking for repeats in those costs more than all else.
    repeating = [name for field in table.schema for name in _text_columns(field)]
    try:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=repeating)  # type: ignore[arg-type]  # stub
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error


def _text_columns(field: pa.Field[Any]) -> list[str]:
    """Parquet's names for the columns of text in a field."""
    import pyarrow as pa

    if pa.types.is_list(field.type):
        return [f"{field.name}.list.element"] if pa.types.is_string(field.type.value_type) else []
    return [field.name] if pa.types.is_string(field.type) else []
