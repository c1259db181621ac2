# SPDX-License-Identifier: Apache-2.0
"""`--redact`: no name or address of the node is in the decoded bytes, and what was one thing is one thing still."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import memir
from memir.report.html.document import html_parts
from memir.report.html.redact import _WORDS, Pseudonyms


def decoded(page: str) -> tuple[Any, dict[str, pa.Table]]:
    match = re.search(r'id="head">([^<]*)</script>', page)
    assert match is not None
    blocks = re.findall(r'apache\.parquet" id="table-([^"]+)">([^<]*)</script>', page)
    tables = {name: pq.read_table(io.BytesIO(base64.b64decode(data))) for name, data in blocks}
    return json.loads(match.group(1)), tables


def strings(value: Any, key: str = "") -> Iterator[str]:
    """Every text of a document, those fields left out that hold memir's own words."""
    if isinstance(value, str) and key not in _WORDS:
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from strings(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, key)


@pytest.fixture(scope="module")
def redacted(intruded: Path, golden: Path) -> str:
    said = pa.table({"row": pa.array([0], pa.int32()), "text": ["of miner-0 in dev"], "hex": [b"miner-0".hex()]})
    case, other = memir.Case(intruded), memir.Case(golden)
    return b"".join(html_parts(case, redact=True, previews=said, other=other)).decode()


def test_no_name_and_no_address_is_left(intruded: Path, redacted: str) -> None:
    case = memir.Case(intruded)
    names = {value for table, column in (
        ("pods", "pod_name"), ("pods", "pod_uid"), ("pods", "namespace"), ("pods", "service_account"),
        ("containers", "container_name"), ("containers", "image"), ("pods", "iam_role"), ("pod_ips", "address"),
        ("api_pods", "pod_name"), ("api_pods", "node"),
    ) for value in case[table][column].to_pylist() if value}  # fmt: skip
    assert case.record is not None and case.record.node is not None
    names |= {case.record.node, case.record.node.partition(".")[0]}
    names -= {"default", "kube-system", "sandbox", "miner"}  # words of Kubernetes and of memir
    assert {"miner-0", "dev"} <= names and len(names) > 15
    names |= {"ledger-9", "bank", b"miner-0".hex()}  # of the case beside it, and of content of files
    head, tables = decoded(redacted)
    own = ("methods", "clean", "unable", "licenses", "tables")
    parts = list(strings({name: value for name, value in head.items() if name not in own}))
    parts += strings(head["methods"]["runs"])
    for table in tables.values():
        parts += [text for column in table.column_names for text in strings(table[column].to_pylist(), column)]
    everything = "\n".join(parts)
    for name in names:
        left = re.search(rf"(?<![0-9A-Za-z]){re.escape(name)}(?![0-9A-Za-z])", everything, re.IGNORECASE)
        around = everything[max(0, left.start() - 80) : left.end() + 40] if left else ""
        assert left is None, f"{name}: {around}"
    addresses = set(re.findall(r"(?<![0-9.])(?:10|172|192)(?:\.\d{1,3}){3}(?![0-9.])", everything))
    assert addresses == set()


def test_what_was_one_is_one(intruded: Path, redacted: str) -> None:
    case = memir.Case(intruded)
    head, tables = decoded(redacted)
    assert head["redacted"] is True
    for column in ("pod_name", "namespace", "container_name"):
        before, after = case["processes"][column].to_pylist(), tables["processes"][column].to_pylist()
        pairs = set(zip(before, after, strict=True))
        assert len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})
    gone = [row for row in tables["differences"].to_pylist() if row["kind"] == "pods" and row["state"] == "gone"]
    assert head["diff"]["other"] == "another case" and len(gone) == 1
    assert gone[0]["workload"].startswith("workload-") and gone[0]["namespace"].startswith("namespace-")
    assert tables["previews"].column_names == ["row"]
    assert len(head["findings"]) == case["findings"].num_rows
    assert all(proof["rows"] for finding in head["findings"] for proof in finding["evidence"])
    assert "data" not in tables["hits"].column_names and "environ" not in tables["processes"].column_names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET http://10.1.2.3:80/ from web", "GET http://ip-1:80/ from container-1"),
        ("WEB_SERVICE_HOST=10.1.2.3", "container-1_SERVICE_HOST=ip-1"),
        ("webhook and cobweb stay", "webhook and cobweb stay"),
        ("at 22:27:43 of 127.0.0.1", "at 22:27:43 of 127.0.0.1"),
        ("fe80::1ff:fe23:4567:890a and ::ffff:10.9.9.9 and ::1", "ip-1 and ::ffff:ip-2 and ::1"),
        ("02:42:ac:11:00:02", "mac-1"),
        ("arn:aws:iam::111122223333:role/x of 111122223333", "arn-1 of account-id-1"),
        ("mail a.b@corp.example, i-0abc1234def567890", "mail email-1, instance-1"),
        ("ip-10-0-1-23.ec2.internal ip-10-0-1-23.ec2.internal", "host-1 host-1"),
        ("stratum+tcp://pool.minexmr.example:4444 evil.xyz libc.so.6", "stratum+tcp://host-1:4444 host-2 libc.so.6"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    pseudonyms = Pseudonyms({"processes": pa.table({"container_name": ["web", None]})}, {"node": None})
    assert pseudonyms.text(text) == expected
    assert pseudonyms.text(text) == expected


def test_users_and_objects_of_requests() -> None:
    audit = pa.table({
        "user": ["alice", "system:anonymous"], "object_name": ["payroll", "view"], "by_node": ["worker-7", None],
        "resource": ["secrets", "clusterroles"],
    })  # fmt: skip
    pseudonyms = Pseudonyms({"audit": audit}, {"node": None})
    assert pseudonyms.text("Alice and system:anonymous get payroll on worker-7: a view") == (
        "user-1 and system:anonymous get object-1 on node-1: a view"
    )
