# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.facts import NodeFacts, NodeRun
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.store import Store, choose
from memir.acquire.transports.base import Result
from memir.acquire.transports.local import LocalTransport
from memir.errors import NodeError
from tests.acquire.tools.node import NODE

NEW_HELP = "avml 0.21.0\n\nCommands:\n  acquire  Acquire a memory snapshot\n  --source <SOURCE>\n"
OLD_HELP = "avml 0.14.0\n\nUsage: avml [OPTIONS] <FILENAME>\n\nOptions:\n  --compress\n  --source <SOURCE>\n"


@pytest.mark.parametrize(
    ("said", "command"),
    [
        (NEW_HELP, "/t/avml acquire --compress --source /proc/kcore /t/stream"),
        (OLD_HELP, "/t/avml --compress --source /proc/kcore /t/stream"),
    ],
)
def test_avml_command_line_is_the_one_it_knows(avml: Path, store: Store, said: str, command: str) -> None:
    tool = choose(NODE, "avml", "avml", avml, store)
    tool.learn(Result(0, said.encode()))
    assert tool.command(NodeRun("r", "/t")) == command


def test_avml_that_is_not_what_was_pinned(avml: Path, store: Store) -> None:
    store.add(avml, version="0.20.0")
    tool = choose(NODE, "avml", "avml", None, store)
    with pytest.raises(NodeError, match=r"pinned as AVML 0\.20\.0 but says 0\.21\.0"):
        tool.learn(Result(0, NEW_HELP.encode()))
    with pytest.raises(NodeError, match="does not answer as AVML does"):
        tool.learn(Result(126, b"", b"cannot execute"))
    plain = choose(NODE, "avml", "avml", avml, store)
    with pytest.raises(NodeError, match="no --source"):
        plain.learn(Result(0, b"avml 0.1.0\n"))


def test_avml_exit_codes_in_words(avml: Path, store: Store) -> None:
    tool = choose(NODE, "avml", "avml", avml, store)
    assert tool.explain(0, "") == "done"
    assert tool.explain(2, "") == "AVML did not understand its command line"
    assert tool.explain(134, "x") == "AVML panicked: x"
    assert tool.explain(None, "") == "AVML was killed before it ended"
    assert tool.explain(1, "locked down /proc/kcore").startswith("AVML was refused /proc/kcore")


def test_avml_is_checked_against_the_node(avml: Path, store: Store) -> None:
    tool = choose(NODE, "avml", "avml", avml, store)
    arm = NodeFacts(kernel="6.1", machine="aarch64", kcore=True)
    assert [check.detail for check in tool.check(arm) if check.level == "fail"] == [
        "is for x86_64, the node is aarch64"
    ]
    locked = NodeFacts(kernel="6.1", machine="x86_64", kcore=False, lockdown="confidentiality")
    assert [check.detail for check in tool.check(locked)] == ["blocked by lockdown=confidentiality"]


def test_the_real_program_answers_its_probe(avml: Path, store: Store) -> None:
    tool = choose(NODE, "avml", "lime", avml, store)
    run = NodeRun("r", str(avml.parent))
    assert isinstance(tool, Avml)
    probe = tool.probe(run)
    assert probe.helper == ("probe", str(avml))
    tool.learn(LocalTransport().run(probe))
    assert (tool.version, tool.old) == ("0.21.0", False)
    assert tool.command(run) == f"{avml} acquire --source /proc/kcore {run.fifo}"


def test_avml_needs_kcore_and_leaves_nothing_loaded(avml: Path, store: Store) -> None:
    tool = choose(NODE, "avml", "lime", avml, store)
    assert [(check.name, check.level) for check in tool.check(NODE)] == [("/proc/kcore", "ok")]
    without = NodeFacts(kernel="6.1", machine="x86_64", kcore=False)
    assert [check.detail for check in tool.check(without)] == ["cannot be read"]
    assert tool.cleanup(NodeRun("r", "/t")) == ""
    assert [trace.where for trace in tool.traces()] == ["audit log"]
