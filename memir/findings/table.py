# SPDX-License-Identifier: Apache-2.0
"""The table `findings`."""

from __future__ import annotations

from memir.tables.table import Table, columns

COLUMNS = columns("""
    id               string       stable name: the kind and 8 hex digits of what it is about
    kind             string       what it is: a word of docs/reference/findings.md
    severity         string       info, low, medium, high or critical
    reason           string       why this severity
    title            string       one line for people
    pid              int32        process that it is about
    start_time       timestamp    start of that process, UTC
    node             string       node name
    path             string       file that it is about
    technique        string       technique of MITRE ATT&CK
    technique_name   string       its name
    tactics          list<string> its tactics, as the version named has them
    attack_version   string       version of ATT&CK that technique and tactics are of
    technique_v19    string       the same technique's id in ATT&CK v19 and later
    evidence         list<proof>  rows that prove it: select * from TABLE where KEY
    first_seen       timestamp    since when, as far as memory tells, UTC
    why              string       why it matters
    check_next       list<string> what to look at next
    benign           list<string> what looks the same and is harmless
    missed           list<string> what could have been missed here: what it cannot see, and what could not be read
    also_known       list<string> names that others have for it: Falco's rules, GuardDuty's types
    source           string       where the row comes from
""")
TABLE = Table("findings", "What the tables say together: claims with their proof and their doubt.", COLUMNS, "row")
