# SPDX-License-Identifier: Apache-2.0
"""A pod's processes, from /proc: which they are, and what is written about each."""

import hashlib
import os
import re
import stat
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from memir.collect.node.frames import Frames, line

TEXTS = (
    "status", "stat", "cgroup", "maps", "limits", "io", "wchan", "stack", "syscall", "loginuid", "sessionid",
    "oom_score_adj", "uid_map", "gid_map", "personality", "attr/current",
)  # fmt: skip
SPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
NET = (
    "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6", "unix", "packet", "netlink",
    "route", "ipv6_route", "arp", "dev", "if_inet6", "fib_trie", "igmp", "igmp6", "nf_conntrack", "snmp", "sockstat",
)  # fmt: skip
MAX_TEXT = 8 << 20
MAX_PROCESSES = 4096
MAX_FDS = 16384
MAX_HASHED = 512 << 20
MAX_COPIED = 256 << 20
ID = re.compile(r"[0-9a-f]{64}")


def read(path: str, limit: int = MAX_TEXT) -> bytes:
    """At most `limit` bytes of a file. OSError."""
    with open(path, "rb", buffering=0) as file:
        parts, left = [], limit
        while left > 0:
            data = file.read(min(left, 1 << 18))
            if not data:
                break
            parts.append(data)
            left -= len(data)
    return b"".join(parts)


def text(data: bytes) -> str:
    """Bytes as text that can be turned back."""
    return data.decode("utf-8", "surrogateescape")


def link(path: str) -> Optional[str]:
    """Where a link of /proc leads, None if it cannot be read."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def inum(target: Optional[str]) -> str:
    """Number of a namespace out of `net:[4026531840]`, "" if there is none."""
    match = re.search(r"\[(\d+)\]$", target or "")
    return match.group(1) if match else ""


def pids() -> List[int]:
    """Every process that /proc lists."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def members(uid: str, containers: Iterable[str]) -> Dict[int, List[str]]:
    """The pod's processes: by their cgroup's path, and by a namespace that those have and the node has not.

    Gives by what each is known: cgroup, mnt, pid or net. The collector itself is none.
    """
    words = [uid, uid.replace("-", "_")] if uid else []
    words += list(containers)
    known: Dict[int, List[str]] = {}
    spaces: Dict[int, Dict[str, str]] = {}
    every = pids()
    own = {space: link("/proc/self/ns/" + space) for space in ("mnt", "pid", "net")}
    first = {space: link("/proc/1/ns/" + space) for space in ("mnt", "pid", "net")}
    for pid in every:
        spaces[pid] = {space: link("/proc/%d/ns/%s" % (pid, space)) or "" for space in ("mnt", "pid", "net")}
        try:
            path = text(read("/proc/%d/cgroup" % pid, 1 << 16))
        except OSError:
            continue
        if pid != os.getpid() and any(word in path for word in words):
            known[pid] = ["cgroup"]
    for space in ("mnt", "pid", "net"):
        theirs = {spaces[pid][space] for pid in known if "cgroup" in known[pid]} - {"", own[space], first[space]}
        for pid in every:
            if spaces[pid][space] in theirs and pid != os.getpid():
                known.setdefault(pid, []).append(space)
    return known


def container_of(pid: int) -> str:
    """Id of the container whose cgroup a process is in, "" if it is in none."""
    try:
        hits = ID.findall(text(read("/proc/%d/cgroup" % pid, 1 << 16)))
    except OSError:
        return ""
    return hits[-1] if hits else ""


