# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""YARA over all of the node's memory, every hit with its process, file, container and pod."""

from __future__ import annotations

import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from memir.errors import UsageError
from memir.hunt.hits import TABLE
from memir.hunt.hunt import Options, hunt, parse_kinds
from memir.hunt.rules import RuleSet, load_rules
from memir.hunt.wanted import Wanted
from memir.volatility.engine import node_of
from memir.volatility.grid import grid
from memir.volatility.table_plugin import kernel_requirement

COLUMNS = (
    "paddr",
    "vaddr",
    "rule",
    "string",
    "owner",
    "pid",
    "pod_name",
    "namespace",
    "container_name",
    "container_id",
    "path",
    "deleted",
    "length",
    "data",
    "hit_id",
    "source",
)


class PodYara(interfaces.plugins.PluginInterface):  # type: ignore[misc]  # volatility3 has no types
    """YARA over all of the node's memory, every hit with its process, file, container and pod."""

    _required_framework_version = (2, 0, 0)
    _version = (1, 0, 0)

    @classmethod
    def get_requirements(cls) -> list[Any]:
        """Rules as vmayarascan takes them, and what to look through."""
        text, many = requirements.StringRequirement, requirements.ListRequirement
        return [
            kernel_requirement(),
            text(name="yara_string", description="A string to look for", optional=True),
            requirements.URIRequirement(name="yara_file", description="Rules, or a folder of them", optional=True),
            requirements.URIRequirement(name="yara_compiled_file", description="Compiled rules", optional=True),
            many(name="pid", element_type=int, description="Only these processes", optional=True),
            many(name="pod", element_type=str, description="Only these pods, by name or UID", optional=True),
            many(name="namespace", element_type=str, description="Only these namespaces", optional=True),
            text(name="kinds", description="Of process,files,kernel,free,unknown", optional=True),
            requirements.ChoiceRequirement(
                name="scope",
                choices=["region", "process"],
                default="region",
                description="Whether a condition is judged in each region or over all of a process's",
                optional=True,
            ),
            requirements.IntRequirement(
                name="rule_timeout", default=60, description="Seconds a unit may take", optional=True
            ),
        ]

    def run(self) -> Any:
        """One row a hit and owner."""
        rules = self._rules()
        wanted = Wanted(
            pods=frozenset(self.config.get("pod") or ()),
            namespaces=frozenset(self.config.get("namespace") or ()),
            pids=frozenset(self.config.get("pid") or ()),
        )
        options = Options(
            kinds=parse_kinds(self.config.get("kinds")),
            wanted=wanted,
            scope=self.config.get("scope") or "region",
            timeout=self.config.get("rule_timeout") or 60,
        )
        node = node_of(self.context, self.config["kernel"])
        return grid(TABLE, TABLE.rows(hunt(node.kernel, rules, options, node=node).rows), COLUMNS)

    def _rules(self) -> RuleSet:
        """The rules of all options together."""
        paths = [_path(self.config[name]) for name in ("yara_file", "yara_compiled_file") if self.config.get(name)]
        text = self.config.get("yara_string")
        if not text:
            if not paths:
                raise UsageError("no rules: give --yara-file, --yara-compiled-file or --yara-string")
            return load_rules(paths)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / "yara-string.yar"
            own.write_text(f'rule text {{ strings: $a = "{escaped}" condition: $a }}\n', encoding="utf-8")
            return load_rules([*paths, own])


def _path(uri: str) -> Path:
    """volatility3 makes a file:// address of every path."""
    parts = urllib.parse.urlparse(uri)
    if parts.scheme not in ("", "file"):
        raise UsageError(f"{uri}: rules must be files on this machine")
    return Path(urllib.request.url2pathname(parts.path) if parts.scheme else uri)
