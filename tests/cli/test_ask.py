# SPDX-License-Identifier: Apache-2.0
"""`memir ask`: the list, an answer, an empty answer, and commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memir.case.case import Case
from memir.case.questions import questions
from memir.case.record import Evidence
from memir.cli import ask
from memir.gaps import Gap
from tests.case.test_case import ANALYSIS, ONE
from tests.cli.conftest import Memir, registered
from tests.findings.real import SMALL, node


@pytest.fixture
def case(tmp_path: Path) -> Path:
    Case.create(tmp_path / "case").add_tables(dict(node(SMALL)[0]), ANALYSIS, ONE)
    return tmp_path / "case"


def test_list(memir: Memir) -> None:
    lines = memir("ask", "--list").out.splitlines()
    assert len(lines) == len(questions()) == 40
    assert lines[1] == " 2  pod-of-pid               Which pod is this process of? (pid=N)"
    rows = memir("ask", "--list", "--json").json()["rows"]
    assert rows[39] == {"number": 40, "name": "what-now", "question": "What is to be done now?"}
    ran = memir("ask")
    assert (ran.code, "`memir ask --list` has the questions" in ran.err) == (2, True)


def test_an_answer(memir: Memir, case: Path) -> None:
    ran = memir("ask", case, "deleted-executables")
    assert ran.code == 0 and "/tmp/dropper" in ran.out
    lines = ran.out.splitlines()
    assert lines[0] == "Which processes run a program that is deleted, or was never a file?"
    assert lines[-3:] == ["Go on with:", "  memir extract files IMAGE -o DIR --pid PID",
                          "  memir extract memory IMAGE -o DIR --pid PID"]  # fmt: skip
    document = memir("ask", case, "10", "--json", "--limit", "1").json()
    assert document["question"] == lines[0] and len(document["rows"]) == 1
    assert memir("ask", case, "2", "pid=190", "--csv").out.splitlines()[1].startswith("190,dropper,")
    assert memir("ask", case, "2", "--sql").out.splitlines()[-1] == "where pid = $pid"


def test_nothing_where_all_could_be_read(memir: Memir, tmp_path: Path) -> None:
    gap = Gap("task", "0x1", "why", 1)
    for gaps, words in (
        ((), "Everything that was looked for could be read."),
        ((gap,), "What could not be read is not in them: 1 of task (why)."),
    ):
        folder = tmp_path / f"case{len(gaps)}"
        Case.create(folder).add_tables(dict(node(SMALL)[0]), replace(ANALYSIS, gaps=gaps), ONE)
        assert memir("ask", folder, "metadata-service").out.splitlines()[-1] == (
            f"Nothing of it is in the case's tables. {words}"
        )
    ran = memir("ask", folder, "nosuch")
    assert (ran.code, ran.err) == (2, "memir: there is no question 'nosuch': `memir ask --list` has all\n")
    assert "do you mean who-execd? `memir ask --list`" in memir("ask", folder, "who-exec").err


def test_nothing_and_commands(memir: Memir, case: Path) -> None:
    ran = memir("ask", case, "metadata-service")
    assert ran.out.splitlines()[-1] == (
        "Nothing of it is in the case's tables. What could not be read is not in them: 4 of task (not readable)."
    )
    ran = memir("ask", case, "evidence")
    assert ran.out.splitlines()[4].split()[:3] == ["task", "4", "not"]
    assert ran.out.splitlines()[-4:] == ["Go on with:", f"  memir verify {case}", "  memir verify EVIDENCE",
                                         "  memir info IMAGE"]  # fmt: skip
    assert memir("ask", case, "other-nodes", "--sql").out == "-- no SQL: commands answer it\n"
    assert memir("ask", case, "other-nodes", "--csv").code == 2
    assert memir("ask", case, "pods", "pid").code == 2
    assert memir("ask", case, "pods", "--csv", "--json").code == 2
    ran = memir("ask", case, "who-execd")
    assert (ran.code, "makes it" in ran.err) == (3, True)


def test_a_value_alone_and_near_questions(memir: Memir, case: Path) -> None:
    assert memir("ask", case, "2", "190", "--csv").out == memir("ask", case, "2", "pid=190", "--csv").out
    ran = memir("ask", case, "same-workload", "agent")
    assert (ran.code, "same-workload takes " in ran.err) == (2, True)
    assert "do you mean secrets-in-environment or what-secrets-open" in memir("ask", case, "secrets").err


def test_a_partial_image_is_said_with_every_answer(memir: Memir, tmp_path: Path) -> None:
    lacking = Evidence("i", "raw", None, 894, 894, 0, (), None, ram_share=0.894, ram_total=1000, ram_present=894)
    Case.create(tmp_path / "c").add_tables(dict(node(SMALL)[0]), ANALYSIS, replace(ONE, evidence=lacking))
    words = "the image holds 89.4 % of the RAM (106 bytes are missing)"
    for question in ("connections", "metadata-service"):
        assert memir("ask", tmp_path / "c", question).out.splitlines()[1].startswith(words)
    ran = memir("ask", tmp_path / "c", "connections", "--csv")
    assert ran.err.startswith(words) and words not in ran.out
    assert memir("ask", tmp_path / "c", "connections", "--json").json()["partial"].startswith(words)


def test_register() -> None:
    assert registered(ask) == ["ask"]
