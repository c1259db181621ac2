# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What a volatility3 plugin gives back, in plain Python: columns, rows, files and warnings."""

from __future__ import annotations

import contextlib
import datetime
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from volatility3.cli import text_renderer
from volatility3.framework import interfaces, renderers
from volatility3.framework.renderers import format_hints

from memir.errors import UsageError

Cell = int | float | bool | str | datetime.datetime | None
Kind = Literal["int", "hex", "float", "bool", "string", "bytes", "time"]

_LAYERS = "volatility3.framework.interfaces.layers"


def kind_of(column_type: Any) -> Kind:
    """How a column's values are meant: "hex" is an int shown in hexadecimal, "bytes" text of hex digits."""
    kinds: tuple[tuple[Any, Kind], ...] = (
        (bool, "bool"),
        ((format_hints.Hex, format_hints.Bin), "hex"),
        (int, "int"),
        (float, "float"),
        (datetime.datetime, "time"),
        (format_hints.MultiTypeData, "string"),
        ((bytes, renderers.LayerData), "bytes"),
    )
    for type_, kind in kinds:
        if isinstance(column_type, type) and issubclass(column_type, type_):
            return kind
    return "string"


def plain(value: Any) -> Cell:
    """A cell as plain Python; None where the plugin has no value."""
    match value:
        case None | interfaces.renderers.BaseAbsentValue():
            return None
        case bool() | datetime.datetime():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case format_hints.MultiTypeData():
            return str(text_renderer.multitypedata_as_text(value))
        case bytes():
            return value.hex(" ")
        case renderers.LayerData():
            data, _ = text_renderer.LayerDataRenderer().render_bytes(value)
            return bytes(data).hex(" ")
        case renderers.Disassembly():
            return str(text_renderer.display_disassembly(value))
        case _:
            return str(value)


def file_handler(folder: Path | None, written: list[Path]) -> type[Any]:
    """The class with which a plugin writes files: into `folder`, under the names it chooses, made safe.

    What is written is added to `written`; UsageError when a plugin opens a file and there is no folder.
    """

    class Handler(io.BytesIO, interfaces.plugins.FileHandlerInterface):  # type: ignore[misc]  # no types
        def __init__(self, filename: str) -> None:
            if folder is None:
                raise UsageError(f"the plugin writes files ({filename}): name a folder for them")
            io.BytesIO.__init__(self)
            # processes choose their names: one with a slash would end the plugin before its other files
            interfaces.plugins.FileHandlerInterface.__init__(self, self.sanitize_filename(filename))

        def close(self) -> None:
            if self.closed or folder is None:
                return
            name = self.sanitize_filename(self.preferred_filename).lstrip(".") or "file"
            target, count = folder / name, 0
            while target.exists():
                count += 1
                target = folder / f"{Path(name).stem}-{count}{Path(name).suffix}"
            target.write_bytes(self.getvalue())
            written.append(target)
            super().close()

    return Handler


class _Listener(logging.Handler):
    def __init__(self, messages: dict[str, int]) -> None:
        super().__init__(logging.DEBUG)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # A scan that dies gives no results and says so at debug level only.
        if record.levelno >= logging.WARNING or text.startswith("Scan Failure"):
            self._messages[text] = self._messages.get(text, 0) + 1


@contextlib.contextmanager
def heard() -> Iterator[dict[str, int]]:
    """What volatility3 warns of meanwhile, with how often; kept from the terminal."""
    messages: dict[str, int] = {}
    listener, root, layers = _Listener(messages), logging.getLogger("volatility3"), logging.getLogger(_LAYERS)
    before = root.propagate, layers.level
    root.propagate = False
    layers.setLevel(logging.DEBUG)
    root.addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("once")
            yield messages
    finally:
        for warning in caught:
            messages[str(warning.message)] = messages.get(str(warning.message), 0) + 1
        root.removeHandler(listener)
        root.propagate = before[0]
        layers.setLevel(before[1])
