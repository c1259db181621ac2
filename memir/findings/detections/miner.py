# SPDX-License-Identifier: Apache-2.0
"""A process that mines a cryptocurrency."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SURE = re.compile(
    r"stratum\d?\+(tcp|ssl|tls|udp)://|--donate-level|--nicehash|--randomx-|--cpu-max-threads-hint", re.I
)
_NAME = re.compile(
    r"\bxmrig|xmr-stak|minerd\b|cpuminer|ccminer|ethminer|nbminer|lolminer|t-rex|kinsing|kdevtmpfsi|minexmr|supportxmr"
    r"|nanopool|hashvault|moneroocean|c3pool|2miners|nicehash|unmineable|monerohash|herominers",
    re.I,
)
_READERS = re.compile(r"(grep|rg|sed|awk|vi|vim|nano|less|more|cat|tail|head|find|yara|clamscan|falco)$")
"""Programs that name what they look for."""
_KEEPERS = re.compile(r"^/(usr|bin|sbin|opt)/(.*/)?(containerd(-shim[\w-]*)?|kubelet|crio|conmon|dockerd|runc)$")
"""The node's own: their memory has the spec, the arguments and lines of the logs of every container."""
_HITS = (
    "select distinct pid, rule, hit_id from hits where pid is not null and (rule ilike '%miner%' or rule ilike '%xmr%')"
)


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        words = " ".join(row["args"] or ())
        sure = _SURE.search(words)
        name = sure or _NAME.search(" ".join((row["comm"] or "", row["exe"] or "", words)))
        if name:
            severity, reason = _judge(row, name.group(), sure is not None)
            yield _match(row, severity, reason, ())
    for hit in look.ask(_HITS) if look.has("hits") else ():
        row = look.process(hit["pid"])
        if row:
            proof = Proof("hits", f"hit_id = '{hit['hit_id']}'")
            matched = f"the rule {short(hit['rule'])} matches its memory"
            if row["container_id"] is None and _KEEPERS.match(row["exe"] or ""):
                yield _match(row, "info", f"{matched}, which has specs and logs of every container", (proof,))
            else:
                yield _match(row, "high", matched, (proof,))


def _match(row: Row, severity: Severity, reason: str, more: tuple[Proof, ...]) -> Match:
    return Match(
        severity, reason, f"pid {row['pid']} {short(row['comm'])} ({where(row)}) looks like a miner: "
        f"{short(' '.join(row['args'] or ()) or row['exe'])}",
        row, (Proof("processes", f"pid = {row['pid']}"), *more), row["exe"], subject=f"pid {row['pid']}",
    )  # fmt: skip


def _judge(row: Row, word: str, sure: bool) -> tuple[Severity, str]:
    if _READERS.search(row["exe"] or ""):
        return "info", f"it is a program that looks for words such as {word}"
    where_from = "its command line" if sure else "its name, program or command line"
    return "high" if sure else "medium", f"{where_from} has {word!r}"


DETECTION = Detection(
    kind="miner",
    title="Miner of a cryptocurrency",
    how="The command line has a mining pool's address (stratum+tcp://) or options of miners, or a hunt's rule whose "
    "name "
    "says miner matched in the process's memory: high. The name of a miner or a pool anywhere in it: medium; info "
    "where "
    "the program only looks for words, or is the node's runtime or kubelet, whose memory has every container's spec.",
    technique="T1496.001",
    tables=("processes",),
    more=("hits",),
    find=_find,
    why="It is the most common thing that intruders of clusters leave, and shows that they could run what they liked.",
    check_next=("how it came in: its parent, the exec session, the image",
                "the pool's address in connections of other pods and nodes"),
    benign=("a chain's own node software in a cluster of the trade", "security tools that name what they look for"),
    missed=("a miner whose configuration is in a file and whose name is another: hunt with rules",),
    gaps=("args", "exe"),
    also_known=("Falco: Detect crypto miners using the Stratum protocol",
                "GuardDuty: Impact:Runtime/CryptoMinerExecuted",
                "GuardDuty: CryptoCurrency:Runtime/BitcoinTool.B"),
)  # fmt: skip
