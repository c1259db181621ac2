# SPDX-License-Identifier: Apache-2.0
"""The forty questions: each answers what is known of a real intruded node, or names commands that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from documentation.questions import OPEN, command_of
from memir.case.case import Case
from memir.case.questions import Question, answer, question_of, questions
from memir.cli.main import VERBS, app, invoke
from memir.errors import CaseError, UsageError
from memir.tables.table import tables as known
from tests.case.test_case import ANALYSIS, ONE
from tests.images import ROOT
from tests.images import case as image_case

BUSYBOX = "docker.io/library/busybox:1.35"
API = ("shop", "api-58f6c9d7b4-q8xkz", "api")
MINER = ("dev", "miner-0", "miner")
TOOLBOX = ("shop", "toolbox", "toolbox")
EXPECTED: dict[str, tuple[dict[str, str], tuple[str, ...], set[tuple[Any, ...]]]] = {
    "pods": ({}, ("pod_name", "state", "exit_code"), {("miner-0", "running", None), ("migrate-w57gd", "exited", 0)}),
    "pod-of-pid": ({"pid": "221"}, ("comm", "namespace", "pod_name", "container_name"), {("kworkerds", *API)}),
    "unknown-containers": ({}, ("state", "image"), {("running", BUSYBOX)}),
    "ram-against-api": ({}, ("subject", "field"), {("pod:99999999-9999-4999-8999-0123456789ab", "seen")}),
    "pod-identity": ({}, ("pod_name", "owner", "service_account"), {("miner-0", "StatefulSet/miner", "default")}),
    "same-workload": ({"account": "agent"}, ("place", "owner"), {("this node", "DaemonSet/agent")}),
    "processes": ({}, ("pid", "exe"), {(221, "/tmp/.x/kworkerds"), (169, "/usr/bin/containerd")}),
    "who-started-what": ({}, ("process", "ppid"), {("1", 0), ("  169", 1)}),
    "hidden-processes": ({}, ("pid", "severity"), {(308, "critical"), (310, "critical")}),
    "deleted-executables": ({}, ("pid", "exe"), {(221, "/tmp/.x/kworkerds"), (222, "/memfd:kthreadd")}),
    "forged-kernel-threads": ({}, ("pid", "severity"), {(221, "high"), (222, "high")}),
    "exec-sessions": ({}, ("pid", "severity"), {(279, "medium"), (317, "low")}),
    "not-the-images-command": ({}, ("pid", "exe"), {(239, "/app/secretd"), (240, "/tmp/dropper")}),
    "injected-memory": ({}, ("pid", "permissions", "path"), {(222, "r-xp", "/memfd:kthreadd")}),
    "privileges": ({}, ("pid", "capabilities", "seccomp"), {(266, ("all",), "none")}),
    "stepped-onto-the-node": ({}, ("pid", "namespace", "pod_name", "container_name"), {(275, *TOOLBOX)}),
    "privileged-pods": ({}, ("pod_name", "privileged", "host_pid"), {("toolbox", True, True)}),
    "connections": ({}, ("pid", "protocol", "local"), {(197, "udp", "0.0.0.0:8080")}),
    "ended-connections": ({"multicast": "1"}, ("source", "pod_name"), {("neighbour", API[1])}),
    "dropped-files": ({}, ("pod_name", "change", "path", "deleted"), {(API[1], "created", "/tmp/.x/kworkerds", True)}),
    "take-a-program-out": ({"pid": "221"}, ("pid", "exe_deleted"), {(221, True)}),
    "open-files": ({"pid": "1"}, ("use", "path"), {("exe", "/bin/busybox"), ("cwd", "/")}),
    "secrets-in-environment": ({}, ("kind", "name", "holder"), {("password", "DB_PASSWORD", "env")}),
    "tokens": ({}, ("subject",), {("system:serviceaccount:dev:default",)}),
    "token-claims": ({}, ("subject", "audience"), {
        ("system:serviceaccount:kube-system:agent", ("https://kubernetes.default.svc",)),
    }),
    "what-secrets-open": ({}, ("opens", "kind"), {
        (("the Kubernetes API as system:serviceaccount:dev:default: how far is not known, as no roles (RBAC) are "
          "in the API's view",), "token"), (None, "password"),
    }),
    "indicators": ({}, ("rule", "pod_name"), {("Kubernetes_Service_Account_Token", "miner-0")}),
    "rootkit": ({}, ("what", "name", "judgement"), {("task", "pid 308", "hidden"), ("task", "pid 320", "hidden")}),
    "evidence": ({}, ("kind", "count"), {("cluster snapshot", 6)}),
    "what-happened": ({}, ("severity", "kind", "pod_name"), {("critical", "node-namespaces", "miner-0")}),
    "what-now": ({}, ("severity", "kind", "pid"), {("critical", "hidden-task", 320)}),
}  # fmt: skip
"""By question: values, columns, and rows that are among those of s-6.12-intruded."""
NONE = {
    "host-paths": "its pods mount none", "other-ends": "nothing is connected beyond its own loopback",
    "metadata-service": "nobody asked it", "persistence": "its node has no such file", "keys": "none lies in it",
    "shell-history": "no shell wrote one",
}  # fmt: skip
"""Questions to which that node has no row, and why."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "case"
    image = image_case("s-6.12-intruded")
    invoke(["analyze", str(image.image), "-o", str(folder), "--rules", str(ROOT / "memir/hunt/rules"),
            "--cluster", str(image.beside("pods.json")), "--json"])  # fmt: skip
    return folder


def hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_known_is_answered(folder: Path, name: str) -> None:
    values, columns, rows = EXPECTED[name]
    given = answer(folder, question_of(name), values)
    places = [given.columns.index(column) for column in columns]
    shown = {tuple(hashable(row[place]) for place in places) for row in given.rows}
    assert rows <= shown, shown
    if "pid" in values:
        assert {row["pid"] for row in given.dicts()} == {int(values["pid"])}


@pytest.mark.parametrize("name", NONE)
def test_what_is_not_there_is_no_row(folder: Path, name: str) -> None:
    assert answer(folder, question_of(name)).rows == []


def test_neighbours_are_hosts_and_no_groups(folder: Path) -> None:
    assert answer(folder, question_of("ended-connections")).rows == []
    groups = answer(folder, question_of("ended-connections"), {"multicast": "1"})
    assert {(row["protocol"], row["state"]) for row in groups.dicts()} == {(None, "noarp")}


def test_dropped_files_are_no_directories_for_scratch(folder: Path) -> None:
    rows = answer(folder, question_of("dropped-files")).dicts()
    assert {row["path"] for row in rows if row["pod_name"] == "miner-0"} == {"/tmp/dropper", "/tmp/.d"}
    assert not any(row["path"] == "/tmp" or row["container_name"] is None for row in rows)


def test_what_nothing_looked_at_is_said(folder: Path) -> None:
    never = "BPF of routes/xt_bpf/other qdiscs, changes of text and read-only data"
    ran = CliRunner().invoke(app, ["ask", str(folder), "rootkit"])
    assert ran.output.splitlines()[-1] == f"Nothing looked at: {never}."
    document = json.loads(CliRunner().invoke(app, ["ask", str(folder), "rootkit", "--json"]).output)
    assert (document["not_checked"], document["partial"]) == (never.split(", "), None)
    assert json.loads(CliRunner().invoke(app, ["ask", str(folder), "pods", "--json"]).output)["not_checked"] == []


def test_who_execd(tmp_path: Path) -> None:
    row = {"user": "kubernetes-admin", "source_ips": ["10.1.2.3"], "object_namespace": "shop", "object_name": "api",
           "command": ["sh", "-c", "id"], "processes": ["7 sh"], "source": "audit"}  # fmt: skip
    Case.create(tmp_path / "c").add_tables({"sessions": known()["sessions"].rows([row])}, ANALYSIS, ONE)
    (asked,) = answer(tmp_path / "c", question_of("13")).dicts()
    assert (asked["user"], asked["pod"], asked["command"], asked["source_ips"]) == (
        "kubernetes-admin", "api", "sh -c id", ["10.1.2.3"],
    )  # fmt: skip


def test_there_are_forty_and_each_is_tested_or_a_command() -> None:
    every = questions()
    assert [question.number for question in every.values()] == list(range(1, 41))
    commands = {name for name, question in every.items() if not question.sql}
    assert commands == {"other-nodes", "timeline"}
    assert set(EXPECTED) | set(NONE) | commands | {"who-execd"} == set(every)
    assert all(every[name].commands for name in commands)


@pytest.mark.parametrize("name", ["other-nodes", "timeline"])
def test_the_command_that_answers_runs(folder: Path, name: str) -> None:
    """As the page of questions names it."""
    command = command_of(question_of(name))
    words = [str(folder) if word.startswith("CASE") else word for word in command.split()[1:]]
    ran = CliRunner().invoke(app, words)
    assert (ran.exit_code, bool(ran.output)) == (0, True), ran.output


def test_what_stays_open_is_of_questions_that_there_are() -> None:
    assert set(OPEN) <= {question.number for question in questions().values()}
    assert command_of(question_of("2")) == "memir ask CASE pod-of-pid pid=..."
    assert command_of(question_of("same-workload")) == "memir ask CASE same-workload"


@pytest.mark.parametrize("question", [each for each in questions().values() if each.commands])
def test_commands_name_verbs(question: Question) -> None:
    for command in question.commands:
        words = command.split()
        assert words[0] == "memir" and words[1] in VERBS, command


def test_values_and_names_are_checked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"asks for a value: pid=\.\.\."):
        answer(folder, question_of("pod-of-pid"))
    with pytest.raises(UsageError, match="takes no value 'pid': it takes none"):
        answer(folder, question_of("pods"), {"pid": "1"})
    with pytest.raises(UsageError, match="a pid is a number"):
        answer(folder, question_of("2"), {"pid": "1 or true"})
    assert answer(folder, question_of("same-workload"), {"account": "x' or 'a' = 'a"}).rows == []
    with pytest.raises(UsageError, match="no question 'pod': do you mean pods"):
        question_of("pod")
    with pytest.raises(UsageError, match="`memir ask --list` has all"):
        question_of("zzzzzzzz")
    with pytest.raises(CaseError, match="has no table sessions: `memir analyze IMAGE -o CASE --logs FILE --force`"):
        answer(folder, question_of("who-execd"))
