# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of a release: CycloneDX 1.6, memir and what an installation brings, at the tested versions.

https://cyclonedx.org/docs/1.6/json/. It is made from what is installed (constraints.txt), by the names that each
package's own metadata asks for; extras are left out. Nothing in it depends on when or where it was made.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from packaging.requirements import Requirement


def normal(name: str) -> str:
    """A project's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needs(name: str) -> Iterator[str]:
    """Projects that one asks for here, without extras."""
    for line in importlib.metadata.requires(name) or []:
        asked = Requirement(line)
        if asked.marker is None or asked.marker.evaluate({"extra": ""}):
            yield normal(asked.name)


def closure(name: str) -> dict[str, list[str]]:
    """Every project that an installation brings, with what each asks for."""
    found: dict[str, list[str]] = {}
    waiting = [normal(name)]
    while waiting:
        this = waiting.pop()
        if this not in found:
            found[this] = sorted(set(needs(this)))
            waiting += found[this]
    return dict(sorted(found.items()))


def component(name: str) -> dict[str, Any]:
    """One library: name, version, purl, licence as its metadata says it."""
    about = importlib.metadata.metadata(name)
    version = importlib.metadata.version(name)
    reference = f"pkg:pypi/{name}@{version}"
    answer: dict[str, Any] = {"type": "library", "bom-ref": reference, "name": name, "version": version}
    answer["purl"] = reference
    expression = next(iter(about.get_all("License-Expression") or []), None)
    named = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    plain = [line for line in about.get_all("License") or [] if "\n" not in line and 0 < len(line) < 60]
    if expression:
        answer["licenses"] = [{"expression": expression}]
    elif named or plain:
        answer["licenses"] = [{"license": {"name": each}} for each in sorted(set(named or plain))]
    return answer


def sbom(date: int, wheel: str, sha256: str) -> str:
    """The document as JSON text. date: seconds since 1970. wheel, sha256: the file that it describes."""
    found = closure("memir")
    parts = {name: component(name) for name in found}
    main = {**parts.pop("memir"), "type": "application", "hashes": [{"alg": "SHA-256", "content": sha256}]}
    main["description"] = wheel
    references = {name: component(name)["bom-ref"] for name in found}
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sha256:{sha256}')}",
        "metadata": {"timestamp": datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "component": main},
        "components": list(parts.values()),
        "dependencies": [
            {"ref": references[name], "dependsOn": sorted(references[each] for each in below)}
            for name, below in found.items()
        ],
    }  # fmt: skip
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
