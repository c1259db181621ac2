# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What a small image's /proc said, held against every column of stock plugins that /proc has a word for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
Record = Mapping[str, Any]
# flags without RUNNING, which ip-link(8) leaves out, operstate, MTU
LOOPBACK = (frozenset({"LOOPBACK", "UP", "LOWER_UP"}), "UNKNOWN", 65536)
ETHERNET = (frozenset({"BROADCAST", "MULTICAST", "UP", "LOWER_UP"}), "UP", 1500)
_TICKS = 100  # a second: USER_HZ, in which /proc/PID/stat gives a start


def processes(record: Record) -> dict[int, Any]:
    """Processes of the recording that ran on, by pid, kernel threads too."""
    return {proc["pid"]: proc for proc in record["proc"] if proc["comm"] != "truth"}


def _ids(proc: Record, name: str) -> list[int]:
    line = re.search(rf"^{name}:\t(.*)$", proc["status"], re.MULTILINE)
    return [int(word) for word in line[1].split()] if line else []


def pslist(record: Record, rows: Iterable[Row]) -> list[str]:
    """PID, TID, PPID, COMM, UID, GID, EUID, EGID of every process; starts as far apart as /proc says.

    A kernel thread's comm is 15 bytes in the task; /proc appends what its kthread and its work queue say (v4.19,
    6b59808bfe48 "workqueue: Show the latest workqueue name in /proc/PID/{comm,stat,status}"), volatility3 does not.
    """
    rows = [row for row in rows if row["PID"] in processes(record)]
    wanted = {
        (pid, pid, proc["ppid"], _comm(proc), *_ids(proc, "Uid")[:1], *_ids(proc, "Gid")[:1], _ids(proc, "Uid")[1],
         _ids(proc, "Gid")[1])
        for pid, proc in processes(record).items() if pid in {row["PID"] for row in rows}
    }  # fmt: skip
    names = ("PID", "TID", "PPID", "COMM", "UID", "GID", "EUID", "EGID")
    wrong = differ(wanted, {tuple(row[name] for name in names) for row in rows})
    starts = {row["PID"]: row["CREATION TIME"].timestamp() for row in rows}
    first = starts[1] - processes(record)[1]["start"] / _TICKS
    wrong += [
        f"start of {pid}: {begun - first:.3f} s after boot, not {processes(record)[pid]['start'] / _TICKS:.2f}"
        for pid, begun in starts.items() if abs(begun - first - processes(record)[pid]["start"] / _TICKS) > 2 / _TICKS
    ]  # fmt: skip
    return wrong


def _comm(proc: Record) -> str:
    name: str = proc["comm"]
    if not proc["kthread"]:
        return name
    return (name.partition("-")[0] if name.startswith("kworker/") else name)[:15]


def lsof(record: Record, rows: Iterable[Row]) -> list[str]:
    """PID, Process, FD and Path (by its kind and number for what has no path) of every descriptor."""
    rows = [row for row in rows if row["PID"] in processes(record) and row["PID"] == row["TID"]]
    wanted = {
        (pid, proc["comm"], int(fd), _target(target))
        for pid, proc in processes(record).items() if not proc["kthread"]
        for fd, target in proc.get("fds", {}).items() if target
    }  # fmt: skip
    wrong = differ(wanted, {(row["PID"], row["Process"], row["FD"], _target(row["Path"])) for row in rows})
    return wrong + _numbers(record, rows)


def _numbers(record: Record, rows: Iterable[Row]) -> list[str]:
    """Inode of what has a number in brackets (on one device a kind), and of mapped files; device by a path's mount."""
    wrong, without = [], set()
    for row in rows:
        target, proc = _target(row["Path"]), processes(record)[row["PID"]]
        if number := re.fullmatch(r"(socket|pipe):\[(\d+)\]", target):
            without.add((number[1], row["Device"]))
            wrong += [] if row["Inode"] == int(number[2]) else [f"inode of {target} is {row['Inode']}"]
            continue
        mounts = [line.split() for line in proc["mountinfo"].splitlines()]
        above = [words for words in mounts if target == words[4] or target.startswith(words[4].rstrip("/") + "/")]
        # of mounts on one point the last is seen
        device = max(enumerate(above), key=lambda entry: (len(entry[1][4]), entry[0]))[1][2] if above else None
        wrong += [] if row["Device"] == device else [f"device of {target} is {row['Device']}, not {device}"]
        mapped = {line.split(None, 5)[4] for line in proc.get("maps", "").splitlines() if line.endswith(f" {target}")}
        wrong += [] if not mapped or str(row["Inode"]) in mapped else [f"inode of {target} is {row['Inode']}"]
    several = len(without) > len({kind for kind, _ in without})
    return wrong + ([f"several devices: {sorted(without)}"] if several else [])


