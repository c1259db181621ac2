# SPDX-License-Identifier: Apache-2.0
"""Every byte passes, by splice and by read, and the file says how many and their hash."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memir.acquire.node import relay

DATA = os.urandom(3_000_001)


@pytest.mark.parametrize("hashed", [True, False])
def test_from_pipe_to_pipe(tmp_path: Path, hashed: bool) -> None:
    words = [sys.executable, "-I", "-S", "-B", relay.__file__, str(tmp_path / "said"), str(int(hashed))]
    passed = subprocess.run(words, input=DATA, capture_output=True, check=True)
    assert passed.stdout == DATA
    sha256 = hashlib.sha256(DATA).hexdigest() if hashed else ""
    assert json.loads((tmp_path / "said").read_text()) == {"sha256": sha256, "size": len(DATA)}


@pytest.mark.parametrize("hashed", ["0", "1"])
def test_main_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: str) -> None:
    kept = [os.dup(0), os.dup(1)]
    (reader, into), (out, writer) = os.pipe(), os.pipe()
    passed = io.BytesIO()

    def feed() -> None:
        with os.fdopen(into, "wb") as pipe:
            pipe.write(DATA)

    def drain() -> None:
        with os.fdopen(out, "rb") as pipe:
            passed.write(pipe.read())

    threads = [threading.Thread(target=work) for work in (feed, drain)]
    monkeypatch.setattr(sys, "argv", ["relay.py", str(tmp_path / "said"), hashed])
    os.dup2(reader, 0)
    os.dup2(writer, 1)
    os.close(reader)
    os.close(writer)
    for thread in threads:
        thread.start()
    try:
        relay.main()
    finally:
        os.dup2(kept[0], 0)
        os.dup2(kept[1], 1)
        for thread in threads:
            thread.join(20)
    assert passed.getvalue() == DATA
    assert json.loads((tmp_path / "said").read_text())["size"] == len(DATA)
