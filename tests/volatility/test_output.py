# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What a plugin gives, as plain Python."""

from __future__ import annotations

import datetime
import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from volatility3.framework import contexts, renderers
from volatility3.framework.layers import physical
from volatility3.framework.renderers import format_hints

from memir.errors import UsageError
from memir.volatility.output import file_handler, heard, kind_of, plain

WHEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("column_type", "kind"),
    [
        (bool, "bool"), (int, "int"), (float, "float"), (str, "string"), (datetime.datetime, "time"),
        (bytes, "bytes"), (format_hints.Hex, "hex"), (format_hints.Bin, "hex"), (format_hints.HexBytes, "bytes"),
        (format_hints.MultiTypeData, "string"), (renderers.LayerData, "bytes"), (renderers.Disassembly, "string"),
        ("no type", "string"),
    ],
)  # fmt: skip
def test_kind_of(column_type: Any, kind: str) -> None:
    assert kind_of(column_type) == kind


def layer_data() -> renderers.LayerData:
    context = contexts.Context()
    context.add_layer(physical.BufferDataLayer(context, "config", "bytes", b"\x01\x02\x03\x04"))
    return renderers.LayerData(context=context, offset=1, layer_name="bytes", length=2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (renderers.NotAvailableValue(), None),
        (renderers.UnreadableValue(), None),
        (True, True),
        (7, 7),
        (format_hints.Hex(255), 255),
        (1.5, 1.5),
        ("text", "text"),
        (WHEN, WHEN),
        (b"\xde\xad", "de ad"),
        (format_hints.HexBytes(b"\x01"), "01"),
        (format_hints.MultiTypeData(b"a\0b\0", encoding="utf-16-le"), "ab"),
        (layer_data(), "02 03"),
    ],
)
def test_plain(value: Any, shown: Any) -> None:
    assert plain(value) == shown
    assert type(plain(value)) is type(shown)


def test_machine_code_is_disassembled() -> None:
    # capstone is not among memir's requirements: without it the bytes are shown
    shown = "ret" if importlib.util.find_spec("capstone") else "c3"
    assert shown in str(plain(renderers.Disassembly(b"\xc3", 0x1000, "intel64")))


def test_files_stay_in_their_folder_and_overwrite_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    written: list[Path] = []
    handler = file_handler(folder, written)
    for name, content in (("a.bin", b"1"), ("a.bin", b"2"), ("..", b"3"), ("c*:d", b"4")):
        file = handler(name)
        file.write(content)
        file.close()
        file.close()  # a second time does nothing
    assert [path.read_bytes() for path in written] == [b"1", b"2", b"3", b"4"]
    assert [path.parent for path in written] == [folder] * 4
    assert [path.name for path in written[:3]] == ["a.bin", "a-1.bin", "file"]
    outside = handler("../../b")
    outside.write(b"5")
    outside.close()
    assert written[4].parent == folder
    assert len(list(folder.iterdir())) == 5
    assert list(tmp_path.iterdir()) == [folder]


def test_no_folder_for_files() -> None:
    with pytest.raises(UsageError, match=r"the plugin writes files \(a.bin\): name a folder"):
        file_handler(None, [])("a.bin")


def test_warnings_are_heard_once_each_with_their_count(capfd: pytest.CaptureFixture[str]) -> None:
    log, layers = logging.getLogger("volatility3.x"), logging.getLogger("volatility3.framework.interfaces.layers")
    before = logging.getLogger("volatility3").propagate, layers.level
    with heard() as messages:
        log.warning("take care")
        log.warning("take %s", "care")
        log.info("nothing")
        layers.debug("Scan Failure: it died")
        layers.debug("other")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert messages == {"take care": 2, "Scan Failure: it died": 1, "old": 1}
    assert (logging.getLogger("volatility3").propagate, layers.level) == before
    log.warning("afterwards")
    assert "afterwards" not in messages
    assert "take care" not in capfd.readouterr().err
