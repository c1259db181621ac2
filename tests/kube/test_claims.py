# SPDX-License-Identifier: Apache-2.0
"""Claims: nothing is lost, the table of precedence decides, what differs is a doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.claims import (
    DISPUTED,
    NODE,
    PRECEDENCE,
    WITNESSES,
    Claim,
    Claims,
    of_container,
    of_pod,
    of_process,
)

POD = of_pod("aaaaaaaa-1111-4111-8111-0123456789ab")
BOX = of_container("a" * 64)


def test_subjects_as_text() -> None:
    assert [str(one) for one in (of_process(7), BOX, POD, NODE)] == [
        "process:7",
        "container:" + "a" * 64,
        "pod:aaaaaaaa-1111-4111-8111-0123456789ab",
        "node",
    ]


def test_every_witness_of_the_table_is_described() -> None:
    named = {witness for witnesses in PRECEDENCE.values() for witness in witnesses}
    assert named <= WITNESSES.keys()
    assert all(len(set(witnesses)) == len(witnesses) for witnesses in PRECEDENCE.values())
    assert {field for _, field in PRECEDENCE} >= DISPUTED


def test_the_heavier_witness_decides_and_the_other_is_a_doubt() -> None:
    claims = Claims()
    claims.add(BOX, "container_name", "web", "API")
    claims.add(BOX, "container_name", "api", "spec", "/run/x/config.json")
    answer = claims.resolve(BOX, "container_name")
    assert (answer.value, answer.witness) == ("api", "spec")
    assert answer.doubts == (Claim(BOX, "container_name", "web", "API"),)
    assert claims.doubts(BOX) == ["container_name: spec says api, API says web"]
    assert claims.text(BOX, "container_name") == "api"


def test_silence_is_no_claim_and_the_same_claim_counts_once() -> None:
    claims = Claims()
    for value in (None, "", "x", "x"):
        claims.add(POD, "pod_name", value, "spec")
    claims.add(POD, "host_network", False, "API")
    assert [(claim.field, claim.value) for claim in claims] == [("pod_name", "x"), ("host_network", False)]
    assert len(claims) == 2
    assert claims.flag(POD, "host_network") is False
    assert claims.text(POD, "host_network") is None
    assert claims.number(POD, "host_network") is None


def test_numbers() -> None:
    claims = Claims()
    claims.add(BOX, "exit_code", 137, "status")
    claims.add(BOX, "exit_code", 0, "API")
    assert claims.number(BOX, "exit_code") == 137
    assert claims.flag(BOX, "exit_code") is None
    assert claims.doubts(BOX) == []  # a later state is no contradiction


def test_a_word_that_cannot_be_is_set_aside_and_kept() -> None:
    claims, subject = Claims(), of_container("c")
    claims.add(subject, "started_at", 5, "API")
    claims.add(subject, "started_at", 20, "process")
    assert claims.number(subject, "started_at") == 5
    assert claims.set_aside(subject, "started_at", 10, "before the boot")
    assert claims.number(subject, "started_at") == 20
    assert {(claim.value, claim.witness) for claim in claims} == {(5, "API before the boot"), (20, "process")}
    assert not claims.set_aside(subject, "started_at", 10, "before the boot")


def test_a_witness_that_may_not_decide() -> None:
    """Whoever wants to writes an environment."""
    claims = Claims()
    claims.add(of_process(5), "pod_uid", POD.id, "env")
    assert claims.resolve(of_process(5), "pod_uid").value is None
    assert [claim.witness for claim in claims.resolve(of_process(5), "pod_uid").doubts] == ["env"]


def test_one_image_by_two_names_is_no_doubt() -> None:
    claims = Claims()
    for short, long in (
        ("nginx", "docker.io/library/nginx:latest"),
        ("acme/app:1", "docker.io/acme/app:1"),
        ("index.docker.io/acme/app:1", "docker.io/acme/app:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
    ):
        subject = of_container(short)
        claims.add(subject, "image", short, "API")
        claims.add(subject, "image", long, "spec")
        assert (claims.text(subject, "image"), claims.doubts(subject)) == (long, [])
    claims.add(BOX, "image", "nginx:1", "API")
    claims.add(BOX, "image", "evil.example/nginx:1", "spec")
    assert claims.doubts(BOX) == ["image: spec says evil.example/nginx:1, API says nginx:1"]
    # as containerd has both: one image tagged twice, of which it takes either
    claims.images = {"docker.io/library/nginx:1": "sha256:aa", "evil.example/nginx:1": "sha256:aa"}
    assert claims.doubts(BOX) == []
    claims.images = {"docker.io/library/nginx:1": "sha256:aa", "evil.example/nginx:1": "sha256:bb"}
    assert claims.doubts(BOX) == ["image: spec says evil.example/nginx:1, API says nginx:1"]


@given(st.lists(st.tuples(st.sampled_from(sorted(WITNESSES)), st.text(max_size=3)), max_size=20))
def test_nothing_is_lost(spoken: list[tuple[str, str]]) -> None:
    """Every claim is the value or a doubt, whatever order the witnesses come in; who decides does not depend on it."""
    claims, other = Claims(), Claims()
    for witness, value in spoken:
        claims.add(POD, "namespace", value, witness)
    other.extend(claims)
    assert list(other) == list(claims)
    answer = claims.resolve(POD, "namespace")
    kept = {(claim.witness, claim.value) for claim in claims}
    assert kept == {pair for pair in spoken if pair[1]}
    agreeing = {pair for pair in kept if pair[1] == answer.value}
    assert agreeing | {(claim.witness, claim.value) for claim in answer.doubts} == kept
    order = [witness for witness in PRECEDENCE["pod", "namespace"] if witness in {pair[0] for pair in kept}]
    assert answer.witness == (order[0] if order else None)