def _target(text: str) -> str:
    """A descriptor's target as both write it: without the mark of what is deleted, numbers in brackets."""
    return re.sub(r"^(socket|pipe):?\[?(\d+)\]?$", r"\1:[\2]", text.removesuffix(" (deleted)").strip())


def sockstat(record: Record, rows: Iterable[Row]) -> list[str]:
    """Type, addresses, ports and state of TCP and UDP sockets, by network namespace."""
    wanted = set()
    for net in record["net"]:
        number = int(net["netns"].split("[")[1][:-1])
        for name in ("tcp", "udp"):
            for line in net[name].splitlines()[1:]:
                local, remote, state = line.split()[1:4]
                if name == "tcp" and state == "06":
                    continue  # TIME_WAIT has no socket
                word = "LISTEN" if state == "0A" else "ESTABLISHED" if state == "01" else "UNCONNECTED"
                wanted.add((number, name.upper(), *_address(local), *_address(remote), word))
    names = ("NetNS", "Proto", "Source Addr", "Source Port", "Destination Addr", "Destination Port", "State")
    return differ(wanted, {tuple(row[name] for name in names) for row in rows if row["Family"] == "AF_INET"})


def _address(text: str) -> tuple[str, str]:
    address, port = text.split(":")
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(address))), str(int(port, 16))


def envars(record: Record, rows: Iterable[Row]) -> list[str]:
    """PID, PPID, COMM, KEY and VALUE of every variable of the environments that stand as the kernel laid them out."""
    wanted = {
        (pid, proc["ppid"], proc["comm"], *word.partition("=")[::2])
        for pid, proc in processes(record).items() if not proc["kthread"]
        for word in proc.get("environ", "").split("\0") if "=" in word
    }  # fmt: skip
    names = ("PID", "PPID", "COMM", "KEY", "VALUE")
    return differ(wanted, {tuple(row[name] for name in names) for row in rows if row["PID"] in processes(record)})


def mountinfo(record: Record, rows: Iterable[Row]) -> list[str]:
    """Every field of /proc/PID/mountinfo but options of file systems, which only these themselves tell."""
    wanted = set()
    for proc in processes(record).values():
        number = int(proc["ns"]["mnt"].split("[")[1][:-1]) if proc["ns"].get("mnt") else 0
        for line in proc.get("mountinfo", "").splitlines():
            head, _, tail = line.partition(" - ")
            mount, parent, device, root, point, options, *fields = head.split()
            kind, source, _ = tail.split(" ", 2)
            wanted.add((number, int(mount), int(parent), device, root, point, frozenset(options.split(",")),
                        " ".join(fields), kind, source))  # fmt: skip
    namespaces = {entry[0] for entry in wanted}
    shown = {
        (row["MNT_NS_ID"], row["MOUNT ID"], row["PARENT_ID"], row["MAJOR:MINOR"], row["ROOT"], row["MOUNT_POINT"],
         frozenset(row["MOUNT_OPTIONS"].split(",")), (row["FIELDS"] or "").strip(), row["FSTYPE"], row["MOUNT_SRC"])
        for row in rows if row["MNT_NS_ID"] in namespaces and row["FSTYPE"] not in {"rootfs", "nullfs"}
    }  # fmt: skip
    return differ({entry for entry in wanted if entry[8] not in {"rootfs", "nullfs"}}, shown)


