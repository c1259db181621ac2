# SPDX-License-Identifier: Apache-2.0
"""Tools with a known origin: a store of pinned files, and the choice of one for a node.

The store is a folder (`$MEMIR_TOOLS`, else `$XDG_DATA_HOME/memir/tools`) with the files and `tools.json`,
which pins each by SHA-256. A file whose hash is not the pinned one is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from memir.acquire.facts import NodeFacts
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import Tool, ToolFile
from memir.acquire.tools.elf import read_elf
from memir.acquire.tools.lime import Lime
from memir.errors import NodeError, UsageError
from memir.evidence.custody import now
from memir.evidence.plan import Format

INDEX = "tools.json"
RELEASES = "https://github.com/microsoft/avml/releases"
"""Where AVML's authors publish it built: avml for x86_64, avml-aarch64."""
HELPER_MARK = b"memir-helper: wrong call"
"""In every build of node/helper.c, and in nothing else."""
Choice = Literal["auto", "avml", "lime"]


@dataclass(frozen=True, slots=True)
class Pinned:
    """One tool in the store.

    Kernel and vermagic: of a LiME module; version "" if not known before it runs.
    """

    tool: str
    file: str
    sha256: str
    size: int
    machine: str
    version: str = ""
    kernel: str = ""
    vermagic: str = ""
    signed: bool = False
    origin: str = ""
    added: str = ""


def default_store() -> Path:
    """Where the store is."""
    named = os.environ.get("MEMIR_TOOLS")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()) / "memir" / "tools"


