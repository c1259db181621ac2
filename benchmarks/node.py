# SPDX-License-Identifier: Apache-2.0
"""Processor time of tables from an open node, beside the volatility3 plugins that do the nearest, in one run.

    python benchmarks/node.py IMAGE [--runs 5] [--peer-runs 1] [--only sockets,files] [--commands]

Prints a line of a Markdown table a table as it is measured: first those that a plugin does something near to, then all
others that RAM gives. Each run is a process of its own, forked from one in which
the image is open (the kernel located, libraries imported, nothing of the node read): so each table pays for all that it
needs, processes and mounts too. "Beside others" is the same where processes, containers and pods have been read before
the fork, as they have for all tables of an analysis but the first. The peer (--peer-runs 0: none) runs under the host
of `memir run` over the same open image, its context built before the clock starts: a stock `vol` looks for symbols
as well: this is the faster of its two ways. --commands: each peer as a user types it, too, `memir run PLUGIN
IMAGE` from Python's start to its end. Seconds are user + system of the child, the median of the runs. Memory is by how
much the child's own (RssAnon, looked at every 5 ms) grew at the most, the most of the runs.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import resource
import select
import statistics
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Pair:
    """A table, the plugins whose times are added up, and how many times as fast the table has to be."""

    table: str
    plugins: tuple[str, ...]
    wanted: int
    hashes: bool = True


PAIRS = (
    Pair("sockets", ("linux.sockstat.Sockstat",), 50),
    Pair("files", ("linux.lsof.Lsof",), 50),
    Pair("mounts", ("linux.mountinfo.MountInfo",), 50),
    Pair("vmas", ("linux.proc.Maps",), 50),
    Pair("code_pages", ("linux.malware.malfind.Malfind",), 50),
    Pair("inodes", ("linux.pagecache.Files",), 50, hashes=False),
    Pair("inodes with SHA-256", ("linux.pagecache.Files",), 50),
    Pair("bpf", ("linux.ebpf.EBPF",), 10),
    Pair("modules", ("linux.malware.hidden_modules.Hidden_modules",), 10),
    Pair("hooks", ("linux.malware.netfilter.Netfilter", "linux.malware.check_syscall.Check_syscall",
                   "linux.malware.check_idt.Check_idt", "linux.tracing.ftrace.CheckFtrace",
                   "linux.tracing.tracepoints.CheckTracepoints", "linux.malware.tty_check.tty_check"), 50),
)  # fmt: skip


def processor() -> float:
    """Seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def own_memory(process: int | str = "self") -> int:
    """RssAnon, KiB; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("RssAnon:")[2].split()[0]) if "RssAnon:" in status else 0


@dataclass(frozen=True)
class Measured:
    """Of one work: processor seconds, rows, by how many MiB its own memory grew at the most."""

    seconds: float
    rows: int
    grown: int


def forked(work: Callable[[], int]) -> Measured:
    """Work in a child; RuntimeError if it fails there."""
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gc.collect()
            before = processor()
            rows = work()
            os.write(far, struct.pack("<dq", processor() - before, rows))
        finally:
            os._exit(0)
    os.close(far)
    first = peak = own_memory(child)
    with os.fdopen(near, "rb") as pipe:
        while not select.select([pipe], [], [], 0.005)[0]:
            peak = max(peak, own_memory(child))
        answer = pipe.read()
    os.waitpid(child, 0)
    if len(answer) != 16:
        raise RuntimeError("it did not come to its end")
    seconds, rows = struct.unpack("<dq", answer)
    return Measured(seconds, rows, peak - first >> 10)


def median(work: Callable[[], int], runs: int) -> Measured:
    """The median of several runs' seconds, and the most memory."""
    every = [forked(work) for _ in range(runs)]
    return Measured(
        statistics.median(each.seconds for each in every), every[0].rows, max(each.grown for each in every)
    )


