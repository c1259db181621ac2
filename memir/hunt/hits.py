# SPDX-License-Identifier: Apache-2.0
"""The table `hits`: what YARA rules matched, a row a physical hit and owner."""

from __future__ import annotations

from memir.tables.table import Table, columns

UNPLACED = "place of the process not known"
"""What ends `source` of a hit in a process that nothing could place: neither a pod's nor the node's own."""
COLUMNS = columns("""
    hit_id           string       one id a physical hit; one row a hit and owner
    rule             string       YARA rule
    namespace_rule   string       YARA namespace of the rule (the file it came from)
    tags             list<string> tags of the rule
    meta             list<string> `key=value` of the rule's metadata
    string           string       identifier of the string that matched, with its $
    paddr            uint64       physical address of the first byte; null in a page that was swapped out
    length           int64        bytes matched; 0 for a rule whose condition asks for no string
    vaddr            uint64       virtual address in the owner, if it has one
    pid              int32        owner process
    owner            string       process, file cache, kernel, free or unknown
    path             string       path of the file that owns the page
    deleted          bool         that file has been unlinked
    data             string       matched bytes, printable ASCII kept, others as \\xNN, bounded
    context          string       hexdump around the hit
    run              string       which hunt: hash of the rules' sources, externals and options
    node             string       name of the node
    image            string       image that the hit lies in
    source           string       where the row comes from; ends with `place of the process not known` for such a one
""")
TABLE = Table("hits", "Matches of YARA rules, with a row for each owner.", COLUMNS, "row", volatility="linux.podyara")
