# SPDX-License-Identifier: Apache-2.0
"""A layer of ATT&CK Navigator (layer format 4.5): the techniques of a case's findings, coloured by the worst severity.

https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memir.findings.finding import SEVERITIES
from memir.report.registry import CaseTables, Format, Options, findings_of

_COLORS = {"info": "#d9e8f5", "low": "#a6cee3", "medium": "#fdd49e", "high": "#fc8d59", "critical": "#b30000"}
_MOST = 20
"""Findings that a technique's comment lists."""


def parts(case: CaseTables, options: Options) -> Iterator[bytes]:
    """One JSON document, ASCII."""
    rows = findings_of(case, options)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["technique"], []).append(row)
    node = getattr(case.record, "node", None)
    version = (rows[0]["attack_version"] if rows else "18").partition(".")[0]
    layer = {
        "name": f"memir: {node or 'node not known'}",
        "versions": {"attack": version, "navigator": "5.1.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": f"{len(rows)} findings in the memory of {node or 'a node'}",
        "filters": {"platforms": ["Linux", "Containers", "IaaS"]},
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True, "expandedSubtechniques": "annotated"},
        "hideDisabled": False,
        "techniques": [_technique(name, members) for name, members in sorted(groups.items())],
        "gradient": {"colors": list(_COLORS.values()), "minValue": 0, "maxValue": len(SEVERITIES) - 1},
        "legendItems": [{"label": name, "color": color} for name, color in _COLORS.items()],
        "metadata": [{"name": "tool", "value": "memir"}],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "selectVisibleTechniques": False,
    }
    yield json.dumps(layer, indent=1).encode() + b"\n"


def _technique(number: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    worst = max((row["severity"] for row in rows), key=SEVERITIES.index)
    listed = [f"{row['severity']} {row['kind']}: {row['title']}" for row in rows[:_MOST]]
    listed += [f"and {len(rows) - _MOST} more"] if len(rows) > _MOST else []
    return {
        "techniqueID": number,
        "score": SEVERITIES.index(worst),
        "color": _COLORS[worst],
        "comment": "\n".join(listed),
        "enabled": True,
        "metadata": [{"name": "findings", "value": str(len(rows))}, {"name": "worst", "value": worst}],
        "showSubtechniques": "." in number,
    }


FORMAT = Format("navigator", "layer for ATT&CK Navigator (4.5)", parts)
