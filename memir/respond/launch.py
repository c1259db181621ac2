# SPDX-License-Identifier: Apache-2.0
"""From a command line's words to a plan in a file, and from a plan's file to its run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import get_args

from memir import documents
from memir.aws.address import bucket_problem
from memir.aws.client import Client, Connection, service_client
from memir.errors import OutputError, PlanError, UsageError
from memir.kubeapi.client import Api, KubeOptions, make_api
from memir.respond.actions.base import World
from memir.respond.alerts import ask_findings, is_id
from memir.respond.check import check_rights
from memir.respond.cluster import Cluster
from memir.respond.findings import finding_clue
from memir.respond.guardduty import read_findings
from memir.respond.make import make_plan
from memir.respond.match import Query
from memir.respond.plan import Choices, Order, Plan, plan_text, read_plan
from memir.respond.resolve import resolve
from memir.respond.steps.acquire import TRANSPORTS
from memir.respond.steps.base import Options

WITHOUT_API = ", or --cluster and a folder with what was saved of the cluster"
MAX_DAYS = 36500
"""LockDuration of EC2's LockSnapshot."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is for, as it was typed."""

    pods: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    guardduty: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def query_of(wanted: Wanted, connection: Connection | None = None) -> Query:
    """Alerts and findings read. connection: to ask for GuardDuty findings by their id; None: nothing is contacted.

    Raises UsageError, EvidenceError, RemoteError.
    """
    ids = [word for word in wanted.guardduty if is_id(word) and not Path(word).exists()]
    clues = [clue for word in wanted.guardduty if word not in ids for clue in read_findings(Path(word))]
    if ids and connection is None:
        raise UsageError(
            f"--guardduty {ids[0]}: an id is asked of AWS, and with --cluster nothing is contacted: give the finding as"
            f" a file (aws guardduty get-findings --detector-id D --finding-ids {ids[0].rpartition('/')[2]} > FILE)"
        )
    if ids and connection is not None:
        clues += ask_findings(ids, connection)
    clues += [finding_clue(text) for text in wanted.findings]
    query = Query(
        wanted.pods, wanted.workloads, wanted.service_accounts, wanted.images, wanted.nodes, tuple(clues)
    )  # fmt: skip
    if query == Query(clues=()):
        raise UsageError(
            "whom is the plan for? --pod, --workload, --service-account, --image, --node, --guardduty or --finding"
        )
    return query


def asked_of(wanted: Wanted) -> dict[str, str]:
    """The same in words, for the plan."""
    named = {
        "pod": wanted.pods, "workload": wanted.workloads, "service-account": wanted.service_accounts,
        "image": wanted.images, "node": wanted.nodes, "guardduty": wanted.guardduty,
        "finding": wanted.findings,
    }  # fmt: skip
    return {key: ", ".join(words) for key, words in named.items() if words}


def write_plan(
    wanted: Wanted, output: Path, *, cluster: Path | None = None, order: str = "memory-first",
    evidence: str = "evidence", by: str = "", accept_orphan: bool = False, accept_restart: bool = False,
    auto_scaling: str = "suspend", lock: str = "governance", lock_days: int = 30,
    kubeconfig: str | None = None, context: str | None = None, connection: Connection | None = None,
) -> tuple[Plan, str]:  # fmt: skip
    """(plan, SHA-256 of its file). Raises UsageError, ClusterError, RemoteError, OutputError."""
    query = query_of(wanted, None if cluster is not None else connection or Connection())
    known: tuple[Order, ...] = get_args(Order)
    if order not in known:
        raise UsageError(f"--order {order!r}: there are {', '.join(known)}")
    if by and by not in TRANSPORTS:
        raise UsageError(f"--by {by!r}: there are {', '.join(TRANSPORTS)}")
    if evidence.startswith("s3://") and (wrong := bucket_problem(evidence.removeprefix("s3://").partition("/")[0])):
        raise UsageError(f"--evidence {evidence}: {wrong}: write s3://BUCKET/PREFIX")
    choices = choices_of(auto_scaling, lock, lock_days)
    if output.exists():
        raise UsageError(f"{output} exists already: a plan that was read is not written over; name another file")
    if cluster is not None:
        view = Cluster.load(cluster)
    else:
        api = make_api(KubeOptions(kubeconfig, context), WITHOUT_API)
        view = Cluster.ask(api, str(api.configuration.host))
    made = make_plan(
        view, query, asked_of(wanted), utc(), order=next(each for each in known if each == order),
        options=Options(evidence, by, accept_orphan, accept_restart, choices),
    )  # fmt: skip
    return made, save_plan(made, output)


