# SPDX-License-Identifier: Apache-2.0
"""A hunt through the sample's checkpoint: what only a process's own memory holds, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.checkpoint.source import CheckpointSource
from memir.errors import UsageError
from memir.hunt.checkpoint import hunt_checkpoint, units_of
from memir.hunt.hunt import Options
from memir.hunt.rules import load_rules
from memir.hunt.wanted import Wanted
from tests.checkpoint.sample import archive, members, of_pid

MARKER = 'rule marker { strings: $a = "MEMIR-MARKER-42-IN-HEAP" condition: $a }'


def rules(tmp_path: Path, text: str = MARKER):  # type: ignore[no-untyped-def]  # a RuleSet
    path = tmp_path / "a.yar"
    path.write_text(text)
    return load_rules([path])


def test_a_variable_of_a_shell_is_found_in_its_heap(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    source = CheckpointSource(archive())
    hunt = hunt_checkpoint(source, rules(tmp_path), Options(workers=1), progress=lambda _, a, b: steps.append((a, b)))
    rows = [row for row in hunt.rows if row["pid"] == 8]
    assert [(row["rule"], row["pod_name"], row["container_name"], row["namespace"]) for row in rows] == [
        ("marker", "web-7d9f", "web", "shop")
    ] * len(rows)
    heap = next(line for line in of_pid(8)["maps"] if line.endswith("[heap]"))
    start, end = (int(part, 16) for part in heap.split()[0].split("-"))
    assert rows
    assert all(start <= row["vaddr"] < end for row in rows)
    row = rows[0]
    pages = b"".join(members()[name] for name in sorted(members()) if "/pages-" in name)
    assert pages[row["paddr"] : row["paddr"] + row["length"]] == b"MEMIR-MARKER-42-IN-HEAP"
    total = sum(len(data) for name, data in members().items() if "/pages-" in name)
    assert hunt.scanned["process"] == total
    assert steps[-1] == (total, total)
    assert not hunt.stopped


def test_only_what_is_wanted_and_only_processes(tmp_path: Path) -> None:
    source = CheckpointSource(archive())
    none = hunt_checkpoint(source, rules(tmp_path), Options(wanted=Wanted(pids=frozenset({6})), workers=1))
    assert none.rows == []
    assert none.units["process"] == len(units_of(source, source.tree.processes[1]))
    other = hunt_checkpoint(source, rules(tmp_path), Options(wanted=Wanted(pods=frozenset({"db"})), workers=1))
    assert other.units["process"] == 0
    with pytest.raises(UsageError, match="memory of processes alone"):
        hunt_checkpoint(source, rules(tmp_path), Options(kinds=frozenset({"kernel"}), workers=1))


def test_a_secret_is_masked_until_it_is_asked_for(tmp_path: Path) -> None:
    text = (
        'rule password : secret { meta: secret = "PASSWORD=([a-z-]+)" '
        "strings: $a = /PASSWORD=[a-z-]{8,}/ condition: $a }"
    )
    source = CheckpointSource(archive())
    hunt = hunt_checkpoint(source, rules(tmp_path, text), Options(workers=1))
    assert len(hunt.rows) >= 8
    assert {row["pid"] for row in hunt.rows} == {1, 6, 7, 8, 11, 12, 13, 15}
    assert not any("correct-horse" in row["data"] + row["context"] for row in hunt.rows)
    assert {secret.value for secret in hunt.secrets.values()} == {"correct-horse-battery"}
    shown = hunt_checkpoint(source, rules(tmp_path, text), Options(workers=1, show_secrets=True))
    assert all("correct-horse-battery" in row["data"] for row in shown.rows)
    assert not any("correct-horse" in row["data"] for row in shown.masked)


def test_a_whole_process_and_variables_of_rules(tmp_path: Path) -> None:
    text = (
        'rule both { strings: $a = "MEMIR-MARKER-42-IN-HEAP" $b = "HOSTNAME=web-7d9f" '
        'condition: $a and $b and filename == "busybox" and owner == "root" }'
    )
    source = CheckpointSource(archive())
    apart = hunt_checkpoint(source, rules(tmp_path, text), Options(workers=1))
    whole = hunt_checkpoint(source, rules(tmp_path, text), Options(workers=1, scope="process"))
    assert {row["pid"] for row in whole.rows} >= {8}
    assert {row["string"] for row in whole.rows} == {"$a", "$b"}
    assert len(apart.rows) <= len(whole.rows)
    units = units_of(source, source.tree.processes[3])
    assert units[0].variables == {"filename": "busybox", "filepath": "/bin", "extension": "", "owner": ""}
    assert units[-1].variables == {"filename": "busybox", "filepath": "/bin", "extension": "", "owner": "root"}
