# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C at the real command in the middle of its work: exit 130, what there is is kept, and that is said."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.case.query import query
from tests.acquire.rigs.noderig import MIB, Segment, contents
from tests.acquire.rigs.nodes import LOW, MakeNode, avml, make_node  # noqa: F401  (fixtures)

ROOT = Path(__file__).parents[2]
# a loop over each byte: seconds on any machine; a regular expression takes as long as YARA finds no way around it
SLOW = """rule quick { strings: $a = "agent-x9z2k" condition: $a }
rule slow { condition: (for all i in (0..filesize) : (uint8(i) < 256 and uint8(i) + 1 > 0)) and filesize < 0 }
"""
AGAIN = pytest.mark.long("the same interruption of another verb")
HEED = """import faulthandler, signal
faulthandler.register(signal.SIGUSR1)
signal.signal(2, signal.default_int_handler)
from memir.cli.main import main; main()
"""


def interrupted(words: list[str], cwd: Path, when: Callable[[str, int], bool]) -> tuple[int, str, str]:
    """(exit code, standard output, what the terminal showed). when: given the terminal so far and the process's id."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", HEED, *words], stdout=subprocess.PIPE, stderr=inner, cwd=cwd, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )  # fmt: skip
    os.close(inner)
    screen, sent, end = "", False, time.monotonic() + 300
    try:
        while time.monotonic() < end:
            if select.select([outer], [], [], 0.02)[0]:
                try:
                    data = os.read(outer, 65536)
                except OSError:
                    break
                screen += data.decode("utf-8", "replace")
            if not sent and when(screen, process.pid):
                process.send_signal(signal.SIGINT)
                sent = True
        else:
            process.send_signal(signal.SIGUSR1)  # where each thread is
            while select.select([outer], [], [], 2)[0]:
                screen += os.read(outer, 65536).decode("utf-8", "replace")
            pytest.fail(f"it has not ended 300 s after it began: {screen}")
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(outer)
    assert sent, screen
    return process.returncode, out.decode(), screen


def showing(word: str) -> Callable[[str, int], bool]:
    """When the terminal shows how far a work is."""
    return lambda screen, _pid: re.search(rf"{word} \d+( %| of| MiB)?", screen) is not None


def busy(screen: str, pid: int) -> bool:
    """When 0.8 seconds of processor time are spent: it has started (0.4 s) and is at its work."""
    del screen
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) > 0.8 * os.sysconf("SC_CLK_TCK")


def reading(image: Path) -> Callable[[str, int], bool]:
    """When the image is mapped into the process: on any machine it is at its work then."""
    return lambda _screen, pid: str(image) in Path(f"/proc/{pid}/maps").read_text()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample, unpacked."""
    path = tmp_path_factory.mktemp("image") / "node.raw"
    with (ROOT / "samples/s-6.1-small.raw.zst").open("rb") as packed, path.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(packed, out)
    return path


@pytest.fixture(scope="module")
def lengthy(unpacked: Path) -> Path:
    """The same with 2 GiB of zeros behind it, which no machine hashes before it is told to stop."""
    path = unpacked.with_name("lengthy.raw")
    shutil.copyfile(unpacked, path)
    os.truncate(path, 2 << 30)
    return path


def asked(folder: Path, *words: str) -> tuple[int, Any]:
    """A verb to its end: its exit code, and its JSON document."""
    command = [sys.executable, "-m", "memir", *words, "--json"]
    ran = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                         text=True, check=False, timeout=300)  # fmt: skip
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else ran.stderr


def test_analyze_keeps_the_tables_that_were_read(unpacked: Path, tmp_path: Path) -> None:
    """Which are there and which not is told by case.json; they are asked as any; the same command again reads all."""
    words = ["analyze", str(unpacked), "-o", "case"]
    code, _, screen = interrupted(words, tmp_path, showing("reading (?!processes)[a-z_]+"))
    assert code == 130, screen
    assert "interrupted: not everything was read (see the gaps); what was read is in case" in screen
    assert "Traceback" not in screen
    record = json.loads((tmp_path / "case/case.json").read_text())
    unread = {gap["where"] for gap in record["gaps"] if gap["why"] == "interrupted by the user before it was read"}
    kept = {path.stem for path in (tmp_path / "case/tables").iterdir()} - {"secret_values"}
    assert unread
    assert kept == set(record["tables"]) - {"secret_values"}
    assert kept.isdisjoint(unread)
    assert "processes" in kept
    for table in kept:
        rows = query(tmp_path / "case", f"select * from {table}").rows
        assert len(rows) == record["tables"][table], table
    code, answer = asked(tmp_path, "query", "case", "select count(*) n from processes")
    assert (code, answer["rows"]) == (0, [{"n": record["tables"]["processes"]}])
    code, why = asked(tmp_path, "query", "case", f"select * from {min(unread)}")
    assert (code, "The case has the tables" in why) == (2, True)
    assert asked(tmp_path, "verify", "case")[0] in (0, 5)
    code, why = asked(tmp_path, *words)
    assert (code, "already holds a case: give another folder, or --force" in why) == (3, True)
    code, whole = asked(tmp_path, *words, "--force")
    assert code == 0
    assert (set(whole["tables"]) >= kept | unread, whole["gaps"]) == (True, [])
    code, answer = asked(tmp_path, "query", "case", "select count(*) n from pods")
    assert (code, answer["rows"]) == (0, [{"n": 3}])