def check_inputs(wanted: Wanted, cluster: Path | None) -> None:
    """Raises what is wrong with the files that were named, before anything is asked of AWS or Kubernetes."""
    files = tuple(word for word in wanted.guardduty if not is_id(word) or Path(word).exists())
    named = replace(wanted, guardduty=files)
    if named != Wanted() or wanted == Wanted():  # ids alone are asked of AWS later
        query_of(named)
    if cluster is not None:
        Cluster.load(cluster)


def choices_of(auto_scaling: str, lock: str, lock_days: int) -> Choices:
    """What was asked for by name. Raises UsageError."""
    if not 1 <= lock_days <= MAX_DAYS:
        raise UsageError(f"--lock-days {lock_days}: a lock lasts 1 to {MAX_DAYS} days")
    words = {"auto_scaling": auto_scaling, "lock": lock, "lock_days": lock_days}
    try:
        return documents.decode(Choices, words, "choices", PlanError)
    except PlanError:
        raise UsageError(
            f"--auto-scaling {auto_scaling}, --lock {lock}: there are suspend and detach; governance, compliance, none"
        ) from None


def check_plan(
    path: Path, output: Path | None, kube: KubeOptions, connection: Connection, cluster: str = ""
) -> tuple[Plan, str, list[tuple[str, str, str]]]:
    """(plan with what AWS knows, SHA-256 of its file, rights and whether they are there); nothing is changed but files.

    output: where the plan goes; None: where it was. Raises PlanError, RemoteError.
    """
    plan, digest = read_plan(path)
    if output is not None and output.exists():
        raise UsageError(f"{output} exists already: a plan that was read is not written over; name another file")
    world = world_of(plan, kube, connection)
    filled = resolve(plan, world, cluster) if plan.unresolved() else plan
    rows: list[tuple[str, str, str]] = [*check_rights(filled, world)]
    if output is None and filled != plan:
        output = path.with_name(path.name + ".part")
        output.unlink(missing_ok=True)
        digest = save_plan(filled, output)
        output.replace(path)
    elif output is not None:
        digest = save_plan(filled, output)
    return filled, digest, rows


def save_plan(plan: Plan, output: Path) -> str:
    """Write a new file that only its owner may change; its SHA-256. Raises OutputError."""
    data = plan_text(plan).encode()
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"{output}: the plan cannot be written: {error.strerror or error}") from error
    return hashlib.sha256(data).hexdigest()


def utc() -> str:
    """Now, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def world_of(plan: Plan, kube: KubeOptions, connection: Connection) -> World:
    """What a run reaches; a client is made when it is first needed."""

    @cache
    def api() -> Api:
        return make_api(kube)

    @cache
    def aws(service: str) -> Client:
        return service_client(service, connection, attempts=1)  # a snapshot is not asked for twice

    def run(words: Sequence[str]) -> int:
        return run_memir([*words, *same_place(kube, connection)] if words[:1] in (["acquire"], ["collect"]) else words)

    return World(plan.id, api, aws, run, utc, connection)


def same_place(kube: KubeOptions, connection: Connection) -> list[str]:
    """Flags that bring a command of memir's to the cluster and account of this run, not to those of the environment."""
    given = {
        "--kubeconfig": kube.kubeconfig, "--context": kube.context, "--region": connection.region,
        "--profile": connection.profile,
    }  # fmt: skip
    return [word for flag, value in given.items() if value for word in (flag, value)]


def run_memir(words: Sequence[str]) -> int:
    """A command of memir's own, as a process of its own on this terminal; its exit code."""
    return subprocess.run([sys.executable, "-m", "memir", *words], check=False, stdin=subprocess.DEVNULL).returncode


def record_folder(plan_file: Path) -> Path:
    """Where the record of a plan's run is, unless said otherwise: beside the plan."""
    return plan_file.with_name(plan_file.stem + ".run")


