# SPDX-License-Identifier: Apache-2.0
"""Plans as files: there and back, the schema in the docs, what is refused, hostile input."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from memir.errors import PlanError
from memir.respond.plan import MAX_PLAN, Permission, change_digest, parse_plan, plan_schema, plan_text, read_plan
from memir.respond.steps.acquire import TO_S3
from tests.images import ROOT
from tests.respond import shop

SCHEMA = ROOT / "docs" / "schemas" / "plan.schema.json"


def text(tmp_path: Path) -> str:
    return plan_text(shop.plan(tmp_path / "cluster"))


def test_there_and_back(tmp_path: Path) -> None:
    made = shop.plan(tmp_path / "cluster")
    path = tmp_path / "plan.yaml"
    path.write_text(plan_text(made))
    plan, digest = read_plan(path)
    assert plan == made
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_schema_in_the_docs_is_made_from_the_record_and_holds(tmp_path: Path) -> None:
    assert json.loads(SCHEMA.read_text()) == plan_schema()
    document = yaml.safe_load(text(tmp_path))
    jsonschema.validate(document, plan_schema())
    del document["steps"][0]["why"]
    with pytest.raises(jsonschema.ValidationError, match="'why' is a required property"):
        jsonschema.validate(document, plan_schema())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "p: field schema is 2, where 1 is expected"),
        ({"order": "mine"}, 'p: field order is \'mine\', where "memory-first" or "aws" is expected'),
        ({"steps": {}}, "p: field steps is an object, where a list is expected"),
        ({"pods": [{"name": 1}]}, "p: field pods[0].namespace is missing"),
    ],
)
def test_the_field_that_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    document = yaml.safe_load(text(tmp_path)) | change
    with pytest.raises(PlanError) as caught:
        parse_plan(yaml.safe_dump(document).encode(), "p")
    assert str(caught.value) == words


def test_what_is_no_plan(tmp_path: Path) -> None:
    whole = text(tmp_path)
    for data, words in (
        (b"\xff", "p: not UTF-8 at byte 0"),
        (b"", "p: 0 YAML documents, where a plan is one"),
        ((whole + "---\n" + whole).encode(), "p: 2 YAML documents, where a plan is one"),
        (b"a: &a [1]\nb: *a\n", "p: YAML with aliases"),
        (b"!!python/object:os.system x", "p: not YAML"),
    ):
        with pytest.raises(PlanError) as caught:
            parse_plan(data, "p")
        assert str(caught.value).startswith(words)
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        read_plan(tmp_path / "none")
    (tmp_path / "large").write_bytes(b" " * (MAX_PLAN + 1))
    with pytest.raises(PlanError, match="longer than 16 MiB"):
        read_plan(tmp_path / "large")


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    made = shop.plan(tmp_path / "cluster")
    double = dataclasses.replace(made, steps=(*made.steps, made.steps[0]))
    with pytest.raises(PlanError, match=f"two steps are named '{made.steps[0].id}'"):
        parse_plan(plan_text(double).encode(), "p")
    renamed = dataclasses.replace(made.steps[0], id="other")
    double = dataclasses.replace(made, steps=(*made.steps, renamed))
    with pytest.raises(PlanError, match=f"two changes are named '{made.steps[0].changes[0].id}'"):
        parse_plan(plan_text(double).encode(), "p")


def test_hostile_plans_raise_what_is_ours(tmp_path: Path) -> None:
    """A byte changed, cut or doubled anywhere: a plan or a PlanError."""
    data = text(tmp_path).encode()
    randomness, survived = random.Random(7), 0
    for _ in range(400 if os.environ.get("CI") else 25):
        start = randomness.randrange(len(data))
        broken = data[:start] + randomness.choice([b"", b"\0", b"- [", b": {", b"&a *a", bytes([data[start]]) * 9])
        broken += data[start + randomness.choice([0, 1, 500]) :]
        try:
            parse_plan(broken, "p")
            survived += 1
        except PlanError as error:
            assert str(error).startswith("p: ")
    assert survived < 400


def test_permissions_in_words() -> None:
    assert Permission("kubernetes", "patch", "pods", namespace="shop").words() == "patch pods in shop"
    named = Permission("kubernetes", "get", "jobs", "batch", "shop", "migrate")
    assert named.words() == "get jobs.batch migrate in shop"
    assert Permission("aws", "ec2:CreateSnapshots", "i-0abc").words() == "ec2:CreateSnapshots on i-0abc"


def test_unresolved(tmp_path: Path) -> None:
    made = shop.plan(tmp_path / "cluster", evidence="evidence")
    assert f"acquire-{shop.NODE}: {TO_S3}" in made.unresolved()


def test_change_digest(tmp_path: Path) -> None:
    """Of what the file says: the same after it was written and read, another for any field."""
    made = shop.plan(tmp_path / "cluster")
    again = parse_plan(plan_text(made).encode(), "p")
    changes = [change for step in made.steps for change in step.changes]
    digests = [change_digest(change) for change in changes]
    assert digests == [change_digest(change) for step in again.steps for change in step.changes]
    assert len(set(digests)) == len(digests)
    assert change_digest(dataclasses.replace(changes[0], uid="other")) != digests[0]
