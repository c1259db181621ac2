# SPDX-License-Identifier: Apache-2.0
"""The cache of decoded names: right under concurrent runs, and never trusted blindly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from memir.symbols import kallsyms
from memir.symbols.search import image_span
from memir.symbols.store import Store
from tests.images import ROOT
from tests.symbols.located import located

IMAGE = "s-6.1-small"
ONE = """
import sys
from pathlib import Path
from memir.symbols.locate import locate
from memir.symbols.store import Store
from tests.images import case
import hashlib
anchors = locate(case(sys.argv[1]).open(), store=Store(Path(sys.argv[2])))
print(hashlib.sha256(anchors.symbols.names).hexdigest())
"""


def tables() -> tuple[kallsyms.Bytes, kallsyms.Layout, bytes]:
    memory, anchors = located(IMAGE)
    _, span = image_span(memory, anchors.image_pa(anchors.symbols["_stext"]))
    return span, kallsyms.find_layouts(span)[0], anchors.symbols.names


def files(folder: Path) -> list[Path]:
    return sorted((folder / "kallsyms").iterdir())


def test_kept_and_used_again(tmp_path: Path) -> None:
    span, layout, names = tables()
    store = Store(tmp_path)
    assert store.names(span, layout) == names
    (kept,) = files(tmp_path)
    before = kept.stat()
    assert store.names(span, layout) == names
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_poisoned_file_is_noticed(tmp_path: Path) -> None:
    span, layout, names = tables()
    store = Store(tmp_path)
    store.names(span, layout)
    (kept,) = files(tmp_path)
    whole = kept.read_bytes()
    for poison in (
        whole[:20] + whole[20:].replace(b"init_task", b"evil_task"),
        whole[:-1],
        whole[:7],
        b"",
        b"\0" * 100,
    ):
        kept.write_bytes(poison)
        assert store.names(span, layout) == names
        assert kept.read_bytes() == whole


def test_one_image_does_not_lend_its_names_to_another(tmp_path: Path) -> None:
    span, layout, names = tables()
    store = Store(tmp_path)
    assert store.names(span, layout) == names
    other = span.copy()
    token = layout.token_table + int(np.flatnonzero(span[layout.token_table :] == ord("i"))[0])
    other[token] = ord("j")
    changed = store.names(other, layout)
    assert changed == kallsyms.expand_names(other, layout) != names
    assert len(files(tmp_path)) == 2


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    span, layout, names = tables()
    (tmp_path / "file").write_text("")
    assert Store(tmp_path / "file" / "below").names(span, layout) == names
    assert Store(None).names(span, layout) == names


def test_concurrent_runs(tmp_path: Path) -> None:
    """Several processes at once over one empty folder: each gets the names, one whole file is left."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ONE, IMAGE, str(tmp_path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, env=env, cwd=ROOT, text=True) for _ in range(4)]
    told = {run.communicate(timeout=120)[0].strip() for run in runs}
    assert len(told) == 1
    assert len(told.pop()) == 64
    assert [run.returncode for run in runs] == [0, 0, 0, 0]
    (kept,) = files(tmp_path)
    assert kept.suffix == ".names"
