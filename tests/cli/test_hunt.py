# SPDX-License-Identifier: Apache-2.0
"""`memir hunt` from the outside."""

from __future__ import annotations

import csv
import json
import os
import struct
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from memir.cli import hunt
from memir.hunt.hits import TABLE
from memir.kernel.engine import Kernel
from memir.kernel.space import u64
from memir.kernel.timekeeping import wall_clock
from memir.symbols.locate import locate
from tests.cli.conftest import Command, registered
from tests.images import case, cases

SMALL = next(name for name in sorted(cases()) if "small" in name)
KNOWN = "s-6.1-small"
"""The image whose clock the tests below know."""
RULES = """
rule Heap : t { meta: description = "planted" strings: $a = "MEMIR-HEAP-SECRET-" condition: $a }
rule Token : secret { strings: $a = /MEMIR-HEAP-SECRET-[0-9a-f]{16}/ condition: $a }
"""


@pytest.fixture
def memir(command: Command) -> Command:
    return command


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "heap.yar"
    path.write_text(RULES)
    return path


def test_json_table_and_case(rules: Path, tmp_path: Path, memir: Command) -> None:
    image = case(SMALL).image
    done = memir("hunt", image, "--rules", rules, "-o", tmp_path / "case", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["hit_count"] == 2 and len(document["hits"]) == 2
    heap, token = sorted(document["hits"], key=lambda row: str(row["rule"]))
    assert (heap["pod_name"], heap["container_name"], heap["owner"]) == ("miner-0", "miner", "process")
    assert heap["meta"] == ["description=planted"] and "+0000  4d 45 4d 49 52" in heap["context"]
    secret = case(SMALL).raw_truth()["secret"]["heap_secret"]
    assert secret not in json.dumps(token) and "sha256" in token["data"]
    table = pq.read_table(tmp_path / "case" / "tables" / "hits.parquet")
    assert table.column_names == [column.name for column in TABLE.columns]
    assert table.num_rows == 2 and set(table["hit_id"].to_pylist()) == {heap["hit_id"], token["hit_id"]}
    record = json.loads((tmp_path / "case" / "case.json").read_text())
    (run,) = record["runs"]
    assert run["hunt"]["hits"] == 2 and record["tables"]["hits"] == 2
    assert set(table["run"].to_pylist()) == {run["run"]} == {row["run"] for row in document["hits"]}


def test_table_lines_and_filters(rules: Path, memir: Command) -> None:
    image = case(SMALL).image
    done = memir("hunt", image, rules, "--pod", "miner-0", "--kinds", "process", "--show-secrets")
    assert done.returncode == 0, done.stderr
    assert "2 hits, 2 owners" in done.stdout and "dev/miner-0" in done.stdout and "\x1b" not in done.stdout
    done = memir("hunt", image, "--rules", rules, "--namespace", "shop", "--jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    lines = memir("hunt", image, "--rules", rules, "--jsonl").stdout.splitlines()
    assert [json.loads(line)["rule"] for line in lines] == ["Heap", "Token"]
    read = list(csv.DictReader(memir("hunt", image, "--rules", rules, "--csv").stdout.splitlines()))
    assert [(row["rule"], row["pod_name"], row["tags"]) for row in read] == [
        ("Heap", "miner-0", '["t"]'), ("Token", "miner-0", '["secret"]'),
    ]  # fmt: skip
    assert memir("hunt", image, "--rules", rules, "--csv", "--jsonl").returncode == 2


def test_mistakes_are_told_before_anything_is_scanned(rules: Path, tmp_path: Path, memir: Command) -> None:
    image = case(SMALL).image
    (tmp_path / "bad.yar").write_text("rule X {\n condition: nosuch }")
    mistakes: list[tuple[list[str | Path], int, str]] = [
        (["hunt", "--rules", rules], 2, "IMAGE"),
        (["hunt", image, "--rules", tmp_path / "bad.yar"], 3, "bad.yar:2: undefined identifier"),
        (["hunt", image, "--rules", tmp_path / "none"], 3, "no such file"),
        (["hunt", image, "--rules", rules, "--kinds", "all"], 2, "there are process, files"),
        (["hunt", image, "--rules", rules, "--scope", "x"], 2, "--scope"),
        (["hunt", image, "--rules", rules, "--external", "x"], 2, "name=value"),
        (["hunt", image, "--rules", rules, "--pid", "7", "--kinds", "free"], 2, "--pid 7 has processes and files only"),
        (["hunt", tmp_path, "--rules", rules], 2, "no images there"),
        (["hunt", rules.with_suffix(".raw"), "--rules", rules], 3, ""),
    ]
    for arguments, code, words in mistakes:
        done = memir(*arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert words in done.stderr and "Traceback" not in done.stderr and not done.stdout


def test_a_name_that_nothing_has_is_no_image_without_hits(rules: Path, memir: Command) -> None:
    image = case(SMALL).image
    for asked in (["--pod", "miner-1"], ["--container", "x", "--namespace", "dev"], ["--pid", "4000000"]):
        done = memir("hunt", image, "--rules", rules, *asked)
        assert (done.returncode, done.stdout) == (2, "")
        names = " ".join(sorted([" ".join(asked[at : at + 2]) for at in range(0, len(asked), 2)], reverse=True))
        assert f"no process and no file there is of {names}: `memir analyze` lists what is" in done.stderr
    several = memir("hunt", image, case(SMALL).image, "--rules", rules, "--pod", "miner-1")
    assert (several.returncode, several.stdout) == (2, "")
    assert "no process and no file there is of --pod miner-1" in several.stderr


def second_capture(path: Path) -> None:
    """The same boot a second later: the timekeeper's seconds of a copy of the image, one up."""
    with case(KNOWN).open() as memory, path.open("wb") as file:
        kernel = Kernel(memory, locate(memory))
        for start, view in memory.views(1 << 20, skip_zeros=True):
            file.seek(start)
            file.write(view.data)
        file.truncate(memory.end)
        seconds = struct.pack("<Q", (wall_clock(kernel) or 0) // 10**9)
        size = kernel.types.size("timekeeper")
        place = int(kernel.space.physical(u64(kernel.symbols["tk_core"]))[0][0])
    data = path.read_bytes()[place : place + size + 64]
    at = place + data.index(seconds)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack("<Q", struct.unpack("<Q", seconds)[0] + 1))


def test_a_second_capture_of_the_boot_is_refused(rules: Path, tmp_path: Path, memir: Command) -> None:
    folder, second = tmp_path / "case", tmp_path / "second.raw"
    assert memir("hunt", case(KNOWN).image, rules, "-o", folder).returncode == 0
    second_capture(second)
    before = (folder / "case.json").read_bytes(), (folder / "tables" / "hits.parquet").read_bytes()
    done = memir("hunt", second, rules, "-o", folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert "is the case of another image: they differ in clock." in done.stderr
    assert "22:12:42.272000000Z" in done.stderr and "22:12:43.272000000Z" in done.stderr
    assert f"`memir analyze IMAGE -o {folder} --force`" in done.stderr
    assert ((folder / "case.json").read_bytes(), (folder / "tables" / "hits.parquet").read_bytes()) == before
    step = memir("analyze", second, "-o", folder, "--force")  # the step that the message names
    assert step.returncode == 0, step.stderr
    assert json.loads((folder / "case.json").read_text())["identity"]["clock"] == 1795471963272000000


def test_a_hunt_again_and_another(rules: Path, tmp_path: Path, memir: Command) -> None:
    """The same hunt takes the place of its own rows and gaps, another adds. The image lacks its end, which is a gap."""
    folder, other, cut = tmp_path / "case", tmp_path / "rwx.yar", tmp_path / "cut.raw"
    with case(KNOWN).open() as memory:
        cut.write_bytes(memory.read_partial(0, memory.end - (1 << 20))[0])
    other.write_text('rule Rwx { strings: $a = "MEMIR-RWX-REGION" condition: $a }')
    counts = []
    for which in (rules, rules, other, rules):
        assert memir("hunt", cut, which, "-o", folder, "--allow-truncated").returncode == 0
        record = json.loads((folder / "case.json").read_text())
        rows = pq.read_table(folder / "tables" / "hits.parquet").to_pylist()
        counts.append((len(rows), len({row["run"] for row in rows}), record["tables"]["hits"], record["gaps"]))
    assert [count[:3] for count in counts] == [(2, 1, 2), (2, 1, 2), (3, 2, 3), (3, 2, 3)]
    assert counts[0][3] and all(count[3] == counts[0][3] for count in counts)
    checked = memir("verify", folder)
    assert checked.returncode == 5 and "holds, unsigned: anyone can seal it again" in checked.stdout


@pytest.mark.slow
def test_a_folder_of_images(rules: Path, tmp_path: Path, memir: Command) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / case(SMALL).image.name).symlink_to(case(SMALL).image)
    (folder / "broken.raw").write_bytes(os.urandom(1 << 21))
    done = memir("hunt", folder, "--rules", rules, "--json", "-o", tmp_path / "case")
    assert done.returncode == 3  # one image failed, which is said
    document = json.loads(done.stdout)
    assert document["hit_count"] == 2 and {row["pod_name"] for row in document["hits"]} == {"miner-0"}
    errors = {Path(one["image"]).name: one["error"] for one in document["images"]}
    assert errors.pop("broken.raw") and list(errors.values()) == [None]
    assert pq.read_table(tmp_path / "case" / "tables" / "hits.parquet").num_rows == 2


def test_register() -> None:
    assert registered(hunt) == ["hunt"]
