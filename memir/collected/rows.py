# SPDX-License-Identifier: Apache-2.0
"""Rows of tables from a collected pod, by the columns' names; a column that a row lacks is not known there.

Each reader gives (rows, keys): the key of a row is the id of the container that it belongs to, "" for the pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memir.kube.volumes import volume_of_mount

if TYPE_CHECKING:
    from memir.collected.source import CollectedSource

Row = dict[str, Any]
Rows = tuple[list[Row], list[str]]
DELETED = " (deleted)"
_MOST = 1 << 20


def shown(value: Any) -> str | None:
    """Text as the tables have it: bytes that are no UTF-8 as backslash escapes."""
    if not isinstance(value, str):
        return None
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, which JSON may hold and no file's name does
        return value.encode("utf-8", "backslashreplace").decode()


def process_rows(source: CollectedSource) -> Rows:
    """Of the table `processes`."""
    rows: list[Row] = []
    keys: list[str] = []
    for record in source.processes:
        pid, files, links = record["pid"], _dict(record, "files"), _dict(record, "links")
        status, stat = _status(files), _stat(files)
        exe, deleted = _unlinked(links.get("exe"))
        container = str(record.get("container") or "")
        words = source.words.get(pid, {})
        lines = [line for line in str(files.get("cgroup") or "").split("\n") if line]
        path = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), None)
        pids = [each for word in (status.get("NSpid") or "").split() if (each := number_of(word)) is not None]
        kernel = status.get("Kthread")
        rows.append({
            "pid": pid, "ppid": number_of(status.get("PPid")), "tgid": number_of(status.get("Tgid")),
            "comm": shown(stat[0]) if stat else None, "args": source.secrets.args(_words(words, "cmdline"))[0],
            "environ": source.secrets.environ(_words(words, "environ"))[0], "exe": shown(exe), "exe_deleted": deleted,
            "exe_sha256": shown(record.get("exe_sha256")), "start_time": _start(source, stat),
            "uid": number_of((status.get("Uid") or "").split("\t")[0]),
            "cap_effective": number_of(status.get("CapEff"), 16),
            "seccomp": number_of(status.get("Seccomp")), "seccomp_filters": number_of(status.get("Seccomp_filters")),
            "label": shown(str(files.get("attr/current") or "").strip("\n\0") or None),
            "tracer": number_of(status.get("TracerPid")), "pid_in_container": pids[-1] if pids else None,
            "pids": pids or None, "threads": number_of(status.get("Threads")),
            "kernel_thread": None if kernel is None else kernel == "1",
            "state": (status.get("State") or "")[:1] or None, "in_container": bool(container),
            "cgroup_path": shown(path), "cgroups": [str(shown(line)) for line in lines] or None,
            **{f"{kind}_ns": inode_of(links.get(f"ns/{kind}")) for kind in
               ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")},
            "seen_by": ["/proc"],
            "witnesses": [f"{witness}={container or 'pod'}" for witness in _list(record, "known_by")],
            "disagreements": [], "source": f"/proc/{pid}",
        })  # fmt: skip
        keys.append(container)
    return rows, keys


def thread_rows(source: CollectedSource) -> Rows:
    """Of the table `threads`."""
    rows = [
        ({"tid": thread.get("tid"), "pid": record["pid"], "comm": shown(thread.get("comm")),
          "state": shown(thread.get("state")), "seen_by": ["/proc"], "source": f"/proc/{record['pid']}/task"},
         str(record.get("container") or ""))
        for record in source.processes for thread in _list(record, "threads") if isinstance(thread, dict)
    ]  # fmt: skip
    return [row for row, _ in rows], [key for _, key in rows]


def file_rows(source: CollectedSource) -> Rows:
    """Of the table `files`. What kind of file a path is, /proc's links do not say."""
    rows: list[Row] = []
    keys: list[str] = []
    for record in source.processes:
        links, pid = _dict(record, "links"), record["pid"]
        uses: list[tuple[str, int | None, Any, str]] = [
            (use, None, links.get(use), "") for use in ("exe", "cwd", "root")
        ]
        uses += [("fd", entry.get("fd"), entry.get("target"), str(entry.get("info") or ""))
                 for entry in _list(record, "fds") if isinstance(entry, dict)]  # fmt: skip
        for use, number, target, info in uses:
            if not isinstance(target, str):
                continue
            path, deleted = _unlinked(target)
            facts = dict(line.partition(":\t")[::2] for line in info.split("\n"))
            kind = "directory" if use in ("cwd", "root") else "regular" if use == "exe" else _kind(target)
            rows.append({
                "pid": pid, "fd": number, "use": use, "path": shown(path), "kind": kind,
                "inode": number_of(facts.get("ino")) or (inode_of(target) if kind in ("socket", "fifo") else None),
                "offset": number_of(facts.get("pos")), "flags": number_of(facts.get("flags"), 8), "deleted": deleted,
                "source": f"/proc/{pid}/{use}",
            })  # fmt: skip
            keys.append(str(record.get("container") or ""))
    return rows, keys


