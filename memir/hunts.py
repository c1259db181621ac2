# SPDX-License-Identifier: Apache-2.0
"""Hunts through one image, and through many at once."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError
from memir.gaps import Gaps
from memir.hunt_options import compile_rules, hunt_options, nothing_wanted
from memir.view import View

if TYPE_CHECKING:
    from memir.case.case import Case
    from memir.case.record import HuntFacts, ImageAnswer
    from memir.hunt.fleet import Answer
    from memir.hunt.rules import RuleSet
    from memir.kernel.ram import Coverage
    from memir.node import Progress


@dataclass(frozen=True)
class HuntResult:
    """A hunt through one image or many. hits: rows of the table `hits`; of many images with columns image and node.

    facts: rules, hits, bytes scanned, and what each of many images gave, or why it failed. gaps: of all of them.
    seconds: wall time. coverage: how much of the node's RAM the one image holds. stopped: the user interrupted it.
    uncovered: of many images, for how many reasons something of each was not read (the gaps say which).
    """

    run: str
    hits: View
    facts: HuntFacts
    gaps: Gaps
    seconds: float
    image: str | None = None
    coverage: Coverage | None = None
    stopped: bool = False
    uncovered: Mapping[str, int] = field(default_factory=dict)

    @property
    def images(self) -> tuple[ImageAnswer, ...]:
        """What each of many images gave; empty for one image."""
        return self.facts.images

    @property
    def many(self) -> bool:
        """Whether it was a hunt through many images."""
        return self.image is None

    @property
    def failed(self) -> int:
        """How many of many images could not be hunted through."""
        return sum(answer.error is not None for answer in self.images)

    @property
    def whole(self) -> bool:
        """Whether all of the System RAM was there to be hunted through, of every node whose image could be opened."""
        if self.many:
            return all(answer.ram_present == answer.ram_total for answer in self.images)
        return self.coverage is None or self.coverage.whole

    def document(self) -> dict[str, Any]:
        """What `memir hunt --json` prints, without hits and gaps."""
        from memir.documents import encode

        facts = encode(self.facts)
        del facts["hits"]
        if not self.many:
            del facts["images"]
        return {
            **facts, "run": self.run, "hit_count": self.facts.hits, "seconds": round(self.seconds, 3),
            **({"image": self.image, **self.coverage.facts()} if self.coverage is not None else {}),
            "stopped": self.stopped,
        }  # fmt: skip


_NOT_BEGUN = "interrupted by the user before it was hunted through"


def is_many(images: Sequence[str | Path]) -> bool:
    """Whether these are several images: more than one, a folder of them, or a prefix in S3."""
    from memir.evidence.folder import is_evidence
    from memir.image.listing import looks_like_image

    if len(images) != 1:
        return True
    image = str(images[0])
    if image.startswith("s3://"):
        return not looks_like_image(image)
    return Path(image).is_dir() and not is_evidence(Path(image))  # an evidence folder is one image


def hunt_image(
    image: str | Path,
    rules: str | Path | Sequence[str | Path] | RuleSet | None = None,
    case: str | Path | Case | None = None,
    *,
    sign_key: Any = None,
    progress: Progress | None = None,
    given: Mapping[str, Any] | None = None,
    **asked: Any,
) -> HuntResult:
    """Hunt through one image, and keep the hits in a case, beside what is there of the same image.

    given: as of memir.open; asked: as of Node.hunt. Rules and the case's folder fail before the image is read.
    """
    from memir.case.case import Case
    from memir.hunt.rules import RuleSet
    from memir.open_node import open as open_node

    begun = time.monotonic()
    compiled = rules if isinstance(rules, RuleSet) else compile_rules(rules, asked.pop("externals", None))
    hunt_options(**asked)
    target = Case.create(Path(case), add=True) if isinstance(case, str | Path) else case
    with (
        nullcontext() if target is None else target.begun(),
        open_node(image, progress=progress, **(given or {})) as node,
    ):
        if target is not None:
            node.check(target)
        hits = node.hunt(compiled, **asked)
        if target is not None:
            node.write(target, sign_key=sign_key, hunts_only=True)
        seconds = time.monotonic() - begun
        return HuntResult(
            hits.run, hits, hits.facts, node.gaps, seconds, str(node.memory.path), node.coverage, hits.stopped
        )  # fmt: skip


def hunt_images(
    images: str | Path | Sequence[str | Path],
    rules: str | Path | Sequence[str | Path] | RuleSet | None = None,
    case: str | Path | Case | None = None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    cluster: str | Path | None = None,
    cache: str | Path | None = None,
    sign_key: Any = None,
    answered: Callable[[Answer, int, int], None] | None = None,
    **asked: Any,
) -> HuntResult:
    """Hunt through many images, each a task of Dask: on this machine's processors, or on a scheduler's workers; without
    Dask one after another.

    images: files, evidence folders, folders of either, s3:// objects or prefixes. case: keep the hits there. answered:
    called with each answer as it comes, how many came, and of how many. asked: as of Node.hunt. An image that cannot be
    analysed is an answer with its error; interrupted, the answers that came are kept. A case is bound to the identity
    of every image: CaseError as soon as one is another than it was. UsageError for a scheduler without Dask (the
    extra `fleet`).
    """
    from memir.aws.image import expand
    from memir.case.case import Case
    from memir.case.facts import hunt_facts, hunt_id, hunt_run
    from memir.case.identity import read_identity
    from memir.case.record import Facts, ImageAnswer
    from memir.hunt.fleet import hunt_fleet
    from memir.hunt.fleet import hunt_image as work
    from memir.hunt.hits import TABLE
    from memir.hunt.rules import RuleSet
    from memir.hunt.secrets import TABLE as SECRETS
    from memir.kube.secrets import KEY_SIZE
    from memir.kube.snapshot import load_cluster
    from memir.open_node import cache_folder

    begun = time.monotonic()
    compiled = rules if isinstance(rules, RuleSet) else compile_rules(rules, asked.pop("externals", None))
    snapshot = load_cluster(Path(cluster)) if cluster is not None else None
    options = replace(hunt_options(**asked, cluster=snapshot), workers=1)
    every = expand([str(images)] if isinstance(images, str | Path) else [str(image) for image in images])
    target = Case.create(Path(case), add=True) if isinstance(case, str | Path) else case
    facts = Facts(images=tuple(every))
    if target is not None:
        target.check(facts)
    run, inputs = hunt_id(compiled, options)
    key = target.secret_key() if target is not None else os.urandom(KEY_SIZE)
    rows: list[dict[str, Any]] = []
    masked: list[dict[str, Any]] = []
    secrets: list[dict[str, Any]] = []
    values: dict[str, str] = {}
    answers: list[ImageAnswer] = []
    uncovered: dict[str, int] = {}
    gaps, stopped = Gaps(), False
    try:
        for answer in hunt_fleet(
            every, compiled, options, scheduler=scheduler, workers=workers, cache=cache_folder(cache),
            work=functools.partial(work, identify=read_identity, secret_key=key),
        ):  # fmt: skip
            answers.append(_image_answer(answer))
            if answer.identity is not None:
                facts = replace(facts, identities={**facts.identities, answer.image: answer.identity})
                if target is not None:
                    target.check(facts)
            uncovered[answer.image] = len(answer.gaps)
            for gap in answer.gaps:
                gaps.add(gap.kind, f"{answer.image}: {gap.where}", gap.why, gap.count)
            if answer.error:
                gaps.add("image", answer.image, answer.error)
            rows += [{**row, "run": run} for row in answer.rows]
            masked += [{**row, "run": run} for row in answer.masked]
            secrets += answer.secrets
            values |= answer.values
            if answered is not None:
                answered(answer, len(answers), len(every))
    except KeyboardInterrupt:
        stopped = True
        lost = sorted(set(every) - {answer.image for answer in answers})
        gaps.add("image", lost[0] if lost else "", _NOT_BEGUN, len(lost))
        answers += [ImageAnswer(image, None, 0, 0, 0, 0.0, _NOT_BEGUN) for image in lost]
    if options.wanted and not stopped and not any(answer.scanned or answer.error for answer in answers):
        raise UsageError(nothing_wanted(f"{len(answers)} images", options))
    seconds = time.monotonic() - begun
    hunted = hunt_facts(
        compiled, options, hits=len({row["hit_id"] for row in rows}), rows=len(rows),
        scanned={"all": sum(answer.scanned for answer in answers)}, images=answers,
    )  # fmt: skip
    if target is not None:
        target.add_tables(
            {"hits": TABLE.rows(masked), "secrets": SECRETS.rows(secrets)}, hunt_run(run, hunted, seconds, gaps), facts,
            inputs=inputs, secrets=values, key=sign_key,
        )  # fmt: skip
    return HuntResult(run, View("hits", TABLE.rows(rows).to_arrow()), hunted, gaps, seconds, stopped=stopped,
                      uncovered=uncovered)  # fmt: skip


def _image_answer(answer: Answer) -> ImageAnswer:
    from memir.case.record import ImageAnswer

    share = answer.coverage.facts() if answer.coverage is not None else {}
    share.pop("ram_missing", None)  # hundreds of images with a thousand parts each: the gap says how much it is
    return ImageAnswer(
        answer.image, answer.node, answer.hits, len(answer.rows), answer.scanned, answer.seconds, answer.error,
        identity=answer.identity, **share,
    )  # fmt: skip
