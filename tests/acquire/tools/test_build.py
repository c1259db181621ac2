# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from memir.acquire.tools.build import AVML_VERSION, HELPER_LIMIT, build_avml, build_helper, build_lime
from memir.acquire.tools.elf import read_elf
from memir.acquire.tools.store import Store
from memir.errors import UsageError
from tests.acquire.tools.node import MAGIC

MACHINE = platform.machine()
# what make is given in place of kernel headers: its `modules` gives the module that lies beside the Makefile
HEADERS = """modules:
\ttest "$$(cat $(M)/main.c)" = source
\tcp $(CURDIR)/built.ko $(M)/lime-6.1.ko
"""


def test_building_says_what_is_missing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="not 'mips'"):
        build_avml(store, "mips")
    with pytest.raises(UsageError, match="holds no kernel headers"):
        (tmp_path / "Makefile").write_text("")
        build_lime(store, tmp_path / "none", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="cargo is not on PATH"):
        build_avml(store, platform.machine())


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_avml_is_built_for_musl_and_else_for_glibc(
    store: Store, avml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cargo that takes minutes is not run here (the fixture avml was built by it): its place holds a script."""
    calls = tmp_path / "calls"
    script = f"""echo "$RUSTFLAGS|$*" >> {calls}
for word; do last=$word; done
case "$*" in *musl*) echo 'warning: x' >&2; echo 'error: no std for musl' >&2; exit 101;; esac
mkdir -p "$last/bin" && cp {avml} "$last/bin/avml"
"""
    program(tmp_path / "bin", "cargo", script)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    pinned = build_avml(store, MACHINE)
    assert (pinned.tool, pinned.version, pinned.machine) == ("avml", AVML_VERSION, MACHINE)
    assert pinned.origin == f"cargo install avml {AVML_VERSION} for {MACHINE}-unknown-linux-gnu"
    first, second = calls.read_text().splitlines()
    words = f"|install avml --version {AVML_VERSION} --locked --no-default-features --features stream,upload,convert"
    assert first.startswith(f"{words} --target {MACHINE}-unknown-linux-musl --root /")
    assert second.startswith(f"-C target-feature=+crt-static{words} --target {MACHINE}-unknown-linux-gnu --root /")
    program(tmp_path / "bin", "cargo", "echo 'error: no network' >&2; exit 1")
    with pytest.raises(UsageError, match=r"could not be built: .*-musl: no network; .*-gnu: no network"):
        build_avml(store, MACHINE)


def test_the_helper_is_static_and_fits_into_a_secret(store: Store) -> None:
    pinned = build_helper(store, MACHINE)
    path = store.load(pinned)
    facts = read_elf(path.read_bytes(), "helper")
    assert (pinned.tool, pinned.machine, facts.static) == ("helper", MACHINE, True)
    assert pinned.size == path.stat().st_size < HELPER_LIMIT
    assert store.helper(MACHINE) == path
    path.chmod(0o700)
    assert subprocess.run([path], capture_output=True, check=False).stderr.startswith(b"memir-helper: wrong call")


def test_a_helper_without_a_compiler(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin", "cc", "echo 'helper.c:1: error: no headers' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UsageError, match=r"musl-gcc is not on PATH; cc: helper\.c:1: error: no headers; gcc is not on"):
        build_helper(store, MACHINE)
    with pytest.raises(UsageError, match="not 'mips'"):
        build_helper(store, "mips")


def test_lime_is_built_by_make_and_pinned(store: Store, lime: Path, tmp_path: Path) -> None:
    headers, source = tmp_path / "linux-headers-6.1", tmp_path / "lime-forensics-1.9"
    for folder in (headers, source):
        folder.mkdir()
    (headers / "Makefile").write_text(HEADERS)
    (headers / "built.ko").write_bytes(lime.read_bytes())
    (source / "Makefile").write_text("")
    (source / "main.c").write_text("source")
    pinned = build_lime(store, headers, source)
    assert (pinned.tool, pinned.version, pinned.vermagic) == ("lime", "1.9", MAGIC)
    assert pinned.origin == "built from lime-forensics-1.9 against linux-headers-6.1"
    assert sorted(path.name for path in source.iterdir()) == ["Makefile", "main.c"]
    (source / "main.c").write_text("broken")
    with pytest.raises(UsageError, match=r"LiME does not build against .*Error 1"):
        build_lime(store, headers, source)
    with pytest.raises(UsageError, match="no LiME source"):
        build_lime(store, headers, headers / "none")
