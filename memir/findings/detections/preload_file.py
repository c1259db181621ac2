# SPDX-License-Identifier: Apache-2.0
"""A file that puts a library in front of every program of the node or a container."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.preload import in_odd_place
from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

PATH = "/etc/ld.so.preload"
_USED = """
    select p.address, list(distinct v.pid order by v.pid) as pids
    from (select address, unnest(libraries) as library from preloads) p join vmas v on v.path = p.library
    group by p.address
"""


def _find(look: Look) -> Iterator[Match]:
    rows = [row for row in look.rows("preloads") if row["path"] == PATH and row["libraries"] != []]
    users = {row["address"]: row["pids"] for row in look.ask(_USED)} if rows and look.has("vmas") else {}
    for row in rows:
        severity, reason = _judge(row)
        pids = users.get(row["address"], [])
        names = ", ".join(row["libraries"]) if row["libraries"] else "what is not in RAM"
        mapped = f", which {len(pids)} process{'es have' if len(pids) > 1 else ' has'} mapped" if pids else ""
        proofs: tuple[Proof, ...] = (Proof("preloads", f"address = {row['address']}"),)
        if pids:
            proofs += (Proof("vmas", f"pid = {pids[0]} and path like '%.so%'"),)
        place = "an image's layer" if row["layer"] == "lower" else where(row)
        yield Match(severity, reason, f"{PATH} ({place}) names {short(names)}{mapped}", row, proofs, PATH,
                    first_seen=row["ctime"])  # fmt: skip


def _judge(row: Row) -> tuple[Severity, str]:
    if row["libraries"] is None:
        return "medium", "what it names is not in RAM"
    if any(in_odd_place(library) for library in row["libraries"]):
        return "critical" if row["layer"] == "node" else "high", "the library lies where no package puts one"
    if row["layer"] == "lower":
        return "low", "the image has it so"
    return "high", "every program that is started loads it, also sshd and sudo"


DETECTION = Detection(
    kind="preload-file",
    title="/etc/ld.so.preload names a library",
    how="A file /etc/ld.so.preload of the node, a container or an image's layer has a name in it. High; on the node "
    "critical for a library below /tmp, /dev, /run, a home or in a hidden folder; low if it is of the image itself; "
    "medium where its content is not in RAM.",
    technique="T1574.006",
    tables=("preloads",),
    more=("vmas",),
    find=_find,
    why="User-space rootkits (Jynx, Azazel, libprocesshider, Symbiote, HiddenWasp) live so: the library hides files, "
    "processes and connections from every program, and takes passwords.",
    check_next=(
        "the library itself (memir extract files), and when it was made (table inodes)",
        "which processes have it mapped, and since when: table vmas; those started before it have not",
    ),
    benign=("allocators and tracing agents that an image or an administrator sets for all programs",
            "AWS's and others' FIPS or DRM shims"),
    missed=("a file that no process has asked for since it left the dentry cache", "musl, which does not read it",
            "a loader that was changed to read another file"),
    gaps=("ld.so.preload", "dentry", "page cache"),
    also_known=("Falco: Modify ld.so.preload; Linker preload",
                "GuardDuty: DefenseEvasion:Runtime/SuspiciousCommand"),
)  # fmt: skip
