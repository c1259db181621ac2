# SPDX-License-Identifier: Apache-2.0
"""memir beside the plain tool, in one run on one node: rate to a file sink, memory on node and controller.

    python benchmarks/acquire.py --mib 512 --avml PATH [--format lime|avml] [--apart] [--json]

The node is a chroot with a chosen /proc/kcore (tests/acquire/rigs/noderig.py) behind a real sshd on loopback, so
sender and receiver share this machine's processors; with `--apart` the node has the first of them and the receiver
the others, as if they were two machines, for what goes over ssh. All files are in memory (/dev/shm). Needs root,
OpenSSH's server and client, and AVML. Rates are MiB of the stream a second; "share" is the rate over that of
`avml | cat` over ssh for what goes over ssh, over that of `avml` into tmpfs for the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.apart import processors, sides  # noqa: E402
from tests.acquire.rigs.noderig import MIB, NodeRig, Segment, contents  # noqa: E402  (the path comes first)
from tests.acquire.rigs.sshd import Sshd  # noqa: E402

CHILD = """
import json, re, sys, time
from pathlib import Path
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.acquire.run import Acquisition, Options
from memir.acquire.transports.ssh.transport import SshTarget, SshTransport
way, root, port, key, known, folder, tool, form, hashed = sys.argv[1:]
if way == "ssh":
    transport = SshTransport(SshTarget("127.0.0.1", port=int(port), user="root", identity=Path(key),
                                       known_hosts=Path(known), agent=False))
else:
    transport = LocalTransport(Path(root))
options = Options(tool_path=Path(tool), format=form, context=False, node_hash=hashed == "1", nice=0)
start = time.monotonic()
receipt = Acquisition(transport, FileSink(Path(folder)), Path(folder), options).execute()
print(json.dumps({"capture": receipt["seconds"], "all": time.monotonic() - start, "size": receipt["image"]["size"],
                  "store": receipt["store_seconds"], "status": receipt["status"],
                  # VmHWM begins anew with exec; getrusage would give the benchmark's own
                  "rss": int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10}))
"""


class NodeMemory(threading.Thread):
    """The most that the node's processes held together, sshd left out."""

    def __init__(self, rig: NodeRig) -> None:
        super().__init__(daemon=True)
        self.rig, self.most, self.over = rig, 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.4):
            total = 0
            for entry in Path("/proc").iterdir():
                try:
                    if entry.name.isdigit() and (entry / "root").readlink() == self.rig.root:
                        name = (entry / "comm").read_text().strip()
                        pages = int((entry / "statm").read_text().split()[1])
                        total += pages * 4096 if not name.startswith("sshd") else 0
                except (OSError, ValueError):
                    continue
            self.most = max(self.most, total)


def timed(command: list[str], output: Path | None = None) -> float:
    start = time.monotonic()
    if output is None:
        subprocess.run(command, check=True, capture_output=True)
    else:
        with output.open("wb") as file:
            subprocess.run(command, check=True, stdout=file)
    return time.monotonic() - start


def rounds(count: int, acts: dict[str, Callable[[], dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Every act once a round, so that whatever else the machine does hits all alike; the best of each."""
    rows: dict[str, dict[str, float]] = {}
    for _ in range(count):
        for name, act in acts.items():
            row = act()
            if name not in rows or row["rate"] > rows[name]["rate"]:
                rows[name] = row
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--avml", type=Path, required=True)
    parser.add_argument("--format", choices=("lime", "avml"), default="lime")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--apart", action="store_true", help="node and receiver on processors of their own")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memir-bench-", dir="/dev/shm") as name:
        rows = bench(Path(name), chosen)
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    for key, row in rows.items():
        print(f"{key:32}" + "  ".join(f"{word} {value:,.2f}" for word, value in row.items()))


def bench(folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    segments = [Segment(0x1000, contents(0x9E000)), Segment(0x100000, contents(chosen.mib * MIB, 2))]
    packed = ["--compress"] if chosen.format == "avml" else []
    far, near = sides(chosen.apart)
    with contextlib.ExitStack() as stack:
        rig = stack.enter_context(NodeRig(folder / "node", segments))
        with processors(far):
            server = stack.enter_context(Sshd(rig.root / "ssh", chroot=rig.root))
        shutil.copy(chosen.avml, rig.root / "ssh" / "avml")
        (rig.root / "ssh" / "avml").chmod(0o755)
        acquire = ["/ssh/avml", "acquire", *packed, "--source", "/proc/kcore"]
        target = rig.root / "dev/shm/image"

        def plain() -> dict[str, float]:
            seconds = timed(["chroot", str(rig.root), *acquire, "/dev/shm/image"])
            size = target.stat().st_size
            target.unlink()
            return {"seconds": seconds, "rate": size / MIB / seconds}

        acts: dict[str, Callable[[], dict[str, float]]] = {"avml to tmpfs": plain}
        ssh = [
            "ssh", "-p", str(server.port), "-i", str(server.client_key),
            "-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "BatchMode=yes",
            "-c", "aes128-gcm@openssh.com", "root@127.0.0.1",
        ]  # fmt: skip
        piped = f"mkfifo /dev/shm/f; {' '.join(acquire)} /dev/shm/f & cat /dev/shm/f; wait; rm /dev/shm/f"

        def cat() -> dict[str, float]:
            image = folder / "plain.image"
            with processors(near):
                seconds = timed([*ssh, piped], image)
            size = image.stat().st_size
            image.unlink()
            return {"seconds": seconds, "rate": size / MIB / seconds}

        acts["avml | cat over ssh"] = cat
        for way in ("ssh", "local"):
            for hashed in ("0", "1"):

                def memir(way: str = way, hashed: str = hashed) -> dict[str, float]:
                    evidence = folder / "evidence"
                    shutil.rmtree(evidence, ignore_errors=True)
                    memory = NodeMemory(rig)
                    words = [way, rig.root, server.port, server.client_key, server.known_hosts, evidence, chosen.avml,
                             chosen.format, hashed]  # fmt: skip
                    with processors(near if way == "ssh" else far | near):
                        done = subprocess.run(
                            [sys.executable, "-c", CHILD, *map(str, words)], check=True, stdout=subprocess.PIPE,
                            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                        )  # fmt: skip
                    memory.over.set()
                    said = json.loads(done.stdout)
                    assert said["status"] == "complete"
                    rate = said["size"] / MIB / said["capture"]
                    return {"seconds": said["capture"], "rate": rate,
                            "then stored": said["store"], "in all": said["all"],
                            "controller MiB": said["rss"] / MIB, "node MiB": memory.most / MIB}  # fmt: skip

                acts[f"memir {way}, node hash {'on' if hashed == '1' else 'off'}"] = memir
        rows = rounds(chosen.repeat, acts)
    for name, row in rows.items():
        base = "avml | cat over ssh" if "ssh" in name else "avml to tmpfs"
        row["share"] = row["rate"] / rows[base]["rate"]
    return rows


if __name__ == "__main__":
    main()
