# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in an evidence folder, `verify` says what and where."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.timestamp import stamp
from memir.acquire.transports.local import LocalTransport
from memir.errors import CustodyError, UsageError
from memir.evidence.custody import load_private, load_public, raw_public, sign, signed_message
from memir.evidence.findings import Findings, summary
from memir.evidence.folder import cluster_of, inside, is_evidence
from memir.evidence.records import Begin, last
from memir.evidence.verify import check_expected, records_time, verify
from tests.acquire.rigs.nodes import LOW, SMALL, nodes
from tests.acquire.rigs.tsa import TimeStampAuthority
from tests.evidence import forge
from tests.fuzz import cases

OLD = Path(__file__).parent / "data" / "evidence-0.1.0"
CASES = cases(200)
IOMEM_MORE = "00001000-00040fff : System RAM\n00100000-02ffffff : System RAM\n"


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory, avml: Path) -> Path:
    """A folder with a signed evidence folder, as a real run leaves it, and the key."""
    folder = tmp_path_factory.mktemp("taken")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    options = Options(tool_path=avml, format="lime", sign_key=folder / "key", grace=5)
    with nodes() as make:
        rig = make(LOW, SMALL)
        Acquisition(LocalTransport(rig.root), FileSink(folder / "ev"), folder / "ev", options).execute()
    return folder


