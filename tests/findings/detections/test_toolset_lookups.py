# SPDX-License-Identifier: Apache-2.0
"""Tools that were looked for in a container."""

from __future__ import annotations

import pyarrow as pa

from memir.tables.lookups import TABLE
from tests.findings.real import INTRUDED, NODE, SMALL, given, kind, node, on_the_node

KIND = "toolset-lookups"


def lookups(*paths: str, named: bool = True) -> pa.Table:
    """Names that were looked for in the api container."""
    (api,) = (row for row in node(INTRUDED)[0]["containers"].to_pylist() if row["container_name"] == "api")
    owner = {name: api[name] for name in ("container_id", "container_name", "pod_uid", "pod_name", "namespace")}
    rows = [{"path": path, "container_path": path, **(owner if named else {})} for path in paths]
    return TABLE.rows(rows).to_arrow()


def test_three_tools() -> None:
    paths = ("/usr/bin/curl", "/bin/curl", "/usr/local/bin/wget", "/sbin/nmap", "/usr/bin/python3")
    (row,) = given(INTRUDED, KIND, lookups=lookups(*paths))
    assert (row["severity"], row["pod_name"], row["container_name"]) == ("medium", "api-58f6c9d7b4-q8xkz", "api")
    assert row["title"] == (
        "shop/api-58f6c9d7b4-q8xkz/api: curl, nmap, wget were looked for in the folders of programs, and are not there"
    )


def test_not_there() -> None:
    assert kind(INTRUDED, KIND) == kind(SMALL, KIND) == []
    two = ("/usr/bin/curl", "/bin/curl", "/usr/local/bin/wget")
    elsewhere = ("/data/curl", "/data/wget", "/data/nmap")
    assert given(INTRUDED, KIND, lookups=lookups(*two)) == given(INTRUDED, KIND, lookups=lookups(*elsewhere)) == []
    assert given(INTRUDED, KIND, lookups=lookups("/bin/curl", "/bin/wget", "/bin/nmap", named=False)) == []


@on_the_node
def test_shells_of_the_lab_looked_for_no_tools() -> None:
    assert kind(NODE, KIND) == []
