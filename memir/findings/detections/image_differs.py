# SPDX-License-Identifier: Apache-2.0
"""A container that runs another image than the API asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_SQL = """
    select a.subject, a.value as asked, o.value as runs, o.witness, a.container_id
    from claims a join claims o on a.subject = o.subject and o.field = 'image'
    where a.field = 'image' and a.witness = 'API' and o.witness in ('spec', 'metadata', 'state') and a.value <> o.value
    order by a.subject, o.witness
"""
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


def _find(look: Look) -> Iterator[Match]:
    for pair in look.ask(_SQL):
        if same_image(pair["asked"], pair["runs"]):
            continue
        container_id = pair["subject"].removeprefix("container:")
        container = look.by_container.get(container_id)
        if container is None:
            continue
        row = look.with_init(container)
        digests = [match.group(1) if (match := _DIGEST.search(pair[name])) else None for name in ("asked", "runs")]
        differ = None not in digests and digests[0] != digests[1]
        yield Match(
            "high" if differ else "medium",
            "the digests differ" if differ else "the names differ; a name can be given to any content",
            f"{where(row)} runs {short(pair['runs'])} by its {pair['witness']}, and the API asked for "
            f"{short(pair['asked'])}",
            row, (Proof("claims", f"subject = '{pair['subject']}' and field = 'image'"),), subject=pair["subject"],
        )  # fmt: skip


def same_image(asked: str, runs: str) -> bool:
    """Whether two references are to one image, as far as they tell: defaults filled in, tags beside digests ignored."""
    return _parts(asked) == _parts(runs)


def _parts(reference: str) -> tuple[str, str]:
    digest = _DIGEST.search(reference)
    name = reference[: digest.start()] if digest else reference
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    path = f"{folder}{slash}{last}"
    first = path.partition("/")[0]
    if "/" not in path:
        path = f"docker.io/library/{path}"
    elif "." not in first and ":" not in first and first != "localhost":
        path = f"docker.io/{path}"
    return path, digest.group(1) if digest else tag or "latest"


DETECTION = Detection(
    kind="image-differs",
    title="Image that is not the one that the API asked for",
    how="A container's own spec, the runtime's state or containerd's record names another image than the pod in the "
    "API (--cluster). High if both name digests, and these differ, else medium. Docker's default names are filled in.",
    technique="T1525",
    tables=("claims", "containers", "processes"),
    find=_find,
    why="What was admitted, scanned and signed is not what runs.",
    check_next=("when: the pod's image may have been changed in the API since", "the image's content, by its digest"),
    benign=("a pod whose image is being replaced: the old container runs until the new one starts",),
    missed=("content: a name with a tag can be pointed at other content, and layers can be changed on the node (by "
            "hand: SHA-256 of wholly cached files, in inodes, against the image's own)",
            "containers of a node whose API's view was not given"),
    gaps=("claim", "cluster"),
)  # fmt: skip