class Writer:
    """Writes the pod's processes, mount tables and sockets into the stream."""

    def __init__(self, frames: Frames, enter: Any = None) -> None:
        """enter: called with a pid, gives the context in which that process is read (access.py); None where root is."""
        self._frames = frames
        self._enter = enter or _anyone
        self._hashes: Dict[Tuple[int, int], Optional[str]] = {}

    def processes(self, known: Dict[int, List[str]]) -> None:
        """node/processes.jsonl, and what may hold secrets apart in clear/processes.jsonl."""
        clear: List[bytes] = []
        item = self._frames.item("node/processes.jsonl")
        for pid in sorted(known)[:MAX_PROCESSES]:
            try:
                with self._enter(pid):
                    record, words = self.record(pid, known[pid]), self.words(pid)
                item.write(line(record))
                clear.append(line(dict(words, pid=pid)))
            except OSError as error:
                ended = isinstance(error, (FileNotFoundError, ProcessLookupError))
                why = "ended while it was read" if ended else str(error.strerror)
                self._frames.gap("process", "pid %d" % pid, why, not ended)
        item.close()
        if len(known) > MAX_PROCESSES:
            why = "more than %d processes" % MAX_PROCESSES
            self._frames.gap("process", "pid list", why, True, len(known) - MAX_PROCESSES)
        self._frames.file("clear/processes.jsonl", b"".join(clear))

    def words(self, pid: int) -> Dict[str, Any]:
        """Arguments, and the environment unless the kernel refuses it. OSError if the process is gone."""
        words = {"cmdline": text(read("/proc/%d/cmdline" % pid))}
        try:
            words["environ"] = text(read("/proc/%d/environ" % pid))
        except PermissionError as error:
            self._frames.gap("environment", "pid %d" % pid, str(error.strerror), True)
        return words

    def record(self, pid: int, why: List[str]) -> Dict[str, Any]:
        """What /proc says of one process. OSError if it is gone."""
        base = "/proc/%d/" % pid
        files: Dict[str, str] = {}
        unread: Dict[str, str] = {}
        os.stat(base + "stat")
        for name in TEXTS:
            try:
                files[name] = text(read(base + name))
            except OSError as error:
                unread[name] = str(error.strerror)
        links = {name: link(base + name) for name in ("exe", "cwd", "root")}
        links.update({"ns/" + space: link(base + "ns/" + space) for space in SPACES})
        return {
            "pid": pid, "known_by": why, "container": container_of(pid), "files": files, "links": links,
            "fds": self.descriptors(pid), "threads": threads(pid), "exe_sha256": self.hash_of(base + "exe"),
            "unread": unread,
        }  # fmt: skip

    def descriptors(self, pid: int) -> List[Dict[str, Any]]:
        """Open files: number, what /proc says that they are, and fdinfo."""
        out: List[Dict[str, Any]] = []
        base = "/proc/%d/" % pid
        try:
            numbers = sorted(int(name) for name in os.listdir(base + "fd"))
        except OSError as error:
            self._frames.gap("open files", "pid %d" % pid, str(error.strerror))
            return out
        if len(numbers) > MAX_FDS:
            self._frames.gap("open files", "pid %d" % pid, "more than %d" % MAX_FDS, True, len(numbers) - MAX_FDS)
        for number in numbers[:MAX_FDS]:
            target = link(base + "fd/%d" % number)
            if target is None:
                continue
            try:
                info = text(read(base + "fdinfo/%d" % number, 1 << 16))
            except OSError:
                info = ""
            out.append({"fd": number, "target": target, "info": info})
        return out

    def hash_of(self, path: str) -> Optional[str]:
        """SHA-256 of a program, each file once; None if it cannot be read or is larger than MAX_HASHED."""
        try:
            facts = os.stat(path)
        except OSError:
            return None
        key = (facts.st_dev, facts.st_ino)
        if key not in self._hashes:
            self._hashes[key] = None
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= MAX_HASHED:
                try:
                    digest = hashlib.sha256()
                    descriptor = open_quietly(path)
                    with os.fdopen(descriptor, "rb", buffering=0) as file:
                        for data in iter(lambda: file.read(1 << 20), b""):
                            digest.update(data)
                    self._hashes[key] = digest.hexdigest()
                except OSError as error:
                    self._frames.gap("program", path, str(error.strerror))
        return self._hashes[key]

    def deleted(self, known: Dict[int, List[str]]) -> None:
        """node/deleted/: programs and open files that have no name any more, each once."""
        done: Set[Tuple[int, int]] = set()
        for pid in sorted(known):
            with self._enter(pid):
                self._deleted_of(pid, done)

    def _deleted_of(self, pid: int, done: Set[Tuple[int, int]]) -> None:
        base = "/proc/%d/" % pid
        try:
            names = ["exe", *("fd/" + name for name in sorted(os.listdir(base + "fd"), key=int)[:MAX_FDS])]
        except OSError:
            names = ["exe"]
        for name in names:
            if (link(base + name) or "").endswith(" (deleted)"):
                self._copy(base + name, "node/deleted/%d-%s" % (pid, name.replace("/", "-")), done)

    def _copy(self, path: str, name: str, done: Set[Tuple[int, int]]) -> None:
        try:
            facts = os.stat(path)
            if not stat.S_ISREG(facts.st_mode) or (facts.st_dev, facts.st_ino) in done:
                return
            done.add((facts.st_dev, facts.st_ino))
            descriptor = open_quietly(path)
        except OSError as error:
            self._frames.gap("deleted file", path, str(error.strerror))
            return
        item = self._frames.item(name)
        item.facts = {"link": link(path), "inode": facts.st_ino, "size": facts.st_size}
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            why = item.copy(file, MAX_COPIED)
        item.close(why)

    def spaces(self, known: Dict[int, List[str]]) -> None:
        """node/net/NUMBER/ and node/mounts/NUMBER, once for each namespace of the pod's processes."""
        networks: Dict[str, int] = {}
        mounts: Dict[str, int] = {}
        for pid in sorted(known):
            networks.setdefault(inum(link("/proc/%d/ns/net" % pid)), pid)
            mounts.setdefault(inum(link("/proc/%d/ns/mnt" % pid)), pid)
        for number, pid in sorted(networks.items()):
            for name in NET if number else ():
                self.copy_text("/proc/%d/net/%s" % (pid, name), "node/net/%s/%s" % (number, name))
        for number, pid in sorted(mounts.items()):
            if number:
                self.copy_text("/proc/%d/mountinfo" % pid, "node/mounts/%s" % number)

    def copy_text(self, path: str, name: str, limit: int = 64 << 20) -> None:
        """A file of /proc into the stream; nothing if it is not there."""
        try:
            data = read(path, limit + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            self._frames.gap("file of /proc", path, str(error.strerror))
            return
        self._frames.file(name, data[:limit], "longer than %d bytes" % limit if len(data) > limit else "")


@contextmanager
def _anyone(pid: int) -> Iterator[None]:
    """The context of a reader that may read everything as it is."""
    del pid
    yield


def threads(pid: int) -> List[Dict[str, Any]]:
    """Number, name, state of each thread; at most 4,096."""
    out = []
    try:
        numbers = sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))
    except OSError:
        return []
    for number in numbers[:4096]:
        try:
            words = text(read("/proc/%d/task/%d/stat" % (pid, number), 4096))
        except OSError:
            continue
        name, _, rest = words.partition("(")[2].rpartition(")")
        out.append({"tid": number, "comm": name, "state": rest.strip()[:1]})
    return out


def btime() -> Optional[int]:
    """When the node was started, in seconds since 1970 UTC, by /proc/stat; None if it does not say."""
    match = re.search(rb"^btime (\d+)$", read("/proc/stat"), re.MULTILINE)
    return int(match.group(1)) if match else None


def open_quietly(path: str, folder: Optional[int] = None, flags: int = 0) -> int:
    """A descriptor for reading that leaves the file's access time as it is, where the kernel lets it. OSError."""
    flags |= os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(path, flags, dir_fd=folder)
