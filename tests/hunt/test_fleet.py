# SPDX-License-Identifier: Apache-2.0
"""Many images at once: failures stay where they are, dead workers are replaced, S3 is read by range."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.aws.image import expand
from memir.errors import UsageError
from memir.hunt import fleet
from memir.hunt.fleet import Answer, hunt_fleet, hunt_image
from memir.hunt.hunt import Options
from memir.hunt.rules import Packed, load_rules
from tests.hunt.fleet_work import die_once
from tests.hunt.hunting import strings
from tests.images import cache, case, cases

SMALL = [name for name in sorted(cases()) if "small" in name]


def unpacked(folder: Path, name: str, called: str) -> Path:
    """An image of the tests under another name."""
    memory = case(name).open()
    path = folder / f"{called}.raw"
    with path.open("wb") as file:
        for pa, view in memory.views(16 << 20):
            file.seek(pa)
            file.write(view.tobytes())
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image under several names, and a file that is none."""
    folder = tmp_path_factory.mktemp("fleet")
    name = next((name for name in SMALL if "5.10" in name), SMALL[0])
    first = unpacked(folder, name, "plain")
    for called in ("mortal", "deadly", "next"):
        os.link(first, folder / f"{called}.raw")
    (folder / "broken.raw").write_bytes(os.urandom(1 << 21))
    (folder / "notes.txt").write_text("no image" * 10000)
    return folder


def test_what_folders_and_prefixes_name(images: Path, tmp_path: Path) -> None:
    found = expand([str(images), str(images / "plain.raw")])
    assert [Path(one).name for one in found] == ["broken.raw", "deadly.raw", "mortal.raw", "next.raw", "plain.raw"]
    with pytest.raises(UsageError, match="no images there"):
        expand([str(tmp_path)])


def test_rules_travel(tmp_path: Path) -> None:
    rules = strings(tmp_path, "abc", "def")
    again = Packed.of(rules).unpack()
    assert (again.count, again.monotone, again.names) == (2, True, rules.names)
    assert [match.rule for match in again.sets[0].match(data=b"def")] == ["R1"]
    assert [match.rule for match in again.without([("rules.yar", "R1")]).match(data=b"abcdef")] == ["R0"]


@pytest.mark.long("a dozen workers are started and killed; one after another the same is tested below")
def test_failures_stay_where_they_are(images: Path, tmp_path: Path) -> None:
    secret = case(SMALL[0]).raw_truth()["secret"]["heap_secret"]
    rules = strings(tmp_path, secret)
    every = expand([str(images)])
    answers = list(hunt_fleet(every, rules, Options(workers=1), workers=2, cache=cache(), work=die_once))
    by_name = {Path(one.image).stem: one for one in answers}
    assert sorted(by_name) == ["broken", "deadly", "mortal", "next", "plain"] and len(answers) == 5
    assert "KilledWorker" in (by_name["deadly"].error or "")
    assert by_name["broken"].error and "Killed" not in by_name["broken"].error
    for name in ("plain", "mortal", "next"):  # one worker: what waits behind the deadly one is blamed with it at first
        one: Answer = by_name[name]
        assert one.error is None and one.hits == 1 and one.node
        assert {(row["image"], row["node"], row["pod_name"]) for row in one.rows} == {(one.image, one.node, "miner-0")}
    assert by_name["plain"].rows[0]["hit_id"] != by_name["mortal"].rows[0]["hit_id"]


@pytest.mark.slow
def test_without_dask_one_after_another(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    rules = strings(tmp_path, case(SMALL[0]).raw_truth()["secret"]["heap_secret"])
    chosen = [str(images / f"{name}.raw") for name in ("broken", "deadly", "plain")]
    answers = list(hunt_fleet(chosen, rules, Options(workers=1), cache=cache(), work=die_once))
    assert [answer.image for answer in answers] == chosen
    assert answers[0].error and "BrokenProcessPool" not in answers[0].error
    assert "BrokenProcessPool" in (answers[1].error or "")
    assert answers[2].error is None and {row["pod_name"] for row in answers[2].rows} == {"miner-0"}
    with pytest.raises(UsageError, match=r"--scheduler needs Dask: pip install '\.\[fleet\]'"):
        list(hunt_fleet(chosen, rules, Options(), scheduler="tcp://127.0.0.1:9"))


@pytest.mark.slow
def test_a_scheduler_without_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when its last one died for good: the hunt ends, and says of each image that nobody hunted through it."""
    from distributed import LocalCluster

    monkeypatch.setattr(fleet, "PATIENCE", 1.0)
    monkeypatch.setattr(fleet, "_LOOK", 0.5)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None, silence_logs=50) as cluster:
        address = cluster.scheduler_address
        answers = list(hunt_fleet(["a.raw", "b.raw"], strings(tmp_path, "server"), Options(), scheduler=address))
    assert sorted((answer.image, answer.error) for answer in answers) == [
        ("a.raw", fleet.NO_WORKER), ("b.raw", fleet.NO_WORKER),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_scheduler_that_is_running(images: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    rules = strings(tmp_path, "server up on")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        plain = [str(images / "plain.raw")]
        (answer,) = hunt_fleet(plain, rules, Options(workers=1), scheduler=cluster.scheduler_address, cache=cache())
    assert answer.error is None and answer.hits > 0


def test_no_scheduler_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "ANSWERS", 2.0)
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        list(hunt_fleet(["x"], strings(tmp_path, "a"), Options(), scheduler="tcp://127.0.0.1:9"))


@pytest.fixture
def bucket(images: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.Session().client("s3")
    client.create_bucket(Bucket="evidence")
    client.upload_file(str(images / "plain.raw"), "evidence", "case/node-a/image.raw")
    client.put_object(Bucket="evidence", Key="case/node-a/receipt.json", Body=b"{}" * 100000)
    yield "s3://evidence/case/"
    server.stop()


@pytest.mark.slow
def test_images_below_a_prefix_in_s3(bucket: str, images: Path, tmp_path: Path) -> None:
    assert expand([bucket]) == [f"{bucket}node-a/image.raw"]
    rules = strings(tmp_path, "server up on")
    there = hunt_image(f"{bucket}node-a/image.raw", Packed.of(rules), Options(workers=2), tmp_path)
    here = hunt_image(str(images / "plain.raw"), Packed.of(rules), Options(workers=2), cache())
    assert there.error is None and there.hits == here.hits > 0
    columns = ("paddr", "owner", "pid", "path", "pod_name")
    assert [[row[one] for one in columns] for row in there.rows] == [[row[one] for one in columns] for row in here.rows]


def test_the_same_rules_everywhere() -> None:
    pack = Path(__file__).resolve().parents[2] / "memir" / "hunt" / "rules"
    assert Packed.of(load_rules([pack])).unpack().count == load_rules([pack]).count
