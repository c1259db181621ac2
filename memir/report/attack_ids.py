# SPDX-License-Identifier: Apache-2.0
"""Ids and names of the tactics of MITRE ATT&CK for Enterprise, by the short names that findings have.

(c) The MITRE Corporation, https://attack.mitre.org/resources/terms-of-use/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TACTICS = {
    "reconnaissance": "TA0043", "resource-development": "TA0042", "initial-access": "TA0001", "execution": "TA0002",
    "persistence": "TA0003", "privilege-escalation": "TA0004", "defense-evasion": "TA0005",
    "credential-access": "TA0006", "discovery": "TA0007", "lateral-movement": "TA0008", "collection": "TA0009",
    "command-and-control": "TA0011", "exfiltration": "TA0010", "impact": "TA0040",
}  # fmt: skip
"""Of version 18.1, which findings name."""


def tactic_name(short: str) -> str:
    """`command-and-control` as ATT&CK writes it: `Command and Control`."""
    return " ".join(word if word == "and" else word.capitalize() for word in short.split("-"))


def technique_parts(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """(technique, sub-technique or None) of a finding: of T1059.004 both ids."""
    technique: str = row["technique"]
    return technique.partition(".")[0], technique if "." in technique else None
