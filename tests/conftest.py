# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several folders share."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from memir.kube.ram import RamSource
from tests.acquire.rigs.seaweed import Seaweed
from tests.collect.fargate.rig import FargateRig
from tests.collect.podrig import PodRig
from tests.images import case, cases, kept, node_at
from tests.longer import does_more

# a busy machine is slow, not wrong: what must be fast has a benchmark
settings.register_profile("memir", deadline=None)
settings.load_profile("memir")


_node = kept(lambda name: node_at(case(name).image))
_SLOW = re.compile(
    r"^tests/(volatility/|plugins/|test_hostile_collections\.py|kernel/test_smear\.py|cli/test_hostile_documents\.py)"
)


@pytest.fixture(scope="session")
def node_of() -> Callable[[str], RamSource]:
    """The node of an image, by the image's name; the last ones are kept."""
    return _node


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """The S3 server, one for every folder of tests."""
    folder = Path(tempfile.mkdtemp(prefix="weed-"))
    server = Seaweed(folder / "s3")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodRig]:
    """A pod in a node of this machine, one for every folder: a fixture that is imported is made anew for each file."""
    with PodRig(tmp_path_factory.mktemp("pod")) as rig:
        yield rig


@pytest.fixture(scope="session")
def fargate_pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FargateRig]:
    """A pod as on Fargate, one for every folder."""
    with FargateRig(tmp_path_factory.mktemp("fargate")) as rig:
        yield rig


def pytest_addoption(parser: pytest.Parser) -> None:
    """--longer: for the long run, after tests/run."""
    parser.addoption(
        "--longer", action="store_true", help="only tests that do more with CI and MEMIR_IMAGES than without"
    )
    parser.addoption("--shorter", action="store_true", help="without tests marked long, which are done with --longer")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --shorter, what is marked long is left out; with --longer, what has just been done in the same way."""
    if config.getoption("--shorter"):
        kept = [item for item in items if item.get_closest_marker("long") is None]
    elif config.getoption("--longer"):
        # files of minutes come first: at the end each would run alone
        kept = sorted(filter(does_more, items), key=lambda item: not _SLOW.search(item.nodeid))
    else:
        return
    chosen = set(map(id, kept))
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in chosen])
    items[:] = kept


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with an argument `image` run on every image."""
    if "image" in metafunc.fixturenames:
        names = sorted(cases())
        assert names, "no images: set MEMIR_IMAGES, or restore samples/"
        # by module: all tests of a file on one image, then on the next, so that an image is read once
        long = {
            "s-6.1-small": pytest.mark.long("tests that name an image name this one; the samples around it are read")
        }
        metafunc.parametrize(
            "image", [pytest.param(name, marks=long.get(name, ())) for name in names], scope="module", ids=names
        )


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test marked `rerun(reason)` that fails is run once more, and both are told; no other test is."""
    if item.get_closest_marker("rerun") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failures = [report for report in reports if report.failed]
    if failures:
        for report in failures:
            report.outcome = "rerun"  # type: ignore[assignment]  # a fourth word; pytest_report_teststatus knows it
            item.ihook.pytest_runtest_logreport(report=report)
        item._initrequest()  # type: ignore[attr-defined]  # what pytest itself does before a test's first run
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        report.user_properties.append(("rerun", "may be run again"))
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """The letter of a failure that had a second chance."""
    return ("rerun", "R", "RERUN") if str(report.outcome) == "rerun" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """By name: what was not run here, what may be run again, and what was."""
    stats = terminalreporter.stats
    for report in stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"not run here: {report.nodeid}: {reason.removeprefix('Skipped: ')}")
    every = [report for kind in ("passed", "failed") for report in stats.get(kind, []) if report.when == "call"]
    marked = sorted({report.nodeid for report in every if ("rerun", "may be run again") in report.user_properties})
    again = sorted({report.nodeid for report in stats.get("rerun", [])})
    for name in marked:
        terminalreporter.write_line(f"may be run again{', and was' if name in again else ''}: {name}")
    if marked:
        terminalreporter.write_line(f"{len(marked)} tests may be run again, {len(again)} were")