def test_analyze_keeps_all_tables_where_its_hunt_is_interrupted(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.yar").write_text(SLOW)
    words = ["analyze", str(unpacked), "-o", "case", "--rules", "slow.yar"]
    code, _, screen = interrupted(words, tmp_path, showing("hunting"))
    assert code == 130, screen
    record = json.loads((tmp_path / "case/case.json").read_text())
    assert [gap["kind"] for gap in record["gaps"]] == ["hunt"]
    assert (record["tables"]["pods"], record["tables"]["processes"] > 50) == (3, True)
    code, answer = asked(tmp_path, "query", "case", "select count(*) n from pods")
    assert (code, answer["rows"]) == (0, [{"n": 3}])


def test_hunt_keeps_its_hits(unpacked: Path, tmp_path: Path) -> None:
    """Hits so far and the bytes that were not scanned; the same hunt again takes their place."""
    (tmp_path / "slow.yar").write_text(SLOW)
    words = ["hunt", str(unpacked), "-r", "slow.yar", "-o", "case"]
    code, _, screen = interrupted(words, tmp_path, showing("hunting"))
    assert code == 130, screen
    assert "interrupted: not all RAM was scanned (see what was not covered); its hits are in case" in screen, screen
    assert "Traceback" not in screen
    record = json.loads((tmp_path / "case/case.json").read_text())
    ((kind, where, left),) = [
        (gap["kind"], gap["where"], gap["count"]) for gap in record["gaps"] if "interrupted by the user" in gap["why"]
    ]
    assert (kind, where) == ("hunt", "bytes of RAM")
    assert 0 < left < unpacked.stat().st_size
    hits = "select rule, paddr from hits order by 1, 2"
    code, some = asked(tmp_path, "query", "case", hits)
    assert code == 0, some
    code, whole = asked(tmp_path, *words)
    assert (code, whole["stopped"], whole["gaps"]) == (0, False, [])
    assert whole["hit_count"] > 0
    code, every = asked(tmp_path, "query", "case", hits)
    assert code == 0
    assert [row for row in some["rows"] if row not in every["rows"]] == []
    assert json.loads((tmp_path / "case/case.json").read_text())["gaps"] == []


@pytest.mark.parametrize("verb", ["info", *(pytest.param(verb, marks=AGAIN) for verb in ("symbols", "run"))])
def test_verbs_that_keep_nothing_leave_nothing(verb: str, unpacked: Path, lengthy: Path, tmp_path: Path) -> None:
    words = {
        "info": ["info", str(lengthy), "--sha256"],
        "symbols": ["symbols", str(unpacked), "-o", str(tmp_path / "symbols.json")],
        "run": ["run", "linux.pslist", str(unpacked)],
    }[verb]
    code, out, screen = interrupted(words, tmp_path, showing("hashing") if verb == "info" else reading(unpacked))
    assert code == 130, screen
    assert "memir: interrupted" in screen
    assert "Traceback" not in screen
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_query_ends(unpacked: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "memir", "analyze", str(unpacked), "-o", str(tmp_path / "case"),
               "--tables", "processes"]  # fmt: skip
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
    sql = "select sum(sqrt(a.range * b.range)) from range(10000000) a, range(1000000) b"
    code, out, screen = interrupted(["query", "case", sql], tmp_path, busy)
    assert (code, out) == (130, ""), screen
    assert "memir: interrupted" in screen


@AGAIN
def test_verify_says_how_far_it_came(make_node: MakeNode, avml: Path, tmp_path: Path) -> None:  # noqa: F811
    node = make_node(LOW, Segment(0x10_0000, contents(300 * MIB, 8)))
    options = Options(tool_path=avml, format="lime", context=False)
    Acquisition(LocalTransport(node.root), FileSink(tmp_path / "ev"), tmp_path / "ev", options).execute()
    before = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "ev").iterdir())
    code, out, screen = interrupted(["verify", "ev"], tmp_path, showing("verifying"))
    assert (code, out) == (130, ""), screen
    told = re.search(r"interrupted after ([\d,]+) of ([\d,]+) bytes of the image: nothing is judged", screen)
    assert told is not None, screen
    assert 0 < int(told[1].replace(",", "")) < int(told[2].replace(",", ""))
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "ev").iterdir()) == before
