# SPDX-License-Identifier: Apache-2.0
"""What memir's messages say to do next is done here, as printed, and the problem is gone: cases, rules, symbols."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

import pytest

from tests.cli.advice import advised, done
from tests.cli.conftest import Memir
from tests.images import case

SAMPLE = case("s-6.1-small").image
OTHER = case("s-5.10-small-v1").image
RULE = 'rule agent : secret { strings: $a = "agent-x9z2k" condition: $a }'


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case in a folder whose name has a space and a quote in it."""
    import memir

    folder = tmp_path_factory.mktemp("cases") / "kim's case"
    memir.open(SAMPLE).save(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / written.name)
    return tmp_path / written.name


def test_a_folder_that_is_no_case_becomes_one(memir: Memir, tmp_path: Path) -> None:
    ran = memir("query", tmp_path / "none", "select count(*) from pods")
    assert ran.code == 3
    done(advised(ran.err, "memir analyze", IMAGE=SAMPLE, CASE=tmp_path / "none"), tmp_path, memir)
    assert memir("query", tmp_path / "none", "select count(*) from pods", "--csv").out == "count_star()\n3\n"


def test_an_image_that_was_given_for_a_case(memir: Memir, tmp_path: Path) -> None:
    image = tmp_path / "node's.zst"
    image.symlink_to(SAMPLE)
    ran = memir("query", image, "select count(*) from pods")
    assert ran.code == 3
    done(advised(ran.err, "memir analyze", CASE=tmp_path / "new"), tmp_path, memir)
    assert memir("query", tmp_path / "new", "select count(*) from pods", "--csv").out == "count_star()\n3\n"


def test_a_case_that_was_given_for_an_image(memir: Memir, folder: Path, tmp_path: Path) -> None:
    ran = memir("info", folder)
    assert ran.code == 3
    assert "processes" in done(advised(ran.err, "memir query"), tmp_path, memir).out


def test_the_words_in_the_wrong_order(memir: Memir, folder: Path, tmp_path: Path) -> None:
    ran = memir("query", "select count(*) from pods where pod_name <> 'none'", folder)
    assert ran.code == 2
    assert "\n3\n" in done(advised(ran.err, "memir query"), tmp_path, memir).out


def test_a_case_of_another_image_is_replaced(memir: Memir, folder: Path, tmp_path: Path) -> None:
    ran = memir("analyze", OTHER, "-o", folder)
    assert ran.code == 3
    assert "--force" in ran.err
    (tmp_path / "r.yar").write_text(RULE)
    ran = memir("hunt", OTHER, "-r", tmp_path / "r.yar", "-o", folder)
    assert ran.code == 3
    done(advised(ran.err, "memir analyze", IMAGE=OTHER), tmp_path, memir)
    assert memir("hunt", OTHER, "-r", tmp_path / "r.yar", "-o", folder).code == 0


def test_hits_before_a_hunt_and_values_before_they_are_asked_for(memir: Memir, folder: Path, tmp_path: Path) -> None:
    ran = memir("query", folder, "select rule from hits")
    assert (ran.code, "hits (memir hunt IMAGE -o CASE)" in ran.err) == (2, True)
    (tmp_path / "r.yar").write_text(RULE)
    assert memir("hunt", SAMPLE, "-o", folder, "-r", tmp_path / "r.yar", "--kinds", "process").code == 0
    assert "agent" in memir("query", folder, "select distinct rule from hits", "--csv").out
    ran = memir("query", folder, "select count(*) > 0 from secret_values")
    assert (ran.code, "secret_values (--reveal attaches it)" in ran.err) == (2, True)
    shown = memir("query", folder, "select count(*) > 0 from secret_values", "--reveal", "--csv")
    assert (shown.code, shown.out.splitlines()[1]) == (0, "true")


