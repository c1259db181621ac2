# SPDX-License-Identifier: Apache-2.0
"""Documents that memir reads again, in mutated shapes, given to every verb that reads them: 70 is a failure."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memir.case.seal import CHAIN, SIGNATURE, read_seal, sign
from memir.cli.main import main
from memir.errors import MemirError
from memir.evidence.custody import START, canonical, record_hash
from memir.evidence.location import address_of
from memir.evidence.verify import verify
from tests.cli.conftest import Memir
from tests.evidence import forge
from tests.fuzz import cases, shapes
from tests.images import ROOT

OLD = Path(__file__).parent.parent / "evidence" / "data" / "evidence-0.1.0"
SHAPES, SEALS = (150, 3000), (20, 1000)  # MEMIR_FUZZ=10000: more; tests/case has 10,000 of the seal without a verb
BELOW = 0.8  # of the shapes go to the functions below the verbs: a verb takes ten times as long
ALLOWED = {0, 2, 3, 4, 5}


class Folder:
    """A folder that is what it was before each shape; verbs add to it and close it."""

    def __init__(self, original: Path, folder: Path) -> None:
        self.original, self.path = original, folder

    def restored(self) -> Path:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.original, self.path, copy_function=shutil.copyfile)
        self.path.chmod(0o700)
        return self.path


@pytest.fixture
def evidence(tmp_path: Path) -> Folder:
    return Folder(OLD, tmp_path / "ev")


def readers(folder: Path) -> Sequence[Sequence[object]]:
    """Every verb that reads an evidence folder."""
    return (
        ("verify", folder), ("verify", folder, "--json"), ("verify", folder, "--public-key", f"{OLD}.pub"),
        ("verify", folder, "--expect", "case=C"), ("info", folder), ("analyze", folder, "-o", folder.parent / "case"),
        ("acquire", "close", folder), ("acquire", "local", "--resume", folder),
        ("acquire", "local", "--resume", folder, "--dry-run"),
    )  # fmt: skip


def library(folder: Path) -> int:
    """0 if what stands below the verbs takes the folder, 1 if it is refused; no error that is not memir's."""
    refused = bool(verify(folder, public_key=Path(f"{OLD}.pub")).problems)
    try:
        address_of(folder)
    except MemirError as error:
        assert str(error)
        refused = True
    return int(refused)


def check(memir: Memir, words: Sequence[object], document: Any) -> int:
    """The exit code of a verb: none that says that memir is at fault, and a line for every failure."""
    ran = memir(*words)
    assert ran.code in ALLOWED, (words, ran.code, ran.err, json.dumps(document)[:5000])
    assert "Traceback" not in ran.err
    assert ran.code == 0 or ran.err.strip() or ran.out.strip()
    assert "\x1b[2J" not in ran.out + ran.err
    return ran.code


def test_manifests(evidence: Folder, memir: Memir) -> None:
    """Records whose chain fits again, as who made them would write them."""
    rng, told = random.Random(7), 0
    for records in shapes([forge.read(OLD)], cases(*SHAPES), 7):
        folder = evidence.restored()
        try:
            forge.write(folder, records)
        except (TypeError, ValueError, AttributeError):  # no list of objects, or text that is none: written as it is
            lines = records if isinstance(records, list) else [records]
            (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if rng.random() < 0.3:  # as a killed run leaves it
            (folder / "receipt.json").unlink()
        told += (library(folder) if rng.random() < BELOW else check(memir, rng.choice(readers(folder)), records)) != 0
    assert told > cases(*SHAPES) // 2


def test_receipts(evidence: Folder, memir: Memir) -> None:
    rng = random.Random(8)
    for receipt in shapes([json.loads((OLD / "receipt.json").read_bytes())], cases(*SHAPES), 8):
        folder = evidence.restored()
        (folder / "receipt.json").write_text(json.dumps(receipt))
        if rng.random() < 0.5:  # with its hash in the manifest's last record, as who made it would
            forge.write(folder, forge.read(folder))
        if rng.random() < BELOW:
            library(folder)
        else:
            check(memir, rng.choice(readers(folder)), receipt)


def test_signatures(evidence: Folder, memir: Memir) -> None:
    rng = random.Random(9)
    for document in shapes([json.loads((OLD / "manifest.sig").read_bytes())], cases(*SHAPES), 9):
        folder = evidence.restored()
        (folder / "manifest.sig").write_text(json.dumps(document))
        if rng.random() < BELOW:
            library(folder)
        else:
            check(memir, rng.choice(readers(folder)[:4]), document)


@pytest.fixture(scope="module")
def original_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A signed case of a sample, with its cluster."""
    folder = tmp_path_factory.mktemp("case") / "case"
    sample = ROOT / "samples" / "s-6.12-intruded"
    with pytest.MonkeyPatch.context() as patch:
        words = ("analyze", f"{sample}.raw.zst", "--cluster", f"{sample}.pods.json", "-o", folder)
        patch.setattr("sys.argv", ["memir", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in {0, 3}
    sign(folder, read_seal(folder), Ed25519PrivateKey.generate())
    yield folder


def case_readers(folder: Path) -> Sequence[Sequence[object]]:
    return (
        ("verify", folder), ("verify", folder, "--json"), ("query", folder, "--list"),
        ("query", folder, "select pod_name, count(*) from processes group by all"), ("findings", folder),
        ("findings", folder, "--json"), ("timeline", folder, "--json"), ("report", folder, "--format", "md"),
    )  # fmt: skip


def chained(entries: Any) -> bytes:
    """Entries of a seal whose hashes fit again, as far as they are objects."""
    head, lines = START, []
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        if isinstance(entry, dict):
            try:
                record = {key: value for key, value in entry.items() if key != "hash"}
                record |= {"seq": number, "prev": head}
                head = record_hash(record)
                lines.append(canonical(record | {"hash": head}))
                continue
            except (TypeError, ValueError):
                pass
        lines.append(json.dumps(entry).encode())
    return b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize("name", ["case.json", CHAIN, SIGNATURE])
def test_cases(name: str, original_case: Path, memir: Memir) -> None:
    path = original_case / name
    good = path.read_bytes()
    rng = random.Random(name)
    document = [json.loads(line) for line in good.splitlines()] if name == CHAIN else json.loads(good)
    try:
        for shape in shapes([document], cases(*SEALS), 10):
            path.write_bytes(chained(shape) if name == CHAIN else json.dumps(shape).encode())
            check(memir, rng.choice(case_readers(original_case)), shape)
    finally:
        path.write_bytes(good)
