# SPDX-License-Identifier: Apache-2.0
"""Something that a list of known indicators names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Row, Severity, of_file, short
from memir.findings.look import Look, where

_NAMES = r"'[a-z0-9_-]+(?:\.[a-z0-9_-]+)+'"
_OWNED = "container_id, container_name, pod_uid, pod_name, namespace"
_TEXTS = {
    "processes": ("array_to_string(coalesce(args, []) || coalesce(environ, []), ' ')", "pid"),
    "containers": ("array_to_string(coalesce(args, []) || coalesce(env, []), ' ')", "container_id"),
    "log": ("text", None),
}
"""Text in which names and addresses are looked for, and the column that leads back to the row."""
_OF_A_FILE = "T1105"
"""Technique of a file that a list names: that it was brought there. One at the other end of a connection is T1071."""
_FEW = 4  # names of programs that are told
_MOST = 200  # matches of one indicator in one table


def _find(look: Look) -> Iterator[Match]:
    if not look.rows("indicators"):
        return
    yield from _hashes(look)
    yield from _addresses(look)
    for table in _TEXTS:
        if look.has(table):
            yield from _texts(look, table)


def _hashes(look: Look) -> Iterator[Match]:
    if not look.has("inodes"):
        return
    files = look.ask("""
        select f.*, i.value, i.name from inodes f join indicators i on i.type = 'sha256' and i.value = f.sha256
    """)
    programs: dict[str, set[str]] = {}
    for file in files:
        programs.setdefault(file["value"], set()).add((_path(file) or "").rpartition("/")[2])
    known = look.rows("pods") if look.has("pods") else []
    pods = {row["pod_uid"]: f"{row['namespace']}/{row['pod_name']}" for row in known}
    for file in files:
        path, place = _path(file), _place(file, pods)
        yield Match(
            "high", f"the content's SHA-256 is that of the indicator{_unlike(programs[file['value']])}",
            f"{short(path or 'a file without name')} ({place}) is {_name(file)}", {**file, "pid": None},
            (of_file(file, inode=True),), path, technique=_OF_A_FILE,
            first_seen=file["btime"] or file["mtime"], subject=f"{file['value']} {where(file)} {path}",
        )  # fmt: skip


def _path(file: Row) -> str | None:
    path: str | None = file["container_path"] or file["node_path"] or file["path"]
    return path


def _place(file: Row, pods: dict[str, str]) -> str:
    """`where` of a file; of one on a layer that pods share, or of an image, that and not the node."""
    if where(file) != "node" or file["layer"] != "lower":
        return where(file)
    names = sorted(pods.get(uid, f"pod {uid}") for uid in file.get("shared_by") or ())
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"an image of {', '.join(names[:_FEW])}{more}" if names else "an image"


def _unlike(names: set[str]) -> str:
    """What speaks against a hash that is many programs': one binary of many names (busybox), or an empty shell."""
    if len(names) < 2:
        return ""
    few = ", ".join(short(name) for name in sorted(names)[:_FEW])
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return (
        f"; {len(names)} programs of unlike names have it ({few}{more}): where these are the node's or an image's own, "
        "the list names a program that many use"
    )


def _addresses(look: Look) -> Iterator[Match]:
    wanted = {row["value"]: row for row in look.rows("indicators") if row["type"] == "address"}
    networks = [
        (ipaddress.ip_network(row["value"]), row) for row in look.rows("indicators") if row["type"] == "network"
    ]
    if not look.has("sockets"):
        return
    for end in look.ask("select * from sockets where remote is not null and family in ('inet', 'inet6')"):
        try:
            address = ipaddress.ip_address(end["remote"])
        except ValueError:
            continue
        plain = getattr(address, "ipv4_mapped", None) or address
        known = wanted.get(str(plain)) or next((row for network, row in networks if plain in network), None)
        if known is None:
            continue
        row = look.process(end["pid"]) or {**end, "pid": None}
        name = f"pid {row['pid']} {short(row['comm'])} ({where(row)})" if row.get("comm") else where(end)
        yield Match(
            "high", f"a connection with it ({end['state']})",
            f"{name} is connected with {plain} port {end['remote_port']}: {_name(known)}", row,
            (Proof("sockets", f"sock = {end['sock']}"),), subject=f"{known['value']} {end['sock']}",
        )  # fmt: skip


def _texts(look: Look, table: str) -> Iterator[Match]:
    text, key = _TEXTS[table]
    more = {"processes": "pid, comm, start_time", "containers": "container_id as id"}.get(table, "time, path, sequence")
    for row in look.ask(f"""
        with named as (
          select {more}, {_OWNED}, unnest(list_distinct(regexp_extract_all(lower({text}), {_NAMES}))) as word
          from {table}
        ), words as (
          select distinct w.word, i.value, i.name from (select distinct word from named) w join indicators i
          on i.type in ('address', 'domain')
             and (w.word = i.value or (i.type = 'domain' and ends_with(w.word, '.' || i.value)))
        )
        select named.*, words.value, words.name from named join words using (word)
        qualify row_number() over (partition by words.value) <= {_MOST}
    """):
        yield _text_match(look, table, key, row)


def _text_match(look: Look, table: str, key: str | None, row: Row) -> Match:
    severity: Severity = "medium" if table == "log" else "high"
    if table == "processes":
        name, proof = f"pid {row['pid']} {short(row['comm'])} ({where(row)})", f"pid = {row['pid']}"
    elif table == "containers":
        name, proof = where(row), f"container_id = '{row['container_id']}'"
        row = look.with_init(look.by_container[row["container_id"]]) | {"value": row["value"], "name": row["name"],
                                                                        "word": row["word"]}  # fmt: skip
    else:
        name = f"a line of the log of {where(row)}"
        proof = f"contains(lower(text), '{row['word']}')"
    source = "its command line or environment" if key else "a log"
    return Match(
        severity, f"{source} has it", f"{name} has {short(row['word'])}: {_name(row)}", row, (Proof(table, proof),),
        first_seen=row.get("time"), subject=f"{table} {row['value']} {row.get('pid')} {where(row)}",
    )  # fmt: skip


def _name(row: Row) -> str:
    label = f" ({short(row['name'])})" if row.get("name") else ""
    return f"known indicator {row['value']}{label}"


DETECTION = Detection(
    kind="known-indicator",
    title="What a list of known indicators names",
    how="With `--ioc FILE` (a list, CSV or STIX 2.1): SHA-256 of files whose content is whole in memory; addresses and "
    "networks at the other end of sockets; domains (and names below them) and addresses in command lines and "
    "environments: high. The same in logs: medium, as a log may speak of what was kept away. A file's technique is "
    "T1105 (Ingress Tool Transfer).",
    technique="T1071",
    tables=("indicators", "processes"),
    more=("inodes", "sockets", "containers", "log", "pods"),
    find=_find,
    why="Others have seen it in an intrusion.",
    check_next=("where else it is: `memir findings CASE... --ioc FILE` over the other nodes", "how old the list is"),
    benign=("a hash of a program with many names (busybox, a runtime of one binary): the reason says how many have it",
            "shared hosting and CDNs: an address has many tenants", "resolvers and sensors that have lists themselves"),
    missed=("MD5 and SHA-1, which are not computed", "files of which a page is not in memory", "memory itself: "
            "`memir hunt` with a rule of the same words"),
    gaps=("socket", "inode", "log file"),
    given_by="--ioc",
    also_known=("GuardDuty: UnauthorizedAccess:EC2/MaliciousIPCaller.Custom",),
)  # fmt: skip
