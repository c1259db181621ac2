# SPDX-License-Identifier: Apache-2.0
"""Against pages of a real node (Debian 6.1, containerd 1.6, kubelet 1.34), as they lay in its memory."""

from __future__ import annotations

import gzip
import json
import mmap
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.gaps import Gaps
from memir.kube.carve import Carved, best_by_container, by_start, carve_specs, carve_states
from memir.kube.oci import OciSpec, parse_spec
from tests.fuzz import cases

CASES = cases(200)
DATA = Path(__file__).parent / "data"
TRUTH: dict[str, Any] = json.loads(gzip.decompress((DATA / "node-6.1.truth.json.gz").read_bytes()))
PAGES = gzip.decompress((DATA / "node-6.1.pages.gz").read_bytes())
WHOLE = {ident: parse_spec(json.dumps(spec).encode(), "truth") for ident, spec in TRUTH["specs"].items()}

# What a document may say when it is whole; `doubts` and `where` are the finding's own.
FIELDS = [name for name in OciSpec.__slots__ if name not in ("where", "complete", "doubts", "rootfs")]


def differs(found: OciSpec, truth: OciSpec) -> list[str]:
    out: list[str] = []
    for name in FIELDS:
        got: Any = getattr(found, name)
        wanted: Any = getattr(truth, name)
        if found.complete:
            same = got == wanted
        elif name in ("env", "mounts"):
            same = got is None or got == wanted[: len(got)]
        elif name == "annotations":
            same = set(got.items()) <= set(wanted.items())
        else:
            same = got is None or got == wanted
        if not same:
            out.append(name)
    return out


def wrong(found: OciSpec) -> list[str]:
    """What of a carved spec is not so in any container of the node."""
    own = WHOLE.get(found.container_id or "")
    return min((differs(found, truth) for truth in ([own] if own else WHOLE.values()) if truth), key=len)


@pytest.fixture(scope="module")
def carved() -> list[Carved[OciSpec]]:
    return list(carve_specs(PAGES, "paddr "))


def test_real_pages(carved: list[Carved[OciSpec]]) -> None:
    assert len(carved) == 13
    assert sum(one.value.complete for one in carved) == 7
    for one in carved:
        assert not wrong(one.value), (hex(one.offset), wrong(one.value))
        assert PAGES[one.offset : one.offset + one.length].startswith(b'{"ociVersion"')
        assert one.value.where == f"paddr {one.offset:#x}"
        if one.value.complete:
            json.loads(PAGES[one.offset : one.offset + one.length])
        else:
            assert one.crossings == 0
        assert bool(one.crossings) == any("page borders" in doubt for doubt in one.value.doubts)


def test_ended_containers_are_found(carved: list[Carved[OciSpec]]) -> None:
    """The job migrate has ended: runc knows neither its container nor its sandbox any more."""
    best = best_by_container(one.value for one in carved)
    ended = {ident: spec for ident, spec in best.items() if ident not in TRUTH["states"]}
    assert {(spec.kind, spec.container_name, spec.pod_name) for spec in ended.values()} == {
        ("container", "migrate", "migrate-w57gd"),
        ("sandbox", None, "migrate-w57gd"),
    }


def test_a_torn_page_says_what_it_holds(carved: list[Carved[OciSpec]]) -> None:
    torn = [one.value for one in carved if not one.value.complete]
    assert any(spec.kind == "sandbox" and spec.pod_name == "web-7bf68f75d5-86xhc" for spec in torn)
    assert any(spec.container_name == "api" and spec.container_id is None for spec in torn)
    assert all(spec.privileged is None for spec in torn)


def test_states() -> None:
    found = {one.value.container_id: one for one in carve_states(PAGES, "paddr ", base=0x1000)}
    assert len(found) == 3
    for ident, one in found.items():
        truth = TRUTH["states"][ident]
        assert one.value.init_pid == truth["init_process_pid"]
        assert one.value.init_start == truth["init_process_start"]
        assert one.value.where == f"paddr {one.offset + 0x1000:#x}"
    whole = next(one.value for one in found.values() if one.value.complete)
    assert whole.names.pod_name == "node-agent-2zlxg"


def test_other_buffers_and_pages(tmp_path: Path, carved: list[Carved[OciSpec]]) -> None:
    assert list(carve_specs(memoryview(PAGES), "paddr ")) == carved
    file = tmp_path / "pages"
    file.write_bytes(PAGES)
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert list(carve_specs(mapped, "paddr ")) == carved
    assert not list(carve_specs(b"", "x"))
    # With 64 KiB pages (arm64) or the base elsewhere, fewer borders lie in a document.
    assert sum(one.crossings for one in carve_specs(PAGES, "x", page_size=1 << 16)) < sum(
        one.crossings for one in carved
    )
    moved = list(carve_specs(PAGES[100:], "paddr ", base=100))
    assert [one.crossings for one in moved] == [one.crossings for one in carved[1:]]


