# SPDX-License-Identifier: Apache-2.0
"""CRIU's images: their framing, and the messages in them that memir reads.

An image is a magic of the format, a magic of its kind, then (u32 size, message) repeated (criu/include/image.h and
magic.h of checkpoint-restore/criu). inventory.img, and every image of version 1, has only its kind's. The messages are
those of criu's images/*.proto (MIT licence), where a field's number never changes: an older or newer CRIU is read too.
"""

from __future__ import annotations

from typing import Any

from construct import ConstructError, Int32ul, Struct

from memir.checkpoint.wire import Field, Message, decode
from memir.errors import ImageFormatError

COMMON, SERVICE = 0x54564319, 0x55105940
MAGIC = {
    "inventory": 0x58313116, "pstree": 0x50273030, "core": 0x55053847, "ids": 0x54432030, "mm": 0x57492820,
    "fs": 0x51403912, "fdinfo": 0x56213732, "pagemap": 0x56084025, "files": 0x56303138, "reg-files": 0x50363636,
    "inetsk": 0x56443851, "unixsk": 0x54373943, "pipes": 0x56513555, "remap-fpath": 0x59133954,
    "mountpoints": 0x55563928, "utsns": 0x54473203,
}  # fmt: skip
VERSIONS = (1, 2)
"""img_version of inventory.img: 1 without the common magic, 2 ("1.1") with it."""
MOST = 1 << 20
"""Entries of one image that are read: a page map of a process with 64 GiB in pieces of 64 KiB has as many."""

_HEAD = Struct("first" / Int32ul, "second" / Int32ul)
_SIZE = Struct("size" / Int32ul)


def _fields(spec: str, **inner: Message) -> Message:
    """`number name kind` with commas; `*` behind the kind: repeated; a kind that is a message is given by name."""
    fields = {}
    for part in spec.split(","):
        number, name, *kind = part.split()
        text = kind[0] if kind else "uint"
        fields[int(number)] = Field(name, inner.get(text.rstrip("*"), text.rstrip("*")), text.endswith("*"))
    return fields


IDS = _fields(
    "1 vm_id, 2 files_id, 3 fs_id, 5 pid_ns_id, 6 net_ns_id, 7 ipc_ns_id, 8 uts_ns_id, 9 mnt_ns_id, 10 user_ns_id"
)
_CREDS = _fields("1 uid, 2 gid, 3 euid, 11 cap_eff uint*, 15 lsm_profile text")
_LIMITS = _fields("1 rlimits limit*", limit=_fields("1 cur, 2 max"))
CORE = _fields(
    "1 mtype, 3 tc task, 5 thread_core thread, 4 ids ids",
    task=_fields("1 task_state, 2 exit_code, 6 comm text, 8 rlimits limits, 11 old_seccomp_mode", limits=_LIMITS),
    thread=_fields("10 creds creds, 11 seccomp_mode, 13 comm text", creds=_CREDS), ids=IDS,
)  # fmt: skip
VMA = _fields("1 start, 2 end, 3 pgoff, 4 shmid, 5 prot, 6 flags, 7 status")
MM = _fields(
    "1 start_code, 5 start_stack, 6 start_brk, 7 brk, 8 arg_start, 9 arg_end, 10 env_start, 11 env_end, "
    "12 exe_file_id, 14 vmas vma*", vma=VMA,
)  # fmt: skip
REG = _fields("1 id, 2 flags, 3 pos, 6 name text, 7 mnt_id sint, 8 size, 10 mode")
INET = _fields(
    "1 id, 2 ino, 3 family, 4 type, 5 proto, 6 state, 7 src_port, 8 dst_port, 11 src_addr uint*, 12 dst_addr uint*, "
    "18 ns_id"
)
UNIX = _fields("1 id, 2 ino, 3 type, 4 state, 8 peer, 11 name bytes, 18 ns_id")
PIPE = _fields("1 id, 2 pipe_id, 3 flags")
FILE = _fields(
    "1 type, 2 id, 3 reg reg, 4 isk inet, 16 usk unix, 18 pipe pipe, 20 memfd memfd", reg=REG, inet=INET, unix=UNIX,
    pipe=PIPE, memfd=_fields("1 id, 2 flags, 3 pos, 5 inode_id"),
)  # fmt: skip
MOUNT = _fields(
    "1 fstype, 2 mnt_id, 3 root_dev, 4 parent_mnt_id, 5 flags, 6 root text, 7 mountpoint text, 8 source text, "
    "9 options text, 10 shared_id, 11 master_id, 14 fsname text, 17 sb_flags"
)
PAGEMAP = _fields("1 vaddr, 2 compat_nr_pages, 3 in_parent bool, 4 flags, 5 nr_pages")
MESSAGES: dict[str, Message] = {
    "inventory": _fields("1 img_version, 2 fdinfo_per_id bool, 3 root_ids ids, 8 dump_uptime", ids=IDS),
    "pstree": _fields("1 pid, 2 ppid, 3 pgid, 4 sid, 5 threads uint*"), "core": CORE, "ids": IDS, "mm": MM,
    "fs": _fields("1 cwd_id, 2 root_id, 3 umask"), "fdinfo": _fields("1 id, 2 flags, 3 type, 4 fd"),
    "pagemap": PAGEMAP, "files": FILE, "reg-files": REG, "inetsk": INET, "unixsk": UNIX, "pipes": PIPE,
    "remap-fpath": _fields("1 orig_id, 2 remap_id, 3 remap_type"), "mountpoints": MOUNT,
    "utsns": _fields("1 nodename text, 2 domainname text"),
}  # fmt: skip
_PAGEMAP_HEAD = _fields("1 pages_id")


def entries(data: bytes, kind: str, where: str) -> tuple[list[dict[str, Any]], str | None]:
    """(messages of an image, why not all of them could be read or None). kind: of MAGIC; where: its name, for messages.

    The first entry of a page map is its head: pages_id. ImageFormatError if the image is of another kind.
    """
    place = _body(data, kind, where)
    out: list[dict[str, Any]] = []
    while place < len(data):
        if len(out) >= MOST:
            return out, f"more than {MOST} entries"
        if len(data) - place < _SIZE.sizeof():
            return out, "ends within an entry's size"
        size = int(_SIZE.parse(data[place : place + 4]).size)
        place += 4
        if size > len(data) - place:
            return out, "ends within an entry"
        message = _PAGEMAP_HEAD if kind == "pagemap" and not out else MESSAGES[kind]
        try:
            out.append(decode(data[place : place + size], message, f"{where} entry {len(out)}"))
        except ImageFormatError as error:
            return out, str(error).partition(": ")[2]
        place += size
    return out, None


def _body(data: bytes, kind: str, where: str) -> int:
    """Offset of the first entry."""
    try:
        head = _HEAD.parse(data[:8].ljust(8, b"\0"))
    except ConstructError as error:
        raise ImageFormatError(f"{where}: not an image of CRIU's: {error}") from error
    with_common = head.first in (COMMON, SERVICE)
    magic = head.second if with_common else head.first
    if magic != MAGIC[kind]:
        raise ImageFormatError(
            f"{where}: its magic is {magic:#010x} where an image of CRIU's of kind {kind} has {MAGIC[kind]:#010x}"
        )
    return 8 if with_common else 4