def test_a_damaged_table_is_named_by_verify(memir: Memir, folder: Path, tmp_path: Path) -> None:
    table = folder / "tables" / "processes.parquet"
    data = bytearray(table.read_bytes())
    data[4:400] = bytes(396)
    table.write_bytes(data)
    ran = memir("query", folder, "select * from processes")
    assert ran.code == 3
    words = advised(ran.err, "memir verify", CASE=folder)
    told = memir(*words[1:])
    assert (told.code, "tables/processes.parquet" in told.out) == (3, True), told.out + told.err


def test_a_variable_that_a_rule_lacks(memir: Memir, tmp_path: Path) -> None:
    (tmp_path / "r.yar").write_text('rule agent { strings: $a = "agent-x9z2k" condition: $a and level > 3 }')
    words = ["hunt", SAMPLE, "-r", tmp_path / "r.yar", "--kinds", "process"]
    ran = memir(*words)
    assert (ran.code, "--external level=VALUE" in ran.err) == (3, True), ran.err
    assert memir(*words, "--external", "level=4", "--json").json()["hits"]
    (tmp_path / "good.yar").write_text(RULE)
    skipped = memir(*words, "-r", tmp_path / "good.yar", "--skip-bad-rules", "--json")
    assert {row["rule"] for row in skipped.json()["hits"]} == {"agent"}


def test_a_name_that_nothing_has(memir: Memir, tmp_path: Path) -> None:
    (tmp_path / "r.yar").write_text(RULE)
    words = ["hunt", SAMPLE, "-r", tmp_path / "r.yar", "--kinds", "process", "--pod"]
    ran = memir(*words, "agent-x9z2")
    assert ran.code == 2
    told = done([*advised(ran.err, "memir analyze"), str(SAMPLE)], tmp_path, memir)
    assert "agent-x9z2k" in told.out
    assert memir(*words, "agent-x9z2k").code == 0


def test_no_plugin_is_named(memir: Memir, tmp_path: Path) -> None:
    ran = memir("run")
    assert (ran.code, "memir run PLUGIN IMAGE" in ran.err) == (2, True)
    plugins = done(advised(ran.err, "memir run --list"), tmp_path, memir)
    assert "linux.pslist" in plugins.out
    ran = memir("run", "linux.pslist", SAMPLE, "--", "--dump", "--pid", "1")
    assert (ran.code, "with -o FOLDER before the `--`" in ran.err) == (2, True)
    (tmp_path / "out").mkdir()
    assert memir("run", "linux.pslist", SAMPLE, "-o", tmp_path / "out", "--", "--dump", "--pid", "1").code == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_types_that_the_image_lacks(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    """--btf with a node's own file, and --isf: both are named, both help."""
    data = bytearray(raw_image.read_bytes())
    for place, size in kernels_types(data):
        (tmp_path / "vmlinux").write_bytes(data[place : place + size])
        data[place : place + size] = bytes(size)
    (tmp_path / "torn.raw").write_bytes(data)
    ran = memir("info", tmp_path / "torn.raw")
    assert ran.code == 3
    assert "Give --btf FILE" in ran.err
    assert "--isf FILE" in ran.err
    assert "`dwarf2json linux --elf vmlinux > kernel.json`" in ran.err
    assert memir("info", tmp_path / "torn.raw", "--btf", tmp_path / "vmlinux").code == 0
    assert memir("symbols", SAMPLE, "-o", tmp_path / "kernel.json").code == 0
    assert memir("info", tmp_path / "torn.raw", "--isf", tmp_path / "kernel.json").code == 0


def kernels_types(data: bytes | bytearray) -> list[tuple[int, int]]:
    """Offset and size in bytes of each BTF (include/uapi/linux/btf.h) of a MiB and more: a module's is smaller."""
    places = [match.start() for match in re.finditer(re.escape(b"\x9f\xeb\x01\0\x18\0\0\0"), data)]
    sizes = [24 + struct.unpack_from("<I", data, place + 16)[0] + struct.unpack_from("<I", data, place + 20)[0]
             for place in places]  # fmt: skip
    return [(place, size) for place, size in zip(places, sizes, strict=True) if 1 << 20 <= size < 16 << 20]