def vma_rows(source: CollectedSource) -> Rows:
    """Of the table `vmas`."""
    rows: list[Row] = []
    keys: list[str] = []
    for record in source.processes:
        for row in regions(record):
            if len(rows) < _MOST:
                rows.append(row)
                keys.append(str(record.get("container") or ""))
    return rows, keys


def regions(record: Row) -> Iterator[Row]:
    """Regions of one process, as /proc/PID/maps has them."""
    for line in str(_dict(record, "files").get("maps") or "").split("\n"):
        words = line.split(None, 5)
        start, _, end = (words[0] if words else "").partition("-")
        if len(words) < 5 or number_of(start, 16) is None or number_of(end, 16) is None or len(words[1]) != 4:
            continue
        path, deleted = _unlinked(words[5] if len(words) > 5 else None)
        rights, backed = words[1], words[4] != "0"
        names = [name for letter, name in zip(rights, ("rd", "wr", "ex"), strict=False) if letter != "-"]
        yield {
            "pid": record["pid"], "start": number_of(start, 16), "end": number_of(end, 16), "permissions": rights,
            "flags": names + (["sh"] if rights[3] == "s" else []), "path": shown(path),
            "offset": number_of(words[2], 16),
            "inode": number_of(words[4]) if backed else None, "anonymous": not backed, "deleted": bool(deleted),
            "memfd": bool(path) and str(path).startswith("/memfd:"), "source": f"/proc/{record['pid']}/maps",
        }  # fmt: skip


def mount_rows(source: CollectedSource) -> Rows:
    """Of the table `mounts`, of each mount namespace once: the pod's, as several containers may share it."""
    holders: dict[int | None, set[str]] = {}
    for record in source.processes:
        space = inode_of(_dict(record, "links").get("ns/mnt"))
        holders.setdefault(space, set()).add(str(record.get("container") or ""))
    rows: list[Row] = []
    keys: list[str] = []
    for number, rest in source.below("node/mounts"):
        space = number_of(number)
        if rest or space is None:
            continue
        inside = holders.get(space, set()) - {""}
        for line in source.read(f"node/mounts/{number}", 64 << 20).decode("utf-8", "surrogateescape").split("\n"):
            words = line.split(" ")
            split = words.index("-", 6) if "-" in words[6:] else 0
            if not split or len(words) < split + 4 or len(rows) >= _MOST:
                continue
            point, root = _plain(words[4]), _plain(words[3])
            fstype = words[split + 1]
            volume = volume_of_mount(root if root.startswith("/var/lib/kubelet/") else None, fstype, root, point)
            rows.append({
                "mnt_ns": space, "mount_id": number_of(words[0]), "parent_id": number_of(words[1]),
                "device": words[2], "fstype": shown(fstype), "mount_point": shown(point), "root": shown(root),
                "device_name": shown(_plain(words[split + 2])), "options": words[5].split(","),
                "super_options": words[split + 3].split(","), "propagation": words[6:split], "hidden": None,
                "volume_kind": volume and volume.kind, "volume_name": volume and volume.name,
                "volume_pod_uid": volume and volume.pod_uid, "seen_by": ["mountinfo"], "source": "mountinfo",
            })  # fmt: skip
            keys.append(next(iter(inside)) if len(inside) == 1 else "")
    return rows, keys