def maps(record: Record, rows: Iterable[Row]) -> list[str]:
    """PID, Process, bounds, flags, offset, device, inode and path of every area. [vvar] has no name in volatility3.

    A container's file lies on a layer of its overlay: /proc gives the device of the layer's inode (file_inode()'s),
    volatility3 that of the overlay, whose path the file has.
    """
    wanted, shown = set(), set()
    for proc in processes(record).values():
        root = re.search(r"^\d+ \d+ (\d+):(\d+) / / .* - overlay ", proc.get("mountinfo", ""), re.MULTILINE)
        for line in [] if proc["kthread"] else proc.get("maps", "").splitlines():
            bounds, flags, offset, device, inode, *path = line.split(None, 5)
            start, end = (int(part, 16) for part in bounds.split("-"))
            if start < 1 << 63:  # the vsyscall page is no area of the process
                major, minor = (int(part, 16) for part in device.split(":"))
                if root is not None and path and path[0].startswith("/") and not path[0].startswith("/memfd:"):
                    major, minor = int(root[1]), int(root[2])
                wanted.add((proc["pid"], proc["comm"], start, end, flags[:3], int(offset, 16), major, minor,
                            int(inode), _area(path[0] if path else "")))  # fmt: skip
    names = ("PID", "Process", "Start", "End", "Flags", "PgOff", "Major", "Minor", "Inode")
    for row in rows:
        if row["PID"] in processes(record):
            shown.add((*(row[name] for name in names), _area(row["File Path"] or "")))
    return differ(wanted, shown)


def _area(path: str) -> str:
    """What an area maps, as both say it: deleted files have a mark, anonymous memory no name."""
    path = path.strip().removesuffix(" (deleted)")
    return "" if path in {"[vvar]", "[vvar_vclock]", "Anonymous Mapping"} else path


def elfs(record: Record, rows: Iterable[Row]) -> list[str]:
    """Each row is an area of the process, with its bounds and path; each process has a row of its executable."""
    areas = set()
    for proc in processes(record).values():
        for line in proc.get("maps", "").splitlines():
            bounds, *words = line.split(None, 5)
            path = words[4] if len(words) > 4 else ""
            start, end = (int(part, 16) for part in bounds.split("-"))
            areas.add((proc["pid"], proc["comm"], start, end, _area(path)))
    shown = {(row["PID"], row["Process"], row["Start"], row["End"], _area(row["File Path"] or "")) for row in rows}
    shown = {entry for entry in shown if entry[0] in processes(record)}
    wrong = [f"extra {entry}" for entry in sorted(shown - areas)]
    wanted = {(pid, proc["exe"].removesuffix(" (deleted)")) for pid, proc in processes(record).items() if proc["exe"]}
    return wrong + [f"missing {entry}" for entry in sorted(wanted - {(entry[0], entry[4]) for entry in shown})]


def psaux(record: Record, rows: Iterable[Row]) -> list[str]:
    """PID, PPID, COMM and ARGS; a kernel thread's name in brackets."""
    wanted = {
        (pid, proc["ppid"], _comm(proc),
         f"[{_comm(proc)}]" if proc["kthread"] else proc.get("cmdline", "").replace("\0", " ").strip())
        for pid, proc in processes(record).items()
    }  # fmt: skip
    shown = {(row["PID"], row["PPID"], row["COMM"], (row["ARGS"] or "").strip()) for row in rows}
    # kernel threads come and go between the recording and the image
    return differ({entry for entry in wanted if entry[0] in {row[0] for row in shown}},
                  {entry for entry in shown if entry[0] in processes(record)})  # fmt: skip


def capabilities(record: Record, rows: Iterable[Row]) -> list[str]:
    """Number of capabilities in each of the five sets, EUID, PPid and name."""
    wanted, shown = set(), set()
    sets = {"CapInh": "inheritable", "CapPrm": "permitted", "CapEff": "effective", "CapBnd": "bounding",
            "CapAmb": "ambient"}  # fmt: skip
    known = {}
    for pid, proc in processes(record).items():
        masks = [int(proc["status"].partition(f"{name}:")[2].split()[0], 16).bit_count() for name in sets]
        known[pid] = (pid, _comm(proc), proc["ppid"], _ids(proc, "Uid")[1], *masks)
    every = max(entry[7] for entry in known.values())
    for row in rows:
        if row["Pid"] in known:
            texts = [row[f"cap_{name}"] or "" for name in sets.values()]
            counts = [every if text == "all" else len(text.split(",")) if text else 0 for text in texts]
            shown.add((row["Pid"], row["Name"], row["PPid"], row["EUID"], *counts))
            wanted.add(known[row["Pid"]])
    return differ(wanted, shown)