@pytest.fixture
def evidence(taken: Path, tmp_path: Path) -> Path:
    """A signed evidence folder, its key beside it."""
    shutil.copytree(taken, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "ev"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_an_untouched_folder_holds(evidence: Path) -> None:
    found = verify(evidence, public_key=evidence.parent / "key.pub")
    assert (found.problems, found.holds, found.complete, found.signature) == ([], True, True, "trusted")
    assert summary(found)["status"] == "complete"
    assert is_evidence(evidence)


def link_version(evidence: Path) -> None:
    (evidence / "context/version").unlink()
    (evidence / "context/version").symlink_to("/proc/version")


CHANGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a byte of the image": (lambda e: flip(e / "image.lime", 5000), "image.lime part 1", "has SHA-256"),
    "the image's end": (
        lambda e: (e / "image.lime").write_bytes((e / "image.lime").read_bytes()[:-1]),
        "image.lime part 1", "1 bytes short",
    ),
    "a longer image": (
        lambda e: (e / "image.lime").write_bytes((e / "image.lime").read_bytes() + b"x"), "image.lime", "recorded are",
    ),
    "no image": (lambda e: (e / "image.lime").unlink(), "image.lime", "is missing"),
    "a context file": (lambda e: flip(e / "context/iomem", 3), "context/iomem", "has SHA-256"),
    "a context file gone": (lambda e: (e / "context/version").unlink(), "context/version", "is missing"),
    "a context file cut": (lambda e: (e / "context/version").write_bytes(b""), "context/version", "has 0 bytes"),
    "a file too many": (lambda e: (e / "context/extra").write_text("x"), "context/extra", "is not in the manifest"),
    "the receipt": (lambda e: flip(e / "receipt.json", 40), "receipt.json", "was changed|is not JSON"),
    "no receipt": (lambda e: (e / "receipt.json").unlink(), "receipt.json", "is missing"),
    "a manifest line": (lambda e: flip(e / "manifest.jsonl", 30), "manifest.jsonl", "line 1"),
    "the manifest's end": (
        lambda e: (e / "manifest.jsonl").write_bytes(
            b"".join((e / "manifest.jsonl").read_bytes().splitlines(keepends=True)[:-1])
        ),
        "manifest.sig", "or another head",
    ),
    "the signature": (lambda e: flip(e / "manifest.sig", -10), "manifest.sig", "does not hold|cannot be read"),
    "no signature": (lambda e: (e / "manifest.sig").unlink(), "manifest.sig", "is missing"),
    "a link for a file": (
        link_version,
        "context/version", "leads out of the folder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_named(evidence: Path, change: str) -> None:
    apply, where, what = CHANGES[change]
    apply(evidence)
    found = verify(evidence, public_key=evidence.parent / "key.pub")
    assert not found.holds
    assert not found.complete
    assert any(p.where.startswith(where) and re.search(what, p.what) for p in found.problems), found.problems


def test_without_its_end_a_manifest_is_no_success_even_unsigned(evidence: Path) -> None:
    (evidence / "manifest.sig").unlink()
    path = evidence / "manifest.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    found = verify(evidence)
    assert any("has no end" in problem.what for problem in found.problems)
    assert found.status == "unknown"


def test_a_stranger_s_signature_is_not_trusted(evidence: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    found = verify(evidence, public_key=tmp_path / "other.pub")
    assert found.signature == "bad"
    assert "not by the key that you trust" in found.problems[0].what


def test_no_evidence_folder(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match=r"has no manifest\.jsonl"):
        verify(tmp_path)
    assert not is_evidence(tmp_path)


def test_when_a_run_began() -> None:
    begin = last(forge.read(OLD), "begin", Begin)
    assert begin is not None
    assert records_time(replace(begin, run="20260102-030405-abcd")) == "2026-01-02T03:04:05Z"
    assert records_time(begin).startswith("2026-")
    for run in ("", "20260102", "20260102x030405", "2026010a-030405"):
        assert records_time(replace(begin, run=run)) == ""


def test_what_can_be_expected() -> None:
    assert check_expected({"node": "a", "case": "b"}) == {"node": "a", "case": "b"}
    with pytest.raises(UsageError, match="evidence has case, node, run, who, boot_id, transport"):
        check_expected({"colour": "red"})


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "a/./b/..", "x\0y"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) is None


def test_a_copy_elsewhere_holds_as_well(evidence: Path, tmp_path: Path) -> None:
    shutil.copytree(evidence, tmp_path / "copy")
    assert verify(tmp_path / "copy").complete


# evidence that someone made anew: every hash of the chain fits


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What 0.1.0 wrote and signed."""
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def words(findings: Findings) -> str:
    return "; ".join(f"{problem.where}: {problem.what}" for problem in findings.problems)


def test_what_0_1_0_wrote_still_holds(old: Path) -> None:
    found = verify(old, public_key=OLD.with_suffix(".0.pub"))
    assert (found.problems, found.complete, found.signature, found.exit_code) == ([], True, "trusted", 0)
    assert found.whose["case"] == "CASE-7"
    assert (found.whose["who"], found.whose["node"], found.whose["began"][:5]) == ("kim@desk", "vm", "2026-")


def test_unsigned_but_whole_is_exit_5(old: Path) -> None:
    (old / "manifest.sig").unlink()
    found = verify(old)
    assert (found.complete, found.signature, found.exit_code) == (True, "none", 5)


def test_a_run_names_the_key_that_will_sign(evidence: Path) -> None:
    begin = forge.read(evidence)[0]
    key = load_public(evidence.parent / "key.pub")
    assert begin["signer"] == raw_public(key)
    (evidence / "manifest.sig").unlink()
    found = verify(evidence)
    missing = f"is missing, though the run began with the key {begin['signer']}: it was removed"
    assert words(found) == f"manifest.sig: {missing}"
    assert found.exit_code == 3


def test_a_signature_that_was_replaced(evidence: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    records = forge.read(evidence)
    (evidence / "manifest.sig").write_bytes(sign(load_private(tmp_path / "other"), records[-1]["hash"], len(records)))
    found = verify(evidence)
    assert found.exit_code == 3
    assert "it was replaced" in words(found)


@pytest.mark.parametrize(
    ("event", "edit", "what"),
    [
        ("captured", lambda r: r["receipt"].update(tool=1), "says complete, but the tool's exit code is 1"),
        ("captured", lambda r: r.update(receipt=None), "says complete, but the node's receipt never came"),
        ("captured", lambda r: r["receipt"].update(sha256="0" * 64), "says complete, but the node sent SHA-256 0"),
        ("captured", lambda r: r["receipt"].update(size=7), "says complete, but the node sent 7 bytes"),
        ("captured", lambda r: r.update(event="problem", where="x", why="y"), "no record says that the capture ended"),
        ("image", lambda r: r.update(where="", parts=[], size=0), "says complete, but no image is recorded"),
        ("image", lambda r: r.update(complete=False), "says complete, but the store does not have all of it"),
        ("begin", lambda r: r["node"].update(iomem=IOMEM_MORE), "proc/kcore does not give 47,185,920 bytes"),
        ("begin", lambda r: r["node"].update(iomem=""), "showed no System RAM"),
        ("begin", lambda r: r["node"].update(mem_total=1 << 30), "manages 1,073,741,824 .MemTotal.: it does not"),
        ("begin", lambda r: r.update(instance_memory=1 << 30), "instance type has 1,073,741,824: it does"),
        ("begin", lambda r: r["node"].update(kernel="9.9"), "the kernel 9.9 does not name itself in it"),
        ("verdict", lambda r: r.update(missing=["half"]), "the verdict itself names what is missing: half"),
        ("begin", lambda r: r.update(event="problem", where="x", why="y"), "has no begin"),
    ],
)  # fmt: skip
def test_the_verdict_is_judged_again(old: Path, event: str, edit: Callable[[Any], object], what: str) -> None:
    forge.change(old, event, edit)
    found = verify(old)
    assert re.search(what, words(found)), words(found)
    assert found.exit_code == 3


def test_a_receipt_of_another_image(old: Path) -> None:
    forge.change_receipt(old, lambda r: r["image"].update(where="image.lime"))
    forge.change(old, "end", lambda r: None)
    assert "describes another image than the manifest" in words(verify(old))


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        (lambda e, out: (e / "cluster").symlink_to(out), "cluster: is a symbolic link"),
        (lambda e, out: (e / "context").symlink_to(out), "context: is a symbolic link"),
        (lambda e, out: (e / "a").mkdir(), "a: is a folder that no record names"),
        (lambda e, out: fifo(e / "pipe"), "pipe: is a symbolic link or device"),
        (
            lambda e, out: ((e / "receipt.json").unlink(), fifo(e / "receipt.json")),
            "receipt.json: .*no regular file",
        ),
        (
            lambda e, out: ((e / "image.avml").rename(out / "i"), (e / "image.avml").symlink_to(out / "i")),
            "image.avml: .*is a link",
        ),
        (
            lambda e, out: ((e / "manifest.sig").rename(out / "s"), (e / "manifest.sig").symlink_to(out / "s")),
            "manifest.sig: .*is a link",
        ),
    ],
)  # fmt: skip
def test_what_was_planted(old: Path, tmp_path: Path, plant: Callable[[Path, Path], object], where: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pods.json").write_text("{}")
    plant(old, tmp_path / "out")
    found = verify(old)
    assert re.search(where, words(found)), words(found)
    assert found.exit_code == 3


def test_the_analysis_follows_no_planted_link(old: Path, tmp_path: Path) -> None:
    assert cluster_of(old) is None
    (old / "cluster").symlink_to(tmp_path)
    with pytest.raises(CustodyError, match="is no folder but a link or file"):
        cluster_of(old)
    (old / "cluster").unlink()
    (old / "cluster").mkdir()
    assert cluster_of(old) == old / "cluster"
    (old / "cluster" / "pods.json").symlink_to("/etc/passwd")
    with pytest.raises(CustodyError, match=r"cluster/pods\.json is a link or device"):
        cluster_of(old)


def test_what_is_expected(old: Path) -> None:
    assert verify(old, expect={"case": "CASE-7", "node": "vm"}).complete
    found = verify(old, expect={"case": "CASE-8", "node": "other"})
    assert words(found) == (
        "manifest.jsonl: is of case 'CASE-7', expected was 'CASE-8'; "
        "manifest.jsonl: is of node 'vm', expected was 'other'"
    )
    with pytest.raises(UsageError, match="evidence has case, node, run, who, boot_id, transport"):
        verify(old, expect={"colour": "red"})


class Bucket:
    """Reads a local copy; counts how often it was asked."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path, self._facts, self.asked = path, facts, 0

    def open(self, where: str, version: str) -> Any:
        self.asked += 1
        return self.path.open("rb")

    def facts(self, where: str, version: str) -> dict[str, Any]:
        return self._facts

    def names(self, where: str) -> Any:
        raise AssertionError(f"an image is one object, {where} is not listed")


def test_an_image_at_someone_else_s_bucket_is_not_fetched_unasked(old: Path, tmp_path: Path) -> None:
    where = "s3://someone-else/image.avml"
    forge.change_receipt(old, lambda r: r["image"].update(where=where))
    forge.change(old, "image", lambda r: r.update(where=where))
    image = (old / "image.avml").rename(tmp_path / "image")
    found = verify(old)
    assert (found.holds, found.complete, found.status, found.exit_code) == (True, False, "not read", 4)
    assert found.missing == [f"the image at {where} was not read"]
    locked = Bucket(image, {"ObjectLockMode": "COMPLIANCE", "LastModified": "2026-11-28T22:00:00+00:00"})
    found = verify(old, reader=locked)
    assert (found.complete, found.problems, locked.asked) == (True, [], 1)
    since = "the image is in the bucket since 2026-11-28T22:00:00+00:00, unchanged"
    assert found.dated == [f"Object Lock in COMPLIANCE mode: {since}"]
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    assert "part 1 (bytes 0 and on): has SHA-256" in words(verify(old, reader=locked))


def test_what_dates_the_end(old: Path, tmp_path: Path) -> None:
    records = forge.read(old)
    assert "nothing but the controller's clock dates the end" in verify(old).notes[-1]
    with TimeStampAuthority(tmp_path / "tsa") as authority:
        stamp(old, signed_message(records[-1]["hash"], len(records)), authority.url)
        found = verify(old, timestamp_roots=authority.root)
        assert found.complete
        assert re.fullmatch(r"RFC 3161 time stamp of 20.*Z by CN=memir test authority \(checked\)", found.dated[0])
        assert verify(old).dated[0].endswith("(not checked: pass --timestamp-ca FILE)")
        forge.change(old, "begin", lambda r: r.update(case="CASE-9"))
        assert "manifest.tsr: is over other bytes than this manifest's end" in words(verify(old))
        (old / "manifest.tsr").unlink()
        assert "manifest.tsr: is missing" in words(verify(old, timestamp_roots=authority.root))


SHAPES: list[Any] = [
    None,
    True,
    -1,
    1 << 70,
    1e308,
    "",
    "x" * 300,
    "\x1b[2J",
    [],
    [[]],
    {},
    {"a": {}},
    [None, 1],
    "s3://b",
]


def test_no_malformed_record_is_a_crash(old: Path) -> None:
    """Any value anywhere in any record, and keys that are gone: said, with line and field, never raised."""
    rng = random.Random(5)
    records = forge.read(old)
    said = 0
    for _ in range(CASES):
        changed = copy.deepcopy(records)
        target: Any = rng.choice(changed)
        while True:
            key = rng.choice(list(target) if isinstance(target, dict) else range(len(target)))
            inner = target[key]
            if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
                target = inner
                continue
            if rng.random() < 0.3 and isinstance(target, dict):
                del target[key]
            else:
                target[key] = rng.choice(SHAPES)
            break
        try:
            forge.write(old, changed)
        except (TypeError, ValueError):
            continue
        found = verify(old, deep=False)
        said += bool(found.problems)
        assert found.exit_code in {0, 3, 4, 5}
    assert said > CASES // 2


def test_no_malformed_receipt_is_a_crash(old: Path) -> None:
    rng = random.Random(6)
    data = (old / "receipt.json").read_bytes()
    for _ in range(CASES):
        document = json.loads(data)
        target = rng.choice([document, document["image"], document["tool"], document["node"]])
        target[rng.choice(list(target))] = rng.choice(SHAPES)
        (old / "receipt.json").write_text(json.dumps(document))
        assert verify(old, deep=False).exit_code == 3
