# SPDX-License-Identifier: Apache-2.0
"""Names and addresses left out of a report: each is the same pseudonym everywhere, so that what happened can be read.

What is replaced: names of namespaces, pods, containers, nodes, accounts, workloads, volumes, images and labels, as the
tables know them, wherever they stand in a text; IP and MAC addresses, host names, e-mail addresses, ARNs, account
and instance ids, by their form. Left out whole: bytes around hits, what matched, environments, claims of tokens, which
hold more names than anyone can list. What is not replaced: a name that is a word of memir's own (miner), and paths
and arguments that name someone in words of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from memir.findings.registry import detections

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = {
    "namespace": "namespace", "pod_name": "pod", "pod_uid": "pod-uid", "container_name": "container", "node": "node",
    "service_account": "account", "iam_role": "role", "image": "image", "remote_name": "name", "from_name": "name",
    "to_name": "name", "service": "name", "volume_name": "volume", "volume_pod_uid": "pod-uid", "owner": "workload",
    "workload": "workload", "object_namespace": "namespace", "object_name": "object", "by_pod": "pod",
    "by_node": "node", "user": "user", "impersonated": "user", "user_name": "user",
    "peer_name": "interface", "sandbox_id": "sandbox",
}  # fmt: skip
"""Columns that hold names, and what their pseudonyms begin with."""
_GONE = {"hits": ("data", "context"), "secrets": ("claims", "audience"), "processes": ("environ",),
         "containers": ("env",), "previews": ("text", "hex")}  # fmt: skip
"""Columns that are left out whole."""
_WORDS = frozenset({
    "kind", "severity", "technique", "technique_name", "technique_v19", "tactics", "attack_version", "state",
    "protocol", "family", "type", "source", "use", "permissions", "flags", "seen_by", "field", "witness", "judgement",
    "change", "layer", "noise", "fstype", "level", "facility", "origin", "qos", "phase", "runtime", "propagation",
    "why", "benign", "also_known", "remote_kind", "from_kind", "to_kind", "volume_kind", "seen_in", "sha256", "how",
    "doc", "table", "tags", "rule", "string", "namespace_rule", "fingerprint", "holder", "run", "hit_id",
    "container_id",
})  # fmt: skip
"""Columns and fields of memir's own words, in which a name that is also such a word stays."""
_KEPT = frozenset({
    "default", "kube-system", "kube-public", "kube-node-lease", "the node", "node", "true", "false", "none", "sandbox",
    "process", "kernel", "pause", "system:anonymous", "system:unauthenticated", "system:masters", "system:apiserver",
    "system:kube-scheduler", "system:kube-controller-manager",
})  # fmt: skip
"""Names that name nobody: Kubernetes' own, and memir's words."""
_COMMON = frozenset({
    "clusterroles", "roles", "clusterrolebindings", "rolebindings", "apiservices", "priorityclasses", "flowschemas",
    "prioritylevelconfigurations", "customresourcedefinitions",
})  # fmt: skip
"""Resources whose names are Kubernetes' own (view, edit, admin): replaced, they would take words out of sentences."""
_OWN_PARTS = ("methods", "clean", "unable", "licenses", "tables")
"""Parts of the page's head that are memir's own, but for the runs' paths."""
_FORMS = (
    ("arn", r"arn:aws[a-z-]*:[^\s\"',;)]+"),
    ("email", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("mac", r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])"),
    ("ip", r"(?<![0-9.])(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?![0-9.]*[0-9])"),
    (
        "ip",
        r"(?<![0-9A-Za-z:.])(?!::1?(?![0-9a-f:]))(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|"
        r"(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?)(?![0-9A-Za-z:.])",
    ),
    ("host", r"(?<![0-9A-Za-z-])ip-\d{1,3}(?:-\d{1,3}){3}(?:\.[a-z0-9-]+)*"),
    ("host", r"(?<=://)[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?"),
    ("host", r"(?<![0-9A-Za-z.-])(?:[0-9A-Za-z-]+\.)+(?:com|net|org|io|dev|internal|local|example|cloud|aws|xyz|ru|cn)"
             r"(?![0-9A-Za-z.-]*[0-9A-Za-z])"),
    ("instance", r"(?<![0-9A-Za-z-])i-[0-9a-f]{8,17}(?![0-9A-Za-z])"),
    ("account-id", r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])"),
)  # fmt: skip
"""What is known by its form: name of its pseudonyms and pattern."""


