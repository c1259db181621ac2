# SPDX-License-Identifier: Apache-2.0
"""The bill of materials names memir and all that an installation brings, at the tested versions, and nothing of now."""

from __future__ import annotations

import json
import tomllib

from packaging.requirements import Requirement

from memir import __version__
from release.sbom import closure, component, needs, normal, sbom
from tests.images import ROOT

TESTED = {
    normal(line.split("==")[0]): line.split("==")[1]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line
}


def test_names_are_compared_as_pypi_does() -> None:
    assert normal("Foo_Bar.baz") == "foo-bar-baz"


def test_what_is_needed_has_no_extras() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(needs("memir")) == {normal(Requirement(line).name) for line in wanted}
    assert "pytest" not in closure("memir") and "botocore" in closure("memir")


def test_a_component_has_its_licence() -> None:
    numpy = component("numpy")
    assert numpy["purl"] == f"pkg:pypi/numpy@{numpy['version']}"
    assert "BSD" in json.dumps(numpy["licenses"])


def test_the_document() -> None:
    text = sbom(1_700_000_000, "memir.whl", "ab" * 32)
    assert text == sbom(1_700_000_000, "memir.whl", "ab" * 32)
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    main = document["metadata"]["component"]
    assert (main["name"], main["version"], main["hashes"]) == (
        "memir", __version__, [{"alg": "SHA-256", "content": "ab" * 32}],
    )  # fmt: skip
    versions = {part["name"]: part["version"] for part in document["components"]}
    assert {"numpy", "volatility3", "botocore", "cffi"} <= set(versions)
    assert {name: version for name, version in versions.items() if TESTED.get(name, version) != version} == {}
    references = {main["bom-ref"], *(part["bom-ref"] for part in document["components"])}
    assert {each["ref"] for each in document["dependencies"]} == references
    assert {below for each in document["dependencies"] for below in each["dependsOn"]} <= references