def table_of(node: Any, pair: Pair) -> Callable[[], int]:
    """Read one table."""
    from memir.tables import inodes
    from memir.tables.table import tables

    def work() -> int:
        if not pair.hashes:
            inodes.MAX_HASHED = 0
        return len(tables()[pair.table.split()[0]].read(node.source))

    return work


def plugin_of(host: Any, plugin: str) -> Callable[[], int]:
    """Run one plugin."""

    def work() -> int:
        result = host.run(plugin)
        if result.failure is not None:
            raise RuntimeError(f"{plugin}: {result.failure}")
        return len(result.rows)

    return work


def command(plugin: str, image: Path, runs: int) -> float:
    """Processor seconds of `memir run`, the median; what it prints is thrown away."""
    every = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "memir", "run", plugin, str(image)]
        subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        every.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(every)


def measured(node: Any, known: Any, host: Any, options: argparse.Namespace) -> Iterator[str]:
    """A line a pair; a plugin that several have is run once. known: the node of which processes and pods are read."""
    from memir.tables.table import tables

    peers: dict[str, Measured] = {}
    commands: dict[str, float] = {}
    paired = {pair.table for pair in PAIRS}
    others = sorted(name for name, table in tables().items() if "ram" in table.readers and name not in paired)
    for pair in (*PAIRS, *(Pair(name, (), 0) for name in others)):
        if options.only and pair.table not in options.only.split(","):
            continue
        alone = median(table_of(node, pair), options.runs)
        later = median(table_of(known, pair), options.runs)
        words = []
        for plugin in pair.plugins if options.peer_runs else ():
            try:
                peers[plugin] = peers.get(plugin) or median(plugin_of(host, plugin), options.peer_runs)
                peer = peers[plugin]
                words.append(
                    f"{plugin.removeprefix('linux.')} {peer.seconds:.1f} ({peer.rows:,} rows, {peer.grown} MiB)"
                )
            except RuntimeError as error:
                words.append(f"{plugin.removeprefix('linux.')}: {error}")
        took = sum(peers[plugin].seconds for plugin in pair.plugins if plugin in peers)
        times = [f"{took / each.seconds:.0f}" if took else "" for each in (alone, later)]
        for plugin in pair.plugins if options.commands else ():
            commands[plugin] = commands.get(plugin) or command(plugin, options.image, options.peer_runs)
        typed = sum(commands.get(plugin, 0) for plugin in pair.plugins)
        times += [f"{typed:.1f}", f"{typed / alone.seconds:.0f}"] if typed else ["", ""]
        yield (f"| {pair.table} | {alone.rows:,} | {alone.seconds:.3f} | {later.seconds:.3f} | {alone.grown} | "
               f"{', '.join(words)} | {' | '.join(times)} | {pair.wanted or ''} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, default=1)
    parser.add_argument("--only", default="", help="these tables alone, A,B")
    parser.add_argument("--commands", action="store_true", help="time `memir run PLUGIN IMAGE` as well")
    options = parser.parse_args()
    import pyarrow as pa

    import memir
    from memir.cli.main import COLLECT
    from memir.tables.table import tables
    from memir.volatility.run import Host

    gc.set_threshold(*COLLECT)  # as every verb has it, `memir run` too
    for name in ("numpy.ma", "pyarrow.compute"):  # these load them when they are first asked for sets, and to choose
        importlib.import_module(name)
    pa.array([1])  # its first array loads more
    tables()
    node, known = memir.open(options.image), memir.open(options.image)
    for name in ("processes", "containers", "pods"):
        len(known[name])
    memory: Any = node.source.kernel.memory
    host = Host(memory, node.anchors, node.source.kernel.space)
    print("| table | rows | alone, s | beside others, s | memory grown, MiB | volatility3's nearest, s | times as fast "
          "alone | beside others | `memir run`, s | times as fast alone | wanted |", flush=True)  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for line in measured(node, known, host, options):
        print(line, flush=True)


if __name__ == "__main__":
    main()