class Pseudonyms:
    """Replaces names in text. The same name has the same pseudonym in every table and sentence."""

    def __init__(self, tables: Mapping[str, pa.Table], record: Mapping[str, Any]) -> None:
        """Take the names from the tables and from case.json."""
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._done: dict[str, str] = {}
        for name, prefix in self._names(tables, record):
            for part in re.split(r"[/,]", name) if prefix in ("name", "workload") else [name]:
                self._add(part, prefix)
        self._forms = re.compile("|".join(f"(?P<f{number}>{form})" for number, (_, form) in enumerate(_FORMS)))
        words = sorted(self._known, key=len, reverse=True)
        inner = "|".join(map(re.escape, words)) or "(?!)"
        self._words = re.compile(rf"(?<![0-9A-Za-z])(?:{inner})(?![0-9A-Za-z])", re.IGNORECASE)

    def text(self, text: str) -> str:
        """A text without the names."""
        done = self._done.get(text)
        if done is None:
            done = self._words.sub(lambda match: self._known[match.group().lower()], text)
            done = self._forms.sub(self._form, done)
            self._done[text] = done
        return done

    def document(self, value: Any, key: str = "") -> Any:
        """A JSON document without the names."""
        if isinstance(value, str):
            return value if key in _WORDS or key in _OWN_PARTS else self.text(value)
        if isinstance(value, Mapping):
            return {name: self.document(inner, name) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.document(inner, key) for inner in value]
        return value

    def head(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """The page's head without the names."""
        done = {name: value if name in _OWN_PARTS else self.document(value, name) for name, value in head.items()}
        methods = head["methods"]
        return {**done, "methods": {**methods, "runs": self.document(methods["runs"])}, "redacted": True}

    def table(self, name: str, table: pa.Table) -> pa.Table:
        """A table without the names."""
        import pyarrow as pa

        for place, field in enumerate(table.schema):
            column = table.column(place)
            if field.name in _GONE.get(name, ()):
                column = pa.nulls(table.num_rows, field.type)
            elif field.name not in _WORDS:
                column = self._column(column, field.type)
            table = table.set_column(place, field, column)
        return table

    def _column(self, column: Any, kind: pa.DataType) -> Any:
        import pyarrow as pa

        if pa.types.is_string(kind):
            coded = column.combine_chunks().dictionary_encode()
            values = [self.text(value) if value is not None else None for value in coded.dictionary.to_pylist()]
            return pa.DictionaryArray.from_arrays(coded.indices, pa.array(values, pa.string())).cast(pa.string())
        if pa.types.is_list(kind):
            return pa.array([self.document(value) for value in column.to_pylist()], kind)
        return column

    def _form(self, match: re.Match[str]) -> str:
        return self._add(match.group(), _FORMS[int((match.lastgroup or "f0")[1:])][0])

    def _add(self, name: str, prefix: str) -> str:
        word = name.lower()
        if len(word) < 2 or word in _KEPT or word in detections():
            return name
        if word not in self._known:
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self._known[word] = f"{prefix}-{self._counts[prefix]}"
        return self._known[word]

    @staticmethod
    def _names(tables: Mapping[str, pa.Table], record: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        if record.get("node"):
            yield record["node"], "node"
        for name, table in sorted(tables.items()):
            for column, prefix in _NAMES.items():
                if column in table.column_names and not (name == "hits" and column in ("owner", "image")):
                    for value in _objects(table) if column == "object_name" else table[column].unique().to_pylist():
                        if isinstance(value, str) and value:
                            yield value, prefix
            if "labels" in table.column_names:
                for labels in table["labels"].to_pylist():
                    for label in labels or ():
                        yield label.partition("=")[2], "label"


def _objects(table: pa.Table) -> list[str | None]:
    """Names of objects that requests were about, those left out that every cluster has."""
    names: list[str | None] = table["object_name"].to_pylist()
    if "resource" not in table.column_names:
        return list(dict.fromkeys(names))
    pairs = zip(names, table["resource"].to_pylist(), strict=True)
    return list(dict.fromkeys(name for name, resource in pairs if resource not in _COMMON))
