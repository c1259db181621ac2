# SPDX-License-Identifier: Apache-2.0
"""Tools that say one thing and do another: an exit code of 0 alone is no success."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.base import Stream
from memir.acquire.transports.local import LocalTransport
from memir.errors import PartialError
from tests.acquire.rigs.noderig import MIB, NodeRig, Segment
from tests.acquire.rigs.runs import clean, job, lime
from tests.longer import not_here


def fake_tool(folder: Path, script: str) -> Path:
    """A static program that runs a shell script is not at hand: busybox style, an ELF that carries one."""
    source = folder / "tool.rs"
    source.write_text(
        "fn main() { use std::os::unix::process::CommandExt;\n"
        " let a: Vec<String> = std::env::args().skip(1).collect();\n"
        f' let e = std::process::Command::new("/bin/sh").arg("-c").arg({json.dumps(script)})'
        '.arg("avml").args(a).exec();\n'
        ' eprintln!("{e}"); std::process::exit(126) }\n'
    )
    program = folder / "avml-fake"
    subprocess.run(["rustc", "-O", "-C", "target-feature=+crt-static", "-C", "relocation-model=static",
                    "-o", str(program), str(source)], check=True, capture_output=True)  # fmt: skip
    return program


OLD = """
case $1 in
  --version) echo "avml 0.14.0"; exit 0 ;;
  --help|acquire) echo "Usage: avml [OPTIONS] <FILENAME>"; echo "  --compress"; echo "  --source <SOURCE>"; exit 2 ;;
esac
[ "$1 $2" = "--source /proc/kcore" ] && [ $# = 3 ] || exit 2
"""


@pytest.fixture(scope="session")
def old_avml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speaks the command line from before 0.19; says exit 0 whatever it wrote, as MEMIR_FAKE names."""
    if not shutil.which("rustc"):
        not_here("no rustc (apt-get install cargo)")
    return fake_tool(tmp_path_factory.mktemp("fake"), OLD + 'cat /ssh/fake-stream > "$3"; exit $(cat /ssh/fake-exit)')


def prepare(node: NodeRig, stream: bytes, code: int = 0) -> None:
    (node.root / "ssh/fake-stream").write_bytes(stream)
    (node.root / "ssh/fake-exit").write_text(str(code))


def test_the_old_command_line_is_used_where_it_is_known(small_node: NodeRig, tmp_path: Path, old_avml: Path) -> None:
    prepare(small_node, lime(*small_node.segments))
    receipt = job(small_node, tmp_path / "ev", old_avml).execute()
    assert (receipt["status"], receipt["tool"]["version"]) == ("complete", "0.14.0")


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        (lambda s: s, 1, "the tool's exit code is 1"),
        (lambda s: s[: 32 + 0x9E000], 1, "bytes of System RAM are missing: 0x100000-0x2fffff"),
        (lambda s: s[:-4096], 0, "stops inside a record"),
        (lambda s: b"", 0, "does not open"),
        (lambda s: s + s, 0, "some ranges came twice"),
        (lambda s: b"garbage!" * 1000, 0, "no LiME or AVML record"),
        (
            lambda s: s[: 32 + 0x9E000] + lime(Segment(0x100000, bytes(MIB))),
            0,
            "RAM are missing: 0x200000-0x2fffff",
        ),
    ],
    ids=["exit 1", "exit 1 on an edge", "cut in a record", "empty", "twice", "garbage", "half a block"],
)
def test_exit_0_alone_is_no_success(
    small_node: NodeRig, tmp_path: Path, old_avml: Path, change: Any, code: int, why: str
) -> None:
    prepare(small_node, change(lime(*small_node.segments)), code)
    with pytest.raises(PartialError, match=r"partial|interrupted"):
        job(small_node, tmp_path / "ev", old_avml).execute()
    receipt = json.loads((tmp_path / "ev/receipt.json").read_bytes())
    assert receipt["status"] == "partial"
    assert re.search(why, "; ".join(receipt["missing"]))
    assert clean(small_node)


class Leaky(LocalTransport):
    """Loses the stream's last record on the way, and nothing else."""

    lost = 0

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        inner = super().open_stream(script, data=data)
        keep = 32 + 0x9E000

        class Short:
            done = 0

            def read(self, size: int) -> bytes:
                while chunk := inner.read(size):
                    kept = chunk[: max(0, keep - self.done)]
                    self.done += len(chunk)
                    if kept:
                        return kept
                return b""

            wait, close = inner.wait, inner.close

        return Short()


def test_bytes_lost_on_a_record_s_edge_are_found_by_the_node_s_hash(
    small_node: NodeRig, tmp_path: Path, avml: Path
) -> None:
    acquisition = job(small_node, tmp_path / "ev", avml)
    acquisition.transport = Leaky(small_node.root)
    with pytest.raises(PartialError, match=r"the node sent SHA-256 [0-9a-f]{64}, stored is [0-9a-f]{64}"):
        acquisition.execute()
