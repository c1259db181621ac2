# SPDX-License-Identifier: Apache-2.0
"""/proc/net read: addresses, states, whose sockets are."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from memir.collected.sockets import address_of, socket_rows
from memir.collected.source import CollectedSource
from tests.collect.podrig import PodRig


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("0100007F:1F90", ("127.0.0.1", 8080)), ("00000000:0000", ("0.0.0.0", 0)),
        ("B80D01200000000067452301EFCDAB89:01BB", ("2001:db8::123:4567:89ab:cdef", 443)),
        ("0000000000000000FFFF00000100000A:0050", ("10.0.0.1", 80)), ("x:1", None), ("0100:1", None), ("", None),
    ],
)  # fmt: skip
def test_addresses(word: str, known: tuple[str, int] | None) -> None:
    assert address_of(word) == known


def test_sockets_of_this_machine_as_if_they_were_the_pods(collected: Path, rig: PodRig, tmp_path: Path) -> None:
    folder = tmp_path / "ev"
    shutil.copytree(collected, folder)
    number = Path(f"/proc/{rig.pid}/ns/net").readlink().name[5:-1]
    with socket.socket() as listener, socket.socket() as client, socket.socket(socket.AF_UNIX) as local:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        local.bind("\0memir-test")
        for name in ("tcp", "unix"):
            (folder / "node/net" / number / name).write_bytes(Path(f"/proc/net/{name}").read_bytes())
        inode = int(Path(f"/proc/self/fd/{client.fileno()}").readlink().name[8:-1])
        port, mine = listener.getsockname()[1], client.getsockname()[1]
    rows = list(CollectedSource(folder).processes)
    rows[0]["fds"] = [{"fd": 9, "target": f"socket:[{inode}]", "info": ""}]
    (folder / "node/processes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sockets, keys = socket_rows(CollectedSource(folder))
    listening = next(row for row in sockets if row.get("local_port") == port and row["state"] == "LISTEN")
    assert (listening["local"], listening["remote"], listening["protocol"]) == ("127.0.0.1", None, "tcp")
    connected = next(row for row in sockets if row["inode"] == inode)
    assert (connected["state"], connected["remote_port"], connected["local_port"]) == ("ESTABLISHED", port, mine)
    assert (connected["pid"], connected["fd"], connected["pids"]) == (rows[0]["pid"], 9, [rows[0]["pid"]])
    assert connected["net_ns"] == int(number)
    assert "@memir-test" in {row["local"] for row in sockets if row["family"] == "unix"}
    assert len(keys) == len(sockets)
