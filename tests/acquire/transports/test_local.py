# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import platform
import signal
import stat
from pathlib import Path

import pytest

from memir.acquire.transports.local import LocalTransport, put_bytes
from memir.errors import AccessError, ConnectError, NodeError
from tests.acquire.rigs.noderig import NodeRig


def test_a_script_to_its_end() -> None:
    result = LocalTransport().run("cat; echo over >&2; exit 7", data=b"a\0\xff" * 50_000)
    assert (result.code, result.out, result.err, result.truncated) == (7, b"a\0\xff" * 50_000, b"over\n", False)
    short = LocalTransport().run("head -c 100000 /dev/zero", limit=10)
    assert (short.out, short.truncated) == (bytes(10), True)
    assert LocalTransport().run("kill -s KILL $$").code is None


def test_a_script_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="did not end within 0 s"):
        LocalTransport().run(f"sleep 1; touch {tmp_path}/late", timeout=0.2)
    assert list(tmp_path.iterdir()) == []


def test_output_as_it_comes() -> None:
    stream = LocalTransport().open_stream("echo one; read -r line; echo $line; echo end >&2; exit 3", data=b"two\n")
    read = b""
    while chunk := stream.read(4):
        assert len(chunk) <= 4
        read += chunk
    result = stream.wait(10)
    stream.close()
    assert (read, result.code, result.err) == (b"one\ntwo\n", 3, b"end\n")


def test_nobody_reads_any_more() -> None:
    stream = LocalTransport().open_stream("yes")
    assert stream.read(2) == b"y\n"
    stream.close()
    # SIGTERM, or the shell's word for a command that SIGPIPE ended, whichever was first: nothing like success
    assert stream.wait(10).code in (None, 128 + signal.SIGPIPE)


def test_the_end_of_the_output_is_not_the_end_of_the_script() -> None:
    stream = LocalTransport().open_stream("exec >&-; sleep 30")
    assert stream.read(10) == b""
    with pytest.raises(ConnectError, match="did not end within 0 s after its output did"):
        stream.wait(0.2)
    stream.close()


@pytest.mark.parametrize("source", ["bytes", "file"])
def test_a_file_is_put(tmp_path: Path, source: str) -> None:
    data, path = b"x\0" * 70_000, tmp_path / "it's"
    (tmp_path / "source").write_bytes(data)
    LocalTransport().put(str(path), data if source == "bytes" else tmp_path / "source", mode=0o640)
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    put_bytes(LocalTransport().run, str(path), b"new", 0o600)
    assert path.read_bytes() == b"new"
    with pytest.raises(ConnectError, match=r"cannot write .*none/x on the node: .*"):
        LocalTransport().put(str(tmp_path / "none/x"), b"")


def test_the_node_is_below_the_root_that_is_given(small_node: NodeRig) -> None:
    transport = LocalTransport(small_node.root)
    transport.connect()
    assert transport.run("cat /proc/iomem").out == (small_node.root / "proc/iomem").read_bytes()
    assert transport.identity() == {
        "host": platform.node(), "kernel": platform.release(), "root": str(small_node.root),
    }  # fmt: skip
    assert transport.steps()[0].command == f"chroot {small_node.root} /bin/sh -c ..."
    transport.reconnect()
    transport.close()


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    plain, sudo = LocalTransport(), LocalTransport(sudo=True)
    assert (plain.kind, plain.streams, plain.check()) == ("local", True, ())
    assert sudo.command("boot") == ["sudo", "-n", "--", "/bin/sh", "-c", "boot"]
    assert [trace.where for trace in plain.traces()] == ["audit log, process accounting"]
    assert [trace.where for trace in sudo.traces()][1] == "journal or auth.log"
    with pytest.raises(NodeError, match="no root file system of a node is there"):
        LocalTransport(tmp_path / "none").connect()


def test_a_program_that_is_not_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NodeError, match="chroot cannot be run here: No such file or directory: is it on PATH"):
        LocalTransport(Path("/")).connect()


class Nobody(LocalTransport):
    """Scripts run as a user without rights, whoever runs the test."""

    def command(self, boot: str) -> list[str]:
        user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        return [*user, *super().command(boot)]


def test_who_is_not_root_is_told_so_and_root_something_else(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"not root \(user id [0-9]+\): run it with sudo"):
        Nobody().connect()
    (tmp_path / "proc").mkdir()  # a root without a shell
    kind, words = (NodeError, "no script can be run in") if os.geteuid() == 0 else (AccessError, "not root")
    with pytest.raises(kind, match=words):
        LocalTransport(tmp_path).connect()
