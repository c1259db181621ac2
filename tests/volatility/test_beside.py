# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""volatility3 on a node that the library opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import memir
from memir.errors import UsageError
from memir.volatility.beside import _masked, options_of, plugin_list, plugin_tables, run_on
from tests.images import cache, case


@pytest.fixture(scope="module")
def node() -> Iterator[memir.Node]:
    with memir.open(case("s-6.1-small").image, cache=cache()) as opened:
        yield opened


def test_run_on(node: memir.Node, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    result = run_on(
        node.source, node.anchors, "linux.elfs", ["--pid", "150", "--dump"], output=tmp_path / "new" / "folder",
        progress=lambda what, done, total: told.append((what, done, total)),
    )  # fmt: skip
    row = result.dicts()[0]
    assert (row["PID"], row["pod_name"], row["container_name"]) == (150, "web-7d4b9c6f5-abcde", "web")
    assert {path.parent for path in result.files} == {tmp_path / "new" / "folder"}
    assert {total for _, _, total in told} <= {10_000}
    with pytest.raises(UsageError, match="--dump writes files: say where, with -o FOLDER"):
        run_on(node.source, node.anchors, "linux.pslist", ["--dump"])


def test_plugin_tables(node: memir.Node) -> None:
    tables = plugin_tables(node.source, node.anchors, ["linux.pslist", "linux.boottime"])
    assert set(tables) == {"plugin_pslist", "plugin_boottime"}
    assert tables["plugin_pslist"].num_rows == len(node["processes"])


def test_plugin_list() -> None:
    plugins = dict(plugin_list())
    assert plugins["linux.pods.Pods"].endswith(".")
    assert "linux.pslist.PsList" in plugins
    assert not any(name.startswith(("windows.", "mac.")) for name in plugins)


def test_options_of() -> None:
    assert "--pid" in options_of("linux.pslist")
    with pytest.raises(UsageError, match=r"do you mean linux\.pslist\.PsList"):
        options_of("linux.pslst")


def test_secrets_of_plugins_rows_are_masked(node: memir.Node) -> None:
    """In a case a plugin's table shows no more than memir's own."""
    tables = plugin_tables(node.source, node.anchors, ["linux.envars"])
    rows = tables["plugin_envars"].to_pylist()
    own = {(row["pid"], text) for row in node["processes"].to_arrow().to_pylist() for text in row["environ"] or ()}
    assert {(row["PID"], f"{row['KEY']}={row['VALUE']}") for row in rows} <= own
    token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJ4eHh4eHh4eHh4eHgifQ.c2lnbmF0dXJlc2lnbmF0dXJl"
    row = {"PID": 1, "KEY": "DB_PASSWORD", "VALUE": "correct horse", "ARGS": f"curl --password hunter22 {token}"}
    masked = str(_masked(row, node.source.secrets))
    assert not any(secret in masked for secret in ("correct horse", "hunter22", token))
    assert _masked({"PID": 1, "KEY": "PATH", "VALUE": "/bin", "COMM": "sh"}, node.source.secrets) == {
        "PID": 1, "KEY": "PATH", "VALUE": "/bin", "COMM": "sh",
    }  # fmt: skip