def addresses(record: Record, rows: Iterable[Row]) -> list[str]:
    """Local IPv4 addresses by network namespace, as the routing trie has them."""
    wanted = set()
    for net in record["net"]:
        number = int(net["netns"].split("[")[1][:-1])
        for address in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", net["fib_trie"]):
            wanted.add((number, address))
    spaces = {number for number, _ in wanted}
    return differ(wanted, {(row["NetNS"], row["IP"]) for row in rows if row["NetNS"] in spaces and "." in row["IP"]})


def links(record: Record, rows: Iterable[Row]) -> list[str]:
    """Interfaces by network namespace, with flags, state, MTU and queue of what the guest made: lo and veths, up."""
    wanted = set()
    for net in record["net"]:
        for line in net["dev"].splitlines()[2:]:
            name = line.split(":")[0].strip()
            made = LOOPBACK if name == "lo" else ETHERNET
            wanted.add((int(net["netns"].split("[")[1][:-1]), name, *made, "noqueue", 1000))
    spaces = {entry[0] for entry in wanted}
    shown = {
        (row["NS"], row["Interface"], frozenset(row["Flags"].split(",")),
         *(row[name] for name in ("State", "MTU", "Qdisc", "Qlen")))
        for row in rows if row["NS"] in spaces
    }  # fmt: skip
    return differ(wanted, shown)


def lsmod(record: Record, rows: Iterable[Row]) -> list[str]:
    """Name and taints of every module, and that its code fits in the size that /proc/modules gives it."""
    wanted = {}
    for line in record["sys"]["modules"].splitlines():
        words = line.split()
        wanted[words[0]] = (int(words[1]), words[6].strip("()") if len(words) > 6 else "")
    shown = {row["Module Name"]: (row["Code Size"], row["Taints"] or "") for row in rows}
    wrong = differ(set(wanted), set(shown))
    wrong += [f"taints of {name}" for name in wanted.keys() & shown.keys() if wanted[name][1] != shown[name][1]]
    return wrong + [
        f"size of {name}" for name in wanted.keys() & shown.keys() if not 0 < shown[name][0] <= wanted[name][0]
    ]


def iomem(record: Record, rows: Iterable[Row]) -> list[str]:
    """Name, start and end of every resource; /proc leaves the root out."""
    wanted = set()
    for line in record["sys"]["iomem"].splitlines():
        bounds, _, name = line.strip().partition(" : ")
        start, _, end = bounds.partition("-")
        wanted.add((name, int(start, 16), int(end, 16)))
    return differ(wanted, {(row["Name"], row["Start"], row["End"]) for row in rows if row["Name"] != "PCI mem"})


def differ(wanted: set[Any], shown: set[Any]) -> list[str]:
    """A line for each that is on one side only."""
    missing, extra = sorted(wanted - shown, key=repr), sorted(shown - wanted, key=repr)
    return [f"missing {entry}" for entry in missing] + [f"extra {entry}" for entry in extra]


CHECKS: dict[str, Callable[[Record, Iterable[Row]], list[str]]] = {
    "linux.pslist.PsList": pslist,
    "linux.lsof.Lsof": lsof,
    "linux.sockstat.Sockstat": sockstat,
    "linux.envars.Envars": envars,
    "linux.mountinfo.MountInfo": mountinfo,
    "linux.proc.Maps": maps,
    "linux.elfs.Elfs": elfs,
    "linux.psaux.PsAux": psaux,
    "linux.capabilities.Capabilities": capabilities,
    "linux.ip.Addr": addresses,
    "linux.ip.Link": links,
    "linux.lsmod.Lsmod": lsmod,
    "linux.iomem.IOMem": iomem,
}