def container_rows(source: CollectedSource) -> Rows:
    """Of the table `containers`: those that the API server, the runtime's records or cgroups know."""
    known = {row.container_id: row for row in source.receipt.collection.pod.containers if row.container_id}
    inside: dict[str, list[int]] = {}
    for record in source.processes:
        inside.setdefault(str(record.get("container") or ""), []).append(record["pid"])
    roots = _dict(source.node_facts, "roots")
    idents = sorted({*known, *source.specs, *inside} - {""})
    rows = []
    for ident in idents:
        api, spec, root = known.get(ident), source.specs.get(ident), _dict(roots, ident)
        state = {"terminated": "exited", "running": "running"}.get(api.state if api else "", "unknown")
        kind = api.kind if api is not None else (spec.kind if spec is not None else None)
        rows.append({
            "container_id": ident, "kind": kind or "container",
            "image": api.image_id or api.image if api is not None else spec.image if spec is not None else None,
            "runtime": spec.engine if spec is not None else None,
            "state": "running" if ident in inside else state, "init_pid": min(inside.get(ident, [0])) or None,
            "cgroup_path": spec.cgroups_path if spec is not None else None,
            **{name: getattr(spec, name) for name in ("privileged", "host_pid", "host_network", "host_users")
               if spec is not None},
            "rootfs": shown(root.get("merged")), "overlay_upper": shown(root.get("upper")) or None,
            "overlay_lower": [str(shown(layer)) for layer in _list(root, "lower")] or None,
            "args": source.secrets.args(spec.args)[0] if spec is not None else None,
            "env": source.secrets.environ(spec.env)[0] if spec is not None else None,
            "sandbox_id": spec.sandbox_id if spec is not None else None,
            "restarts": api.restarts if api is not None else None, "processes": len(inside.get(ident, ())),
            "seen_in": "node" if api is None else "both" if spec is not None or ident in inside else "api",
            "doubts": list(spec.doubts) if spec is not None else [],
            "source": "; ".join(name for name, there in (("api/pod.json", api), ("config.json", spec),
                                                         ("/proc", ident in inside)) if there),
        })  # fmt: skip
    return rows, idents


def pod_rows(source: CollectedSource) -> Rows:
    """Of the table `pods`: the one."""
    pod = source.receipt.collection.pod
    specs = [spec for spec in source.specs.values() if spec.cgroup is not None]
    return [{
        "pod_uid": pod.uid, "qos": specs[0].cgroup.qos if specs and specs[0].cgroup is not None else None,
        "node": source.name, "containers": len(pod.containers) or None, "processes": len(source.processes),
        "seen_in": "both" if pod.asked_api and source.processes else "api" if pod.asked_api else "node",
        "doubts": [], "source": "api/pod.json" if pod.asked_api else "/proc",
    }], [pod.uid]  # fmt: skip


def _dict(record: Row, name: str) -> Row:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _list(record: Row, name: str) -> list[Any]:
    value = record.get(name)
    return value if isinstance(value, list) else []


def number_of(word: Any, base: int = 10) -> int | None:
    """A number of 64 bits as text has it; None for any other text."""
    try:
        value = int(str(word).strip(), base)
    except ValueError:
        return None
    return value if 0 <= value < 1 << 64 else None


def inode_of(target: Any) -> int | None:
    """The number in the target of a link of /proc: `socket:[900]`, `net:[4026531840]`."""
    _, bracket, number = str(target or "").rpartition("[")
    return number_of(number.removesuffix("]")) if bracket else None


def _unlinked(target: Any) -> tuple[str | None, bool | None]:
    if not isinstance(target, str):
        return None, None
    return target.removesuffix(DELETED), target.endswith(DELETED)


def _kind(target: str) -> str | None:
    for head, kind in (("socket:[", "socket"), ("pipe:[", "fifo"), ("anon_inode:", "anonymous")):
        if target.startswith(head):
            return kind
    return None


def _words(words: Row, name: str) -> tuple[str, ...] | None:
    value = words.get(name)
    if not isinstance(value, str):
        return None
    return tuple(str(shown(word)) for word in value.removesuffix("\0").split("\0")) if value else ()


def _status(files: Row) -> dict[str, str]:
    lines = (line.partition(":")[::2] for line in str(files.get("status") or "").split("\n"))
    return {name: value.strip() for name, value in lines}


def _stat(files: Row) -> tuple[str, list[str]] | None:
    name, _, rest = str(files.get("stat") or "").partition("(")[2].rpartition(")")
    fields = rest.split()
    return (name, fields) if len(fields) > 19 else None


def _start(source: CollectedSource, stat: tuple[str, list[str]] | None) -> datetime | None:
    """Start, from ticks since boot and the boot's time by /proc/stat."""
    btime, ticks = number_of(source.node_facts.get("btime")), number_of(source.node_facts.get("ticks"))
    since = number_of(stat[1][19]) if stat else None
    if not btime or not ticks or since is None or btime > 1 << 33 or since // ticks > 1 << 33:
        return None
    return datetime.fromtimestamp(btime + since / ticks, UTC)


def _plain(word: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, char)
    return word