def test_in_order_reads_on_over_borders() -> None:
    """In a file's own order a document with a hole is read up to the hole."""
    raw = json.dumps(next(iter(TRUTH["specs"].values())), separators=(",", ":")).encode()
    chunk = (b"x" * 3000 + raw)[:5500] + b"\0" * 4096
    (here,) = carve_specs(chunk, "", in_order=True)
    assert here.length > 1096
    assert here.crossings == 1
    (here,) = carve_specs(chunk, "")
    assert (here.crossings, here.length <= 1096) == (0, True)


def test_two_documents_that_met_are_doubted() -> None:
    """The first page of one container's file, followed in memory by another's second page."""
    one, two = (json.dumps(spec, separators=(",", ":")).encode() for spec in list(TRUTH["specs"].values())[1:3])
    pages = [data.ljust(-(-len(data) // 4096) * 4096, b"\0") for data in (one, two)]
    for first in pages:
        for second in pages:
            for found in carve_specs(first[:4096] + second[4096:], ""):
                spec = found.value
                assert not wrong(spec) or any("page borders" in doubt for doubt in spec.doubts)


def test_what_was_read_before_is_passed_over(carved: list[Carved[OciSpec]]) -> None:
    """Only where the very text stands again: of one that is longer or otherwise nothing is known."""
    whole = [each for each in carved if each.value.complete]
    texts = [PAGES[each.offset : each.offset + each.length] for each in whole]
    assert len(set(texts)) > 3
    left = list(carve_specs(PAGES, "paddr ", known=by_start(texts[:2])))
    assert left == [each for each in carved if PAGES[each.offset : each.offset + each.length] not in texts[:2]]
    assert len(left) < len(carved)
    changed = [texts[0] + b" ", texts[0].replace(b"Version", b"version")]
    assert list(carve_specs(texts[0], "", known=by_start(changed))) == list(carve_specs(texts[0], ""))
    assert list(carve_specs(texts[0], "", known=by_start(texts[:1]))) == []


def test_best_by_container() -> None:
    ident = "a" * 64
    base = OciSpec(where="paddr 0x1", complete=False, container_id=ident)
    torn, whole = base, OciSpec(where="paddr 0x2", complete=True, container_id=ident)
    odd = OciSpec(where="paddr 0x3", complete=True, container_id=ident, doubts=("x",))
    file = OciSpec(where="/run/x/config.json", complete=False, container_id=ident)
    nameless = OciSpec(where="paddr 0x4", complete=True)
    assert best_by_container([torn, odd, whole, torn, nameless]) == {ident: whole}
    assert best_by_container([whole, file]) == {ident: file}


@pytest.mark.parametrize(
    "chunk",
    [
        b'{"ociVersion":' * 300_000,
        b'{"ociVersion":"1","process":{"env":[' * 100_000,
        (b'{"ociVersion":"1",' + b" " * 250) * 30_000,
        b'{"ociVersion":"1",' + b"[" * 3_000_000,
        (b'{"ociVersion":"1","a":"' + b"x" * 70_000) * 40,
        b'{"id":"x","init_process_pid":1,"config":{"labels":[' * 50_000,
    ],
)
def test_hostile_memory_is_linear(chunk: bytes) -> None:
    start = time.process_time()
    for _ in carve_specs(chunk, "x"):
        pass
    for _ in carve_states(chunk, "x"):
        pass
    assert time.process_time() - start < 20


def test_too_many_documents_are_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.kube.carve.MAX_DOCUMENTS", 3)
    gaps = Gaps()
    assert len(list(carve_specs(PAGES, "x", gaps=gaps))) == 3
    assert [(gap.kind, gap.why) for gap in gaps] == [("carved documents", "too many")]


@settings(max_examples=CASES, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 40))
def test_smeared_pages(seed: int, changes: int) -> None:
    """Pages zeroed, swapped and randomised: nothing raises, and what is not doubted is true."""
    chance = random.Random(seed)
    pages = [PAGES[at : at + 4096] for at in range(0, 7 * 4096, 4096)]
    for _ in range(changes):
        at = chance.randrange(len(pages))
        match chance.randrange(3):
            case 0:
                pages[at] = bytes(4096)
            case 1:
                pages[at] = chance.randbytes(4096)
            case _:
                other = chance.randrange(len(pages))
                pages[at], pages[other] = pages[other], pages[at]
    for one in carve_specs(b"".join(pages), ""):
        assert one.value.doubts or not wrong(one.value)
