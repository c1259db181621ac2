# SPDX-License-Identifier: Apache-2.0
"""From words to a plan's file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from memir.aws.client import Connection
from memir.errors import MemirError, OutputError, UsageError
from memir.kubeapi.client import KubeOptions
from memir.respond import launch
from memir.respond.launch import (
    Wanted,
    asked_of,
    check_inputs,
    check_plan,
    choices_of,
    query_of,
    record_folder,
    run_memir,
    same_place,
    save_plan,
    utc,
    world_of,
    write_plan,
)
from memir.respond.plan import Choices, read_plan
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.test_check import Iam
from tests.respond.test_guardduty import EVENT
from tests.respond.worlds import world

WEB = Wanted(pods=(f"shop/{shop.WEB}",))


def test_from_a_folder_nothing_is_contacted(tmp_path: Path) -> None:
    output = tmp_path / "plan.yaml"
    made, digest = write_plan(
        WEB, output, cluster=shop.folder(tmp_path / "c"), kubeconfig="/nonexistent", evidence="s3://evidence/p"
    )  # fmt: skip
    assert read_plan(output) == (made, digest)
    assert digest == hashlib.sha256(output.read_bytes()).hexdigest()
    assert made.query == {"pod": f"shop/{shop.WEB}"}
    with pytest.raises(UsageError, match="exists already: a plan that was read is not written over"):
        write_plan(WEB, output, cluster=tmp_path / "c")
    with pytest.raises(OutputError, match="the plan cannot be written: No such file"):
        save_plan(made, tmp_path / "none" / "plan.yaml")


def test_from_the_api(tmp_path: Path) -> None:
    server = shop.server()
    kubeconfig = server.start(tmp_path)
    try:
        made, _ = write_plan(WEB, tmp_path / "plan.yaml", kubeconfig=str(kubeconfig))
    finally:
        server.stop()
    assert (made.source.kind, made.source.where) == ("api", f"http://127.0.0.1:{server.port}")
    assert [pod.name for pod in made.pods] == [shop.WEB]
    assert {method for method, path in server.requests if "reviews" not in path} == {"GET"}


@pytest.mark.parametrize(
    ("wanted", "more", "words"),
    [
        (Wanted(), {}, "whom is the plan for"),
        (WEB, {"order": "mine"}, "--order 'mine': there are memory-first, aws"),
        (WEB, {"by": "fax"}, "--by 'fax': there are ssm, pod, ssh"),
        (WEB, {"evidence": "s3://ir/x"}, "--evidence s3://ir/x: the bucket's name 'ir' is too short"),
        (WEB, {"lock": "x"}, "--lock x: there are suspend and detach; governance, compliance, none"),
        (WEB, {"lock_days": 0}, "--lock-days 0: a lock lasts 1 to 36500 days"),
    ],
)
def test_what_is_refused(tmp_path: Path, wanted: Wanted, more: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write_plan(wanted, tmp_path / "plan.yaml", cluster=shop.folder(tmp_path / "c"), **more)


def test_an_alert(tmp_path: Path) -> None:
    (tmp_path / "alert.json").write_text(json.dumps(EVENT))
    wanted = Wanted(guardduty=(str(tmp_path / "alert.json"),))
    assert [clue.pod for clue in query_of(wanted).clues] == [shop.WEB]
    assert asked_of(wanted) == {"guardduty": str(tmp_path / "alert.json")}
    made, _ = write_plan(wanted, tmp_path / "plan.yaml", cluster=shop.folder(tmp_path / "c"))
    assert [(pod.name, pod.reason) for pod in made.pods] == [
        (shop.WEB, "GuardDuty Execution:Runtime/NewBinaryExecuted 5cb4")
    ]
    assert [node.instance_id for node in made.nodes] == ["i-0abc1234def567890"]


def test_worlds_are_made_when_needed(tmp_path: Path) -> None:
    plan = shop.plan(tmp_path)
    world = world_of(plan, KubeOptions("/nonexistent"), Connection("eu-west-1"))
    assert world.plan_id == plan.id
    with pytest.raises(UsageError, match="the kubeconfig cannot be used"):
        world.api()
    assert record_folder(Path("x/plan.yaml")) == Path("x/plan.run")
    assert datetime.fromisoformat(utc()).utcoffset() is not None
    assert run_memir(["--version"]) == 0
    assert run_memir(["nothing"]) == 2


def test_a_command_goes_where_the_run_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RAM is taken of the cluster that --kubeconfig names, not of the environment's."""
    ran: list[list[str]] = []

    def record(words: Sequence[str]) -> int:
        ran.append(list(words))
        return 0

    monkeypatch.setattr(launch, "run_memir", record)
    kube, aws = KubeOptions("other.conf", "prod"), Connection("eu-west-1", profile="ir")
    place = world_of(shop.plan(tmp_path), kube, aws)
    assert place.run(["acquire", "pod", "--node", "n"]) == 0
    flags = ["--kubeconfig", "other.conf", "--context", "prod", "--region", "eu-west-1", "--profile", "ir"]
    assert ran == [["acquire", "pod", "--node", "n", *flags]]
    assert same_place(kube, aws) == flags and same_place(KubeOptions(), Connection()) == []


def test_a_plan_is_checked_and_filled_in(account: AwsRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written back only with what was heard; nothing but files is changed."""
    path, server, iam = tmp_path / "plan.yaml", shop.server(), Iam()
    made = shop.on_instance(tmp_path / "c", account.instance)
    first = save_plan(made, path)

    def aws(service: str) -> Any:
        return iam if service in ("iam", "sts") else account.aws(service)

    monkeypatch.setattr(launch, "world_of", lambda plan, kube, connection: world(plan, server, aws))
    filled, digest, rows = check_plan(path, None, KubeOptions(), Connection())
    assert (filled.unresolved(), read_plan(path)) == ([], (filled, digest))
    assert digest != first and len(made.unresolved()) == 5
    assert {answer for _, answer, _ in rows} == {"allowed", "not known"}  # ec2:CreateTags, of which it says nothing
    assert account.sent == [] and all(method == "GET" or "reviews" in way for method, way in server.requests)
    assert check_plan(path, None, KubeOptions(), Connection())[1] == digest
    again = check_plan(path, tmp_path / "other.yaml", KubeOptions(), Connection())
    assert read_plan(tmp_path / "other.yaml") == (again[0], again[1]) == (filled, digest)
    with pytest.raises(UsageError, match="exists already"):
        check_plan(path, tmp_path / "other.yaml", KubeOptions(), Connection())


def test_choices() -> None:
    assert choices_of("detach", "compliance", 7) == Choices("detach", "compliance", 7)
    assert choices_of("suspend", "governance", 30) == Choices()


def test_check_inputs(tmp_path: Path) -> None:
    """Files that are named are read; ids of AWS are not asked for."""
    (tmp_path / "alert.json").write_text(json.dumps(EVENT))
    check_inputs(Wanted(guardduty=("0" * 32,)), None)
    check_inputs(Wanted(guardduty=(str(tmp_path / "alert.json"),)), shop.folder(tmp_path / "c"))
    for wanted, cluster, words in (
        (Wanted(guardduty=("0" * 32, str(tmp_path / "no.json"))), None, "no.json: cannot be read"),
        (Wanted(guardduty=(str(tmp_path / "no.json"),)), None, "no.json: cannot be read"),
        (Wanted(findings=("x",)), None, "write CASE:ID"),
        (WEB, tmp_path / "none", "No such file"),
        (Wanted(), None, "whom is the plan for"),
    ):
        with pytest.raises(MemirError, match=words):
            check_inputs(wanted, cluster)
