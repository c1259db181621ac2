# SPDX-License-Identifier: Apache-2.0
"""Hunt many images at once, each a task of Dask distributed: on this machine, or on a scheduler's workers. Without Dask
they are hunted one after another here, each in a process of its own.

What moves: the compiled rules to every worker, rows of hits back. Images are opened where the task runs, so a path
must lead to the same file on every worker; s3:// addresses do.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memir.aws.image import open_image
from memir.errors import MemirError, UsageError
from memir.gaps import Gap, Gaps
from memir.hunt.hunt import Options, hunt
from memir.hunt.rules import Packed, RuleSet
from memir.hunt.secrets import rows_of_hits
from memir.kernel.engine import Kernel
from memir.kernel.find import find_kernel
from memir.kernel.ram import Coverage
from memir.kernel.timekeeping import wall_clock
from memir.kube.ram import RamSource
from memir.symbols.store import Store

RETRIES = 2
"""How often an image is tried again after its worker died (a scheduler of your own has its own setting)."""
PATIENCE = 60.0
"""Seconds that a hunt waits for Dask to have a worker again, or an answer of one that died."""
ANSWERS = 30.0
"""Seconds within which a scheduler has to answer."""
_LOOK = 5.0  # seconds between two looks at whether there is a worker
NO_WORKER = "no worker of Dask's is left to hunt through it"
KILLED = "KilledWorker: every worker that it was given to died, also with no other image beside it"


@dataclass(frozen=True)
class Answer:
    """What one image gave. error: why it failed, else None; then there are no rows.

    rows: of the table `hits`; masked: the same as a case keeps them. secrets: rows of that table for what rules tagged
    `secret` matched; values: clear text by fingerprint. coverage: how much of the node's RAM the image holds. identity:
    what `identify` of hunt_image gave.
    """

    image: str
    node: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    masked: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    coverage: Coverage | None = None
    identity: Any = None
    hits: int = 0
    scanned: int = 0
    seconds: float = 0.0
    gaps: tuple[Gap, ...] = ()
    error: str | None = None


def hunt_image(
    image: str,
    rules: Packed,
    options: Options,
    cache: Path | None,
    *,
    identify: Callable[[Kernel], Any] | None = None,
    secret_key: bytes | None = None,
) -> Answer:
    """Hunt one image; runs on a worker. An image that cannot be analysed is an answer with its error.

    identify: tells which image it is. secret_key: of fingerprints of passwords, the same for all images, so that they
    compare. Both go to the workers, which read the secrets themselves.
    """
    begun = time.monotonic()
    gaps = Gaps()
    try:
        with open_image(image, allow_truncated=True, cache=cache) as memory:
            if memory.missing:
                gaps.add("image", image, "bytes that the headers promise are missing", memory.missing)
            kernel = find_kernel(memory, None, Store(cache), gaps)
            node = RamSource(kernel, options.cluster)
            node.secret_key = secret_key
            result = hunt(kernel, rules.unpack(), options, node=node)
            name, coverage, clock = node.name, node.coverage, wall_clock(kernel)
            identity = identify(kernel) if identify is not None else None
            values = dict(node.secrets.values)
            memory.check_unchanged()
    except (MemirError, OSError) as error:
        return Answer(
            image,
            error=str(error),  # MemirError and OSError say what is wrong
            seconds=round(time.monotonic() - begun, 3),
            gaps=tuple(gaps),
        )
    secrets = [{**row, "image": image} for row in rows_of_hits(result.masked, result.secrets, clock)]
    rows, masked = _of_image(image, result.rows), _of_image(image, result.masked)
    seconds = round(time.monotonic() - begun, 3)
    return Answer(
        image, name, rows, masked, secrets, values, coverage, identity, result.hits, sum(result.scanned.values()),
        seconds, tuple(gaps),
    )  # fmt: skip


def _of_image(image: str, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "image": image, "hit_id": _fleet_id(image, row["hit_id"])} for row in rows]


def _fleet_id(image: str, hit_id: str) -> str:
    """Two nodes can hold the same bytes at the same place: those are two hits."""
    return hashlib.blake2b(f"{image}\0{hit_id}".encode(), digest_size=8).hexdigest()


def hunt_fleet(
    images: Sequence[str],
    rules: RuleSet,
    options: Options,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    work: Callable[..., Answer] = hunt_image,
) -> Iterator[Answer]:
    """Answers as they come, one an image.

    scheduler: address of a running one; None: a cluster of processes on this machine, `workers` of them (processors,
    if not given), or where there is no Dask one process at a time with so many threads. A worker that dies is replaced
    and its image tried again; an image that kills every worker it is given to, also when it is alone, is an answer with
    an error, as is one that cannot be analysed. work: what is done with an image there.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        if scheduler is not None:
            raise UsageError("--scheduler needs Dask: pip install '.[fleet]' in memir's source") from error
        yield from _one_by_one(images, rules, replace(options, workers=workers or os.cpu_count() or 1), cache, work)
        return
    run = uuid.uuid4().hex[:12]  # a scheduler of your own may hold the tasks of another hunt
    processes = min(workers or os.cpu_count() or 1, max(len(images), 1))
    cluster = None
    if scheduler is None:
        dask.config.set({"distributed.scheduler.allowed-failures": RETRIES})
        cluster = LocalCluster(
            n_workers=processes, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        )
    try:
        with Client(cluster if cluster is not None else scheduler, timeout=ANSWERS) as client:
            sent = Packed.of(rules)

            def start(turn: str, chosen: Iterable[int]) -> dict[Any, int]:
                # a task, not scattered data: what a dead worker held can then be had again
                packed = client.submit(_same, sent, key=f"rules-{run}-{turn}", pure=False)
                arguments = (packed, options, cache)
                return {
                    client.submit(
                        work, images[number], *arguments, key=f"hunt-{run}-{turn}-{number}", pure=False
                    ): number
                    for number in chosen
                }

            tasks = start("all", range(len(images)))
            again = []
            for task in _as_completed(client, tasks):
                number = tasks.pop(task)
                answer = _answer(task, images[number])
                if answer is None:
                    again.append(number)
                else:
                    yield answer
                task.release()
            for alone in again:  # what waits on a worker that another image kills is blamed with it: now each is alone
                answer = None
                for task in _as_completed(client, start(f"alone-{alone}", [alone])):
                    answer = _answer(task, images[alone])
                    task.release()
                yield answer or Answer(images[alone], error=KILLED)
            for number in tasks.values():
                yield Answer(images[number], error=NO_WORKER)
    except OSError as error:
        raise UsageError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    finally:
        if cluster is not None:
            cluster.close()


