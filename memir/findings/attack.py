# SPDX-License-Identifier: Apache-2.0
"""The techniques of MITRE ATT&CK that findings name: id, name and tactics of version 18.1, and the id since v19.

ATT&CK v19 (April 2026) retired the tactic Defense Evasion and gave some techniques other ids; what is stored is the
version named, so that it can be looked up there. (c) The MITRE Corporation, https://attack.mitre.org/resources/terms-of-use/
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "18.1"
_V19 = {
    "T1562": "T1685", "T1562.001": "T1685", "T1562.006": "T1685", "T1562.002": "T1685.001", "T1562.008": "T1685.002",
    "T1562.012": "T1685.004", "T1070.001": "T1685.005", "T1070.002": "T1685.006", "T1562.004": "T1686",
    "T1562.007": "T1686.001", "T1562.010": "T1689", "T1562.003": "T1690",
}  # fmt: skip
_TECHNIQUES = """
    T1014      Rootkit | defense-evasion
    T1036.005  Match Legitimate Resource Name or Location | defense-evasion
    T1055      Process Injection | defense-evasion privilege-escalation
    T1055.008  Ptrace System Calls | defense-evasion privilege-escalation
    T1059      Command and Scripting Interpreter | execution
    T1059.004  Unix Shell | execution
    T1071      Application Layer Protocol | command-and-control
    T1070.002  Clear Linux or Mac System Logs | defense-evasion
    T1070.004  File Deletion | defense-evasion
    T1078.004  Cloud Accounts | defense-evasion persistence privilege-escalation initial-access
    T1105      Ingress Tool Transfer | command-and-control
    T1204.003  Malicious Image | execution
    T1496.001  Compute Hijacking | impact
    T1046      Network Service Discovery | discovery
    T1525      Implant Internal Image | persistence
    T1528      Steal Application Access Token | credential-access
    T1543      Create or Modify System Process | persistence privilege-escalation
    T1552      Unsecured Credentials | credential-access
    T1552.001  Credentials In Files | credential-access
    T1552.005  Cloud Instance Metadata API | credential-access
    T1562.003  Impair Command History Logging | defense-evasion
    T1564      Hide Artifacts | defense-evasion
    T1571      Non-Standard Port | command-and-control
    T1574.006  Dynamic Linker Hijacking | persistence privilege-escalation defense-evasion
    T1609      Container Administration Command | execution
    T1610      Deploy Container | defense-evasion execution
    T1611      Escape to Host | privilege-escalation
    T1620      Reflective Code Loading | defense-evasion
"""


@dataclass(frozen=True, slots=True)
class Technique:
    """id, name and tactics (ATT&CK's short names) of VERSION. v19: its id in v19 and later."""

    id: str
    name: str
    tactics: tuple[str, ...]
    v19: str


def techniques() -> dict[str, Technique]:
    """Every technique that findings name, by id."""
    known = {}
    for line in _TECHNIQUES.strip().splitlines():
        head, _, tactics = line.partition("|")
        number, name = head.split(None, 1)
        known[number] = Technique(number, name.strip(), tuple(tactics.split()), _V19.get(number, number))
    return known


def technique(number: str) -> Technique:
    """A technique by its id. KeyError for one that no finding names yet: add it to the table here."""
    return techniques()[number]