class Store:
    """The folder of pinned tools."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_store()

    def list(self) -> Sequence[Pinned]:
        """Every pinned tool, in the order in which they were added. Raises UsageError on a broken index."""
        path = self.folder / INDEX
        if not path.is_file():
            return ()
        try:
            return tuple(Pinned(**entry) for entry in json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error

    def add(self, source: Path, *, version: str = "", sha256: str = "", origin: str = "") -> Pinned:
        """Copy a file into the store and pin it.

        Raises UsageError if it is no tool or its hash is another.
        """
        data = _read(source)
        pinned = describe(data, source, version=version, origin=origin or str(source))
        if sha256 and pinned.sha256 != sha256.lower():
            raise UsageError(f"{source} has SHA-256 {pinned.sha256}, not {sha256}: it is not added")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = self.folder / pinned.file
            target.write_bytes(data)
            target.chmod(0o600)
            entries = [entry for entry in self.list() if entry.file != pinned.file]
            fresh = self.folder / (INDEX + ".new")
            fresh.write_text(json.dumps([asdict(entry) for entry in [*entries, pinned]], indent=2) + "\n")
            fresh.replace(self.folder / INDEX)
        except OSError as error:
            raise UsageError(f"cannot write to the tool store {self.folder}: {error}") from error
        return pinned

    def verify(self) -> Iterator[tuple[Pinned, str]]:
        """Every tool and what is wrong with it, "" if its file is there and has the pinned hash."""
        for entry in self.list():
            path = self.folder / Path(entry.file).name
            if not path.is_file():
                yield entry, "the file is gone"
            elif (digest := hashlib.sha256(path.read_bytes()).hexdigest()) != entry.sha256:
                yield entry, f"SHA-256 is {digest}, pinned is {entry.sha256}"
            else:
                yield entry, ""

    def helper(self, machine: str) -> Path:
        """The newest helper for a processor, hash checked. Raises UsageError when there is none."""
        for pinned in reversed(self.list()):
            if pinned.tool == "helper" and pinned.machine == machine:
                return self.load(pinned)
        raise UsageError(
            f"no helper for {machine} in {self.folder}: run `memir tools build helper --machine {machine}`, or give "
            "--helper none and an --image that has sh, setsid, mkfifo, base64, sha256sum and stat"
        )

    def load(self, pinned: Pinned) -> Path:
        """The path of a pinned tool, hash checked. Raises UsageError when it is not the pinned file."""
        for entry, wrong in self.verify():
            if entry == pinned and wrong:
                raise UsageError(f"{self.folder / pinned.file}: {wrong}; add it again from a source that you trust")
        return self.folder / Path(pinned.file).name


def describe(data: bytes, source: Path, *, version: str = "", origin: str = "") -> Pinned:
    """What a file is, by its content. Raises UsageError if it is neither a program nor a LiME module."""
    facts = read_elf(data, str(source))
    digest = hashlib.sha256(data).hexdigest()
    if facts.module:
        if facts.modinfo.get("name") not in {None, "lime"} or "vermagic" not in facts.modinfo:
            raise UsageError(f"{source} is a kernel module, but not LiME: {facts.modinfo.get('name')!r}")
        magic = facts.modinfo["vermagic"]
        kernel = (magic.split() or [""])[0]
        known = version or facts.modinfo.get("version", "")
        return Pinned(
            "lime", f"lime-{_safe(kernel)}-{facts.machine}-{digest[:12]}.ko", digest, len(data),
            facts.machine, known, kernel, magic, facts.signed, origin, now(),
        )  # fmt: skip
    if HELPER_MARK in data and facts.static:
        name = f"helper-{facts.machine}-{digest[:12]}"
        return Pinned("helper", name, digest, len(data), facts.machine, version, origin=origin, added=now())
    if not facts.static:
        raise UsageError(f"{source} is not static: it may not start on the node. `memir tools build avml` makes one")
    name = f"avml-{facts.machine}-{digest[:12]}"
    return Pinned("avml", name, digest, len(data), facts.machine, version, origin=origin, added=now())


def make(pinned: Pinned, path: Path, form: Format) -> Tool:
    """The Tool of a pinned file."""
    if pinned.tool == "lime":
        if form != "lime":
            raise UsageError("LiME writes --format lime only")
        facts = read_elf(_read(path), str(path))
        file = ToolFile(path, "lime.ko", pinned.sha256, pinned.size, 0o600)
        return Lime(file, {"version": pinned.version, **facts.modinfo}, signed=facts.signed, machine=facts.machine)
    return Avml(ToolFile(path, "avml", pinned.sha256, pinned.size), pinned.machine, form, pinned.version)


def choose(facts: NodeFacts, choice: Choice, form: Format, path: Path | None, store: Store) -> Tool:
    """The tool for a node: the file given, else the store's, else `avml` on PATH.

    auto takes AVML where /proc/kcore can be read, else a LiME module for this very kernel. Raises NodeError
    when there is none, with what to do.
    """
    if path is not None:
        pinned = describe(_read(path), path, origin=str(path))
        if choice not in {"auto", pinned.tool}:
            raise UsageError(f"{path} is {pinned.tool}, but --tool says {choice}")
        return make(pinned, path, form)
    wanted = [choice] if choice != "auto" else (["avml", "lime"] if facts.kcore else ["lime", "avml"])
    for name in wanted:
        for entry in reversed(store.list()):
            fits = entry.machine == facts.machine and (entry.tool == "avml" or entry.kernel == facts.kernel)
            if entry.tool == name and fits and not (name == "lime" and form != "lime"):
                return make(entry, store.load(entry), form)
        if name == "avml" and (program := _on_path(facts.machine)):
            return make(describe(_read(program), program, origin=str(program)), program, form)
    raise NodeError(
        f"no {' or '.join(wanted)} for {facts.machine} {facts.kernel} in {store.folder}: `memir tools add FILE` with"
        f" AVML's program from {RELEASES}, `memir tools build avml --machine {facts.machine}`, or --tool-path FILE"
    )


def _on_path(machine: str) -> Path | None:
    program = shutil.which("avml")
    if not program:
        return None
    try:
        facts = read_elf(_read(Path(program)), program)
    except UsageError:
        return None
    return Path(program) if facts.machine == machine and facts.static and not facts.module else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the tool {path}: {error}") from error


def _safe(word: str) -> str:
    return "".join(c if c.isalnum() or c in ".+-_" else "_" for c in word)[:80]