def _as_completed(client: Any, tasks: Iterable[Any]) -> Iterator[Any]:
    """Tasks as they end. Those that are left when the scheduler has had no worker for PATIENCE seconds do not come."""
    from distributed import wait

    waiting, lonely = set(tasks), 0.0
    while waiting and lonely < PATIENCE:
        try:
            ended = wait(waiting, timeout=_LOOK, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            lonely = 0.0 if client.scheduler_info()["workers"] else lonely + _LOOK
            continue
        waiting -= ended
        lonely = 0.0
        yield from ended


def _one_by_one(
    images: Sequence[str], rules: RuleSet, options: Options, cache: Path | None, work: Callable[..., Answer]
) -> Iterator[Answer]:
    """Without Dask: an image that kills its process, or fails in it, is an answer with an error; the rest goes on."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    packed = Packed.of(rules)
    for image in images:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            task = process.submit(work, image, packed, options, cache)
            error = task.exception()
            yield task.result() if error is None else Answer(image, error=f"{type(error).__name__}: {error}")


def _answer(task: Any, image: str) -> Answer | None:
    """None: a worker that was given the image died, or died with its answer."""
    from distributed import KilledWorker

    try:
        if task.status == "finished":
            result: Answer = task.result(timeout=PATIENCE)  # its worker may have died since, with what it held
            return result
        error = task.exception() if task.status == "error" else None
    except (KilledWorker, TimeoutError):
        return None
    if error is None or isinstance(error, KilledWorker):
        return None
    return Answer(image, error=f"{type(error).__name__}: {error}")


def _same(rules: Packed) -> Packed:
    return rules
